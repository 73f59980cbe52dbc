"""The sink to MongoDB: one thread that writes batches, keeps `through` and tells the ledger.

It has no fast path: a durable write waits for the journal, and what comes in the meantime is the next batch. Where a
session begins, it sees to what the sessions before left in Redis alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tickrouter import logs
from tickrouter.bus.publish import Entry
from tickrouter.clock import Clock
from tickrouter.core.coverage import KEY_TAKEN
from tickrouter.core.entry_ids import EntryId, session_of
from tickrouter.errors import StorageError
from tickrouter.history.coverage import CoverageWriter, claim_id
from tickrouter.history.sink import MarketWriter, Row, Stored, Written
from tickrouter.model.book import Book
from tickrouter.model.coverage import Claim, Note, Opening, State
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

from .item import LEDGER, Item
from .outage import Outage
from .repair import Read, Repair
from .sink_queue import SinkQueue
from .takeover import Takeover, Takeovers
from .through import ThroughBoard

BATCH = 1000
LEFT_OUT = 100_000
"""Records that one note counts at most."""
IDLE = 0.1
REPAIR_EVERY = 0.5
"""Seconds between two looks at what Redis alone has."""
THROUGH_EVERY = 0.25
"""Seconds between two writings of `through`."""

Lacking = Callable[[str, str, EntryId, int, int], Sequence[Stored]]
"""As `give_back.Surplus`."""

_log = logs.get("mongo")


class RedisAway(Exception):
    """Redis did not answer, MongoDB may."""


class MongoSink(threading.Thread):
    """Takes from its queue, strictly first in, first out; repeats what was not confirmed."""

    def __init__(
        self,
        queue: SinkQueue,
        writer: MarketWriter,
        ledger: CoverageWriter,
        through: ThroughBoard,
        takeovers: Takeovers,
        read: Read,
        lacking: Lacking,
        clock: Clock,
    ) -> None:
        """Set up; nothing is sent.

        Args:
            queue: before this sink.
            writer: of records.
            ledger: of claims.
            through: told how far this sink is.
            takeovers: what was found in Redis.
            read: reads a stream.
            lacking: what MongoDB has of a stream behind an entry.
            clock: of the process.
        """
        super().__init__(name="mongo-sink", daemon=True)
        self.outage = Outage("MongoDB", _log, clock)
        self.repeated = 0
        self.replaced = 0
        self._queue = queue
        self._writer = writer
        self._ledger = ledger
        self._board = through
        self._takeovers = takeovers
        self._read = read
        self._lacking = lacking
        self._openings: dict[str, Opening] = {}
        """Of contracts whose sessions before are not settled: their `through` stays where it is."""
        self._repairs: dict[str, Repair] = {}
        self._repair_at = 0.0
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
            if self._openings and self._clock.monotonic() >= self._repair_at:
                self._repair_later()
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
            part = _up_to_opening(batch)
            if isinstance(part[0].record, Opening):
                self._begin(part[0].record)
            self._store_records(part)
            self._tell_ledger(part)
        except StorageError as error:
            self._queue.stall()
            self.outage.wait(error, self._ending, self._deadline)
        else:
            self.outage.over(len(self._queue))

    def _begin(self, opening: Opening) -> None:
        """A session begins: all before it is settled, as far as Redis can be asked now.

        Raises:
            StorageError: MongoDB did not confirm.
        """
        contract = opening.contract
        if contract not in self._openings:
            self._confirm_through()
        self._openings[contract] = opening
        self._repairs.pop(contract, None)
        self._settle(contract)
        self._ledger.open_session(opening)

    def _settle(self, contract: str) -> None:
        """See to what the sessions before left in Redis alone; what is not done now is gone on with later.

        Raises:
            StorageError: MongoDB did not confirm.
        """
        self._repair_at = self._clock.monotonic() + REPAIR_EVERY
        takeover, opening = self._takeovers.of(contract), self._openings[contract]
        if takeover is None:
            return
        if contract not in self._repairs:
            stored = self._writer.through(contract, opening.kinds)
            self._repairs[contract] = Repair(opening, takeover, stored)
        repair = self._repairs[contract]
        try:
            is_done = repair.hand_on(self._read_redis, self._write, self._is_over)
        except RedisAway as error:
            _log.debug("repair waits for Redis", contract=contract, error=str(error))
            return
        if is_done:
            self._ledger.tell(repair.borne_out())
            self._ledger.tell(self._left_out(opening, takeover))
            del self._openings[contract], self._repairs[contract]
            for kind, end in repair.ends().items():
                self._through[contract, kind] = max(end, self._through.get((contract, kind), end))

    def _repair_later(self) -> None:
        try:
            for contract in list(self._openings):
                self._settle(contract)
        except StorageError as error:
            self.outage.began(error)

    def _left_out(self, opening: Opening, takeover: Takeover) -> list[Claim]:
        """Notes of what MongoDB has of the sessions before and the streams do not get any more."""
        claims = []
        for kind, end in takeover.ends.items():
            if kind not in opening.kinds:
                continue
            if rows := self._lacking(opening.contract, kind, end, opening.session, LEFT_OUT):
                head = (opening.time, opening.contract, kind, opening.session, f"redis-{opening.session:07d}")
                span = rows[0][1].time, rows[-1][1].time + 1
                ids = rows[0][0], rows[-1][0]
                cause = "Redis did not get it before its collector died"
                claims.append(Claim(*head, "missing", *span, cause, *ids, len(rows), note="redis"))
        return claims

    def _read_redis(self, contract: str, kind: str, after: EntryId, count: int) -> Sequence[Entry]:
        try:
            return self._read(contract, kind, after, count)
        except StorageError as error:
            raise RedisAway(str(error)) from error

    def _write(self, rows: Sequence[Row]) -> None:
        if rows:
            self._ledger.tell(self._notes(self._writer.write(rows)))

    def _store_records(self, batch: Sequence[Item]) -> None:
        items = [item for item in batch if item.kind not in LEDGER]
        rows = [Row(item.kind, item.id, item.record) for item in items if isinstance(item.record, _STORED)]
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
        refused = [_note(row, now, "missing", "", KEY_TAKEN) for row, _ in done.conflicts]
        doubles = [_note(row, now, "live", "double", "stands under its earlier entry id") for row in done.doubles]
        return [claim for claim in (*refused, *doubles) if claim is not None]

    def _tell_ledger(self, batch: Sequence[Item]) -> None:
        """All records before these are stored: now their claims are true."""
        claims: dict[str, Claim] = {}
        for item in batch:
            if isinstance(item.record, Claim):
                claims[claim_id(item.record)] = item.record
        self._ledger.tell(list(claims.values()))
        self._queue.settle(stored=[item for item in batch if item.kind in LEDGER])

    def _tell_through(self) -> None:
        try:
            self._confirm_through()
        except StorageError as error:
            self.outage.began(error)

    def _confirm_through(self) -> None:
        """Write `through` of every contract whose sessions before are settled.

        Raises:
            StorageError: MongoDB did not confirm.
        """
        self._through_at = self._clock.monotonic()
        through = {key: entry_id for key, entry_id in self._through.items() if key[0] not in self._openings}
        self._writer.tell_through(through)
        for (contract, kind), entry_id in through.items():
            self._board.tell(contract, kind, entry_id)
            del self._through[contract, kind]


def _up_to_opening(batch: Sequence[Item]) -> Sequence[Item]:
    """The batch up to the next opening, which begins a part of its own."""
    for index, item in enumerate(batch):
        if index and isinstance(item.record, Opening):
            return batch[:index]
    return batch


_STORED = (Tick, Trade, Book)


def _note(row: Row, now: int, state: State, note: Note, cause: str) -> Claim | None:
    if row.id is None:
        return None
    record = row.record
    name = f"{note or 'refused'}-{row.id[1]:019d}"
    head = (now, record.contract, row.kind, session_of(row.id), name)
    return Claim(*head, state, record.time, record.time + 1, cause, row.id, row.id, 1, note=note)
