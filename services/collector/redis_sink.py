"""The sink to Redis: one thread that holds the contracts' leases and writes their streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tickrouter import logs
from tickrouter.bus.codec import pack_record, unpack_record
from tickrouter.bus.publish import Entry, Publisher
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import EntryId, session_of
from tickrouter.errors import LeaseLost, RedisForgot, StorageError

from .item import FEED, KINDS, Item
from .outage import Outage
from .pipeline import Pipeline
from .session import SessionOpener
from .sink_queue import SinkQueue
from .through import ThroughBoard

BATCH = 500
PAGE = 5000
IDLE = 0.1
"""Seconds that the thread waits for records before it looks after the leases."""
KEPT_SECONDS = 5.0
"""Acknowledged entries are kept this long, to be sent again where the server has lost them."""
WITHOUT_REDIS = 3.0
"""Seconds after which recording begins without Redis, into MongoDB and the queue."""

_log = logs.get("redis")


@dataclass(slots=True)
class _Room:
    """What the sink knows of one contract."""

    pipeline: Pipeline
    publisher: Publisher
    is_held: bool = False
    is_checked: bool = False
    is_standby: bool = False
    waiting_since: float | None = None
    renewed_at: float = 0.0
    kept: deque[tuple[float, Entry]] = field(default_factory=deque)


class RedisSink(threading.Thread):
    """Takes from its queue, strictly first in, first out; repeats what was not confirmed."""

    def __init__(
        self,
        queue: SinkQueue,
        mongo_queue: SinkQueue,
        rooms: Mapping[str, tuple[Pipeline, Publisher]],
        opener: SessionOpener,
        through: ThroughBoard,
        clock: Clock,
        *,
        lease_ms: int,
    ) -> None:
        super().__init__(name="redis-sink", daemon=True)
        self.outage = Outage("Redis", _log, clock)
        self._queue = queue
        self._mongo_queue = mongo_queue
        self._rooms = {contract: _Room(*room) for contract, room in rooms.items()}
        self._opener = opener
        self._through = through
        self._clock = clock
        self._renew_every = lease_ms / 4000
        # An acquisition whose answer was lost holds the lease in nobody's name until it expires.
        self._grace = lease_ms * 1.5 / 1000
        self._began = clock.monotonic()
        self._ending = threading.Event()
        self._deadline = float("inf")

    def run(self) -> None:
        while not self._is_over():
            batch = self._queue.take(BATCH, IDLE)
            by_contract: dict[str, list[Item]] = {}
            for item in batch:
                by_contract.setdefault(item.contract, []).append(item)
            for contract, items in by_contract.items():
                self._store(self._rooms[contract], items)
            self._look_after()
        self._let_go()

    def stop(self, patience: float) -> None:
        """Write what is queued for at most `patience` seconds, then end."""
        self._deadline = self._clock.monotonic() + patience
        self._ending.set()
        self._queue.wake()

    def _is_over(self) -> bool:
        if not self._ending.is_set():
            return False
        return not len(self._queue) or self._clock.monotonic() >= self._deadline

    def _store(self, room: _Room, items: list[Item]) -> None:
        """Write one contract's part of a batch, however long Redis is away."""
        rest: list[Item] | None = items
        while rest:
            try:
                left = self._attempt(room, rest)
                self.outage.over(len(self._queue))
            except StorageError as error:
                if not self.outage.wait(error, self._ending, self._deadline):
                    continue
                left = None
            if left is None and room.pipeline.session is not None and self._clock.monotonic() < self._deadline:
                self._ending.wait(IDLE)
                continue
            if left is None:
                self._queue.settle(given_up=rest)
            rest = left

    def _attempt(self, room: _Room, items: list[Item]) -> list[Item] | None:
        """One try; what is still to be written, or None while the lease is not to be had.

        Raises:
            StorageError: Redis did not answer.
        """
        try:
            return self._write(room, items) if self._take_up(room) else None
        except LeaseLost:
            _log.warning("lease lost", contract=room.pipeline.contract)
            room.is_held = False
        except RedisForgot as error:
            _log.warning("Redis was restarted or replaced", error=str(error))
            room.publisher.load()
            for other in self._rooms.values():
                other.is_checked = False
        return items

    def _write(self, room: _Room, items: list[Item]) -> list[Item]:
        """One call; what is still to be written: all behind an entry that was refused."""
        entries = [Entry(item.kind, item.id, pack_record(item.record)) for item in items if item.id is not None]
        done = room.publisher.publish(entries, self._through.fields(room.pipeline.contract))
        now = self._clock.monotonic()
        room.renewed_at = now
        room.kept.extend((now, entry) for entry in entries[: done.stored])
        while room.kept and now - room.kept[0][0] > KEPT_SECONDS:
            room.kept.popleft()
        self._queue.settle(stored=items[: done.stored])
        if done.conflict is None:
            return []
        _log.error("entry refused by its stream", error=str(done.conflict))
        self._queue.settle(refused=items[done.stored : done.stored + 1])
        return items[done.stored + 1 :]

    def _take_up(self, room: _Room) -> bool:
        """Hold the lease, and know that Redis has what it acknowledged. False while another holds the lease."""
        contract = room.pipeline.contract
        if not room.is_held:
            if not room.publisher.acquire():
                self._wait_for(room)
                return False
            room.is_held, room.is_checked, room.is_standby, room.waiting_since = True, False, False, None
            last = room.publisher.last_ids()
            session = self._opener.open(contract, last)
            if room.pipeline.session is None:
                self._repair(room, last, session.stored)
            room.pipeline.session = session
            _log.info("lease taken", contract=contract, session=session.number)
        if not room.is_checked:
            last = room.publisher.last_ids()
            missing = [entry for _, entry in room.kept if entry.id > last.get(entry.kind, (0, 0))]
            if missing:
                done = room.publisher.publish(missing)
                _log.warning("Redis had lost acknowledged entries, sent again", contract=contract, entries=done.stored)
                if done.conflict is not None:
                    _log.error("entry refused by its stream", error=str(done.conflict))
            room.is_checked = True
        return True

    def _wait_for(self, room: _Room) -> None:
        """The lease is taken. Once it is plain that another collector renews it, this one records no more."""
        now = self._clock.monotonic()
        if room.waiting_since is None:
            room.waiting_since = now
        elif now - room.waiting_since > self._grace and not room.is_standby:
            room.is_standby = True
            room.pipeline.session = None
            _log.warning("another collector holds the lease, waiting", contract=room.pipeline.contract)

    def _repair(self, room: _Room, last: Mapping[str, EntryId], stored: Mapping[str, EntryId] | None) -> None:
        """Hand to MongoDB what the last session wrote to Redis and not there any more before it died."""
        contract = room.pipeline.contract
        if stored is None:
            return
        for kind, end in last.items():
            if kind == FEED:
                continue
            after = stored.get(kind, (0, 0))
            while after < end:
                page = room.publisher.read_after(kind, after, PAGE)
                rows = [entry for entry in page if session_of(entry.id) == session_of(end)]
                self._mongo_queue.put(
                    [Item(contract, kind, entry.id, unpack_record(KINDS[kind], entry.data)) for entry in rows]
                )
                room.publisher.publish([])
                if rows:
                    _log.info("handed to MongoDB what Redis alone had", contract=contract, kind=kind, entries=len(rows))
                if len(page) < PAGE:
                    break
                after = page[-1].id

    def _look_after(self) -> None:
        """Renew leases, take those that are free, pass on how far MongoDB is."""
        now = self._clock.monotonic()
        for contract, room in self._rooms.items():
            if now - room.renewed_at < self._renew_every:
                continue
            room.renewed_at = now
            try:
                self._attempt(room, [])
                self.outage.over(len(self._queue))
            except StorageError as error:
                self.outage.began(error)
                if room.pipeline.session is None and now - self._began > WITHOUT_REDIS and not room.is_standby:
                    room.pipeline.session = self._opener.open(contract, {})
                    _log.warning("recording begins without Redis", contract=contract)
                return

    def _let_go(self) -> None:
        for room in self._rooms.values():
            if room.is_held:
                try:
                    self._write(room, [])
                    room.publisher.release()
                except StorageError as error:
                    _log.warning("lease not given up", contract=room.pipeline.contract, error=str(error))
