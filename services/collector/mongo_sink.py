"""The sink to MongoDB: one thread that writes batches, keeps `through` and tells the ledger.

It has no fast path: a durable write waits for the journal, and what comes in the meantime is the next batch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tickrouter import logs
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import EntryId, session_of
from tickrouter.errors import StorageError
from tickrouter.history.coverage import CoverageWriter, claim_id
from tickrouter.history.sink import MarketWriter, Row, Written
from tickrouter.model.coverage import Claim, Note, Opening, State
from tickrouter.model.feed import Feed

from .item import Item
from .outage import Outage
from .sink_queue import SinkQueue
from .through import ThroughBoard

BATCH = 1000
IDLE = 0.1
THROUGH_EVERY = 0.25
"""Seconds between two writings of `through`."""

_log = logs.get("mongo")


class MongoSink(threading.Thread):
    """Takes from its queue, strictly first in, first out; repeats what was not confirmed."""

    def __init__(
        self, queue: SinkQueue, writer: MarketWriter, ledger: CoverageWriter, through: ThroughBoard, clock: Clock
    ) -> None:
        super().__init__(name="mongo-sink", daemon=True)
        self.outage = Outage("MongoDB", _log, clock)
        self.repeated = 0
        self.replaced = 0
        self._queue = queue
        self._writer = writer
        self._ledger = ledger
        self._board = through
        self._clock = clock
        self._through: dict[tuple[str, str], EntryId] = {}
        self._through_at = 0.0
        self._is_prepared = False
        self._ending = threading.Event()
        self._deadline = float("inf")

    def run(self) -> None:
        while not self._is_over():
            batch = self._queue.take(BATCH, IDLE)
            if batch:
                self._store(batch)
            if self._through and self._clock.monotonic() - self._through_at >= THROUGH_EVERY:
                self._tell_through()
        self._tell_through()

    def stop(self, patience: float) -> None:
        """Write what is queued for at most `patience` seconds, then end."""
        self._deadline = self._clock.monotonic() + patience
        self._ending.set()
        self._queue.wake()

    def _is_over(self) -> bool:
        if not self._ending.is_set():
            return False
        return self._queue.is_empty() or self._clock.monotonic() >= self._deadline

    def _store(self, batch: Sequence[Item]) -> None:
        """Write a batch; what was not confirmed is taken again."""
        try:
            if not self._is_prepared:
                self._writer.prepare()
                self._ledger.prepare()
                self._is_prepared = True
            self._store_records(batch)
            self._tell_ledger(batch)
        except StorageError as error:
            self._queue.stall()
            self.outage.wait(error, self._ending, self._deadline)
        else:
            self.outage.over(len(self._queue))

    def _store_records(self, batch: Sequence[Item]) -> None:
        items = [item for item in batch if not isinstance(item.record, Claim | Opening)]
        rows = [Row(item.kind, item.id, item.record) for item in items if not isinstance(item.record, _UNSTORED)]
        if not rows:
            return
        done = self._writer.write(rows)
        self.repeated += done.repeated
        self.replaced += done.replaced
        self._ledger.tell(self._notes(done))
        refused = {id(row.record) for row, _ in done.conflicts}
        self._queue.settle(
            stored=[item for item in items if id(item.record) not in refused],
            refused=[item for item in items if id(item.record) in refused],
        )
        for item in items:
            if item.id is not None:
                self._through[item.contract, item.kind] = item.id

    def _notes(self, done: Written) -> list[Claim]:
        """Entry ids under which no document stands, though they were used."""
        for row, key in done.conflicts:
            _log.error("document refused, its key holds something else", kind=row.kind, key=key)
        now = self._clock.now()
        refused = [_note(row, now, "missing", "", "refused: its key holds something else") for row, _ in done.conflicts]
        doubles = [_note(row, now, "live", "double", "stands under its earlier entry id") for row in done.doubles]
        return [claim for claim in (*refused, *doubles) if claim is not None]

    def _tell_ledger(self, batch: Sequence[Item]) -> None:
        """All records before these are stored: now their claims are true."""
        claims: dict[str, Claim] = {}
        for item in batch:
            if isinstance(item.record, Claim):
                claims[claim_id(item.record)] = item.record
            elif isinstance(item.record, Opening):
                self._ledger.tell(list(claims.values()))
                self._ledger.open_session(item.record)
                claims.clear()
        self._ledger.tell(list(claims.values()))
        self._queue.settle(stored=[item for item in batch if isinstance(item.record, Claim | Opening)])

    def _tell_through(self) -> None:
        self._through_at = self._clock.monotonic()
        try:
            self._writer.tell_through(self._through)
        except StorageError as error:
            self.outage.began(error)
            return
        for (contract, kind), entry_id in self._through.items():
            self._board.tell(contract, kind, entry_id)
        self._through = {}


_UNSTORED = (Feed, Claim, Opening)


def _note(row: Row, now: int, state: State, note: Note, cause: str) -> Claim | None:
    if row.id is None:
        return None
    record = row.record
    name = f"{note or 'refused'}-{row.id[1]:019d}"
    head = (now, record.contract, row.kind, session_of(row.id), name)
    return Claim(*head, state, record.time, record.time + 1, cause, row.id, row.id, 1, note=note)
