"""The sink to MongoDB: one thread that writes batches and keeps `through`."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tickrouter import logs
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import StorageError
from tickrouter.history.sink import MarketWriter, Row
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
        self,
        queue: SinkQueue,
        writer: MarketWriter,
        through: ThroughBoard,
        clock: Clock,
    ) -> None:

        super().__init__(name="mongo-sink", daemon=True)
        self.outage = Outage("MongoDB", _log, clock)
        self.repeated = 0
        self.replaced = 0
        self._queue = queue
        self._writer = writer
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
        return not len(self._queue) or self._clock.monotonic() >= self._deadline

    def _store(self, batch: Sequence[Item]) -> None:
        """Write a batch, however long MongoDB is away."""
        rows = [Row(item.kind, item.id, item.record) for item in batch if not isinstance(item.record, Feed)]
        while True:
            try:
                if not self._is_prepared:
                    self._writer.prepare()
                    self._is_prepared = True
                done = self._writer.write(rows)
                break
            except StorageError as error:
                if self.outage.wait(error, self._ending, self._deadline):
                    self._queue.settle(given_up=batch)
                    return
        self.outage.over(len(self._queue))
        self.repeated += done.repeated
        self.replaced += done.replaced
        for row, key in done.conflicts:
            _log.error("document refused, its key holds something else", kind=row.kind, key=key)
        refused = {id(row.record) for row, _ in done.conflicts}
        self._queue.settle(
            stored=[item for item in batch if id(item.record) not in refused],
            refused=[item for item in batch if id(item.record) in refused],
        )
        for item in batch:
            if item.id is not None:
                self._through[item.contract, item.kind] = item.id

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
