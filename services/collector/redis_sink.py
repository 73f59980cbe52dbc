"""The sink to Redis: it holds the contracts' leases and writes their streams.

Fast path: the thread that received the records writes them, with an answer within 50 ms. Where that fails, or anything
waits already, they go to the queue, and the sink's own thread writes them in its turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from tickrouter import logs
from tickrouter.bus.codec import pack_record, unpack_record
from tickrouter.bus.publish import ALIVE, Entry, Publisher
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import EntryId, session_of
from tickrouter.errors import LeaseLost, RedisForgot, StorageError, StreamConflict
from tickrouter.model.book import Book
from tickrouter.model.coverage import Claim, Opening
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

from .item import CLAIM, FEED, KINDS, Item
from .loss import Loss
from .outage import Outage
from .pipeline import Pipeline
from .session import SessionOpener
from .sink_queue import SinkQueue
from .through import ThroughBoard

QUICK = 0.05
"""Seconds for an answer on the fast path."""
BATCH = 500
PAGE = 5000
IDLE = 0.1
"""Seconds that the thread waits for records before it looks after the leases."""
KEPT_SECONDS = 5.0
"""Acknowledged entries are kept this long, to be sent again where the server has lost them."""
WITHOUT_REDIS = 3.0
"""Seconds after which recording begins without Redis, into MongoDB and the queue."""

Surplus = Callable[[str, str, EntryId], Iterable[tuple[EntryId, Tick | Trade | Book]]]
"""Contract, kind and entry id to what MongoDB has behind it, in order."""
Span = tuple[EntryId, EntryId]
"""First and last entry id."""

_CONTRACT = attrgetter("contract")
_NEVER: EntryId = (2**64, 0)
"""Behind every entry."""

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
    kept: deque[tuple[float, Sequence[Entry]]] = field(default_factory=deque)


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
        spilled: Mapping[tuple[str, str], Span] | None = None,
        surplus: Surplus | None = None,
    ) -> None:
        """Set up; nothing is sent.

        Args:
            queue: before this sink.
            mongo_queue: before the other one, for what Redis alone has and for the ledger.
            rooms: pipeline and publisher by contract.
            opener: opens sessions.
            through: how far MongoDB is.
            clock: of the process.
            lease_ms: how long a lease holds.
            spilled: what an earlier process left in the spill, by contract and kind.
            surplus: what MongoDB has of a stream behind an entry.
        """
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
        # Held by whoever talks to Redis: the sink's thread or a receiving one.
        self._door = threading.Lock()
        self._spilled = dict(spilled or {})
        self._surplus = surplus

    def run(self) -> None:
        while not self._is_over():
            is_stuck = False
            if self._queue.wait(IDLE):
                with self._door:
                    is_stuck = not self._store(self._queue.take(BATCH))
            with self._door:
                self._look_after()
            if is_stuck and not self.outage.is_on:
                self._ending.wait(IDLE)
        with self._door:
            self._let_go()

    def put(self, items: Sequence[Item]) -> None:
        """Write records at once where nothing waits and Redis answers; else they wait in the queue.

        While Redis answers, whoever puts lets the sink catch up, for as long as an answer may take: two threads that
        compete for the interpreter would leave the slower way of the two in use for good.
        """
        if not items:
            return
        if not self._write_quickly(items):
            self._queue.put(items)
            if not self.outage.is_on and not self._ending.is_set():
                self._queue.wait_empty(QUICK)

    def losses(self) -> list[Loss]:
        """What was given up since the last call."""
        return self._queue.losses()

    def stop(self, patience: float) -> None:
        """Write what is queued for at most `patience` seconds, then end."""
        self._deadline = self._clock.monotonic() + patience
        self._ending.set()
        self._queue.wake()

    def _is_over(self) -> bool:
        if not self._ending.is_set():
            return False
        return self._queue.is_empty() or self._clock.monotonic() >= self._deadline

    def _write_quickly(self, items: Sequence[Item]) -> bool:
        """The fast path; True if the records are stored, or taken and left to the sink's thread."""
        if self._ending.is_set() or self.outage.is_on or not self._door.acquire(timeout=QUICK):
            return False
        try:
            parts = [(self._rooms[contract], own) for contract, own in _by_contract(items)]
            if not all(room.is_held and room.is_checked for room, _ in parts) or not self._queue.begin(items):
                return False
            try:
                for room, own in parts:
                    self._write(room, own, quick=True)
            except StorageError as error:
                _log.debug("no fast answer, left to the sink", error=str(error))
            if not self._queue.is_empty():
                self._queue.wake()
            return True
        finally:
            self._door.release()

    def _store(self, batch: Sequence[Item]) -> bool:
        """One try at what was taken; False if it got nowhere with some of it, which is taken again."""
        is_whole = True
        for contract, items in _by_contract(batch):
            room = self._rooms.get(contract)
            if room is None:
                _log.error("spilled records of a contract that is not recorded any more", contract=contract)
                self._queue.settle(given_up=items)
                continue
            try:
                left = self._attempt(room, items)
            except StorageError as error:
                self._queue.stall()
                self.outage.wait(error, self._ending, self._deadline)
                return False
            self.outage.over(len(self._queue))
            if left is None and room.is_standby:
                # Another collector's entries are newer by now: these have no place any more.
                self._queue.settle(given_up=items)
            elif left is None:
                self._queue.stall()
                is_whole = False
        return is_whole

    def _attempt(self, room: _Room, items: Sequence[Item]) -> Sequence[Item] | None:
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

    def _write(self, room: _Room, items: Sequence[Item], *, quick: bool = False) -> Sequence[Item]:
        """One call; what is still to be written: all behind an entry that was refused."""
        entries = [Entry(item.kind, item.id, pack_record(item.record)) for item in items if item.id is not None]
        fields = self._through.fields(room.pipeline.contract) | {ALIVE: str(self._clock.now())}
        done = room.publisher.publish(entries, fields, quick=quick)
        now = self._clock.monotonic()
        room.renewed_at = now
        room.kept.append((now, entries if done.stored == len(entries) else entries[: done.stored]))
        while room.kept and now - room.kept[0][0] > KEPT_SECONDS:
            room.kept.popleft()
        if done.conflict is None:
            self._queue.settle(stored=items)
            return []
        self._queue.settle(stored=items[: done.stored])
        self._refused(items[done.stored], done.conflict)
        return items[done.stored + 1 :]

    def _refused(self, item: Item, conflict: StreamConflict) -> None:
        """Never taken for success: the ledger says what the stream lacks."""
        _log.error("entry refused by its stream", error=str(conflict))
        self._queue.settle(refused=[item])
        if item.id is not None and item.kind != FEED and not isinstance(item.record, Claim | Opening):
            name, time = f"redis-{item.id[1]:019d}", item.record.time
            head = (self._clock.now(), item.contract, item.kind, session_of(item.id), name)
            claim = Claim(*head, "missing", time, time + 1, str(conflict), item.id, item.id, 1, note="redis")
            self._mongo_queue.put([Item(item.contract, CLAIM, None, claim)])

    def _take_up(self, room: _Room) -> bool:
        """Hold the lease, and know that Redis has what it acknowledged. False while another holds the lease."""
        contract = room.pipeline.contract
        if not room.is_held:
            if not room.publisher.acquire():
                self._wait_for(room)
                return False
            room.is_held, room.is_checked, room.is_standby, room.waiting_since = True, False, False, None
            last, alive = room.publisher.last_ids(), room.publisher.alive()
            session = replace(self._opener.open(contract, self._with_spilled(contract, last)), alive=alive)
            if room.pipeline.session is None:
                session = replace(session, repaired=self._repair(room, last, session.stored))
                self._give_back(room, last, session.stored)
            room.pipeline.session = session
            _log.info("lease taken", contract=contract, session=session.number)
        if not room.is_checked:
            last = room.publisher.last_ids()
            kept = [entry for _, batch in room.kept for entry in batch]
            missing = [entry for entry in kept if entry.id > last.get(entry.kind, (0, 0))]
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

    def _with_spilled(self, contract: str, last: Mapping[str, EntryId]) -> dict[str, EntryId]:
        """The last ids of the streams, once what an earlier process left is written."""
        own = {kind: end for (name, kind), (_, end) in self._spilled.items() if name == contract}
        return {kind: max(last.get(kind, (0, 0)), own.get(kind, (0, 0))) for kind in {*last, *own}}

    def _repair(
        self, room: _Room, last: Mapping[str, EntryId], stored: Mapping[str, EntryId] | None
    ) -> dict[str, tuple[int, int]]:
        """Hand to MongoDB what Redis alone has since the last session died.

        Returns:
            Start and end, by kind, of what was handed on without a hole from where MongoDB ended.
        """
        repaired: dict[str, tuple[int, int]] = {}
        for kind, end in last.items() if stored is not None else ():
            if kind == FEED or stored is None:
                continue
            # Where MongoDB knows nothing, the stream may be another database's: only its last session is ours.
            after = stored.get(kind)
            lowest = session_of(after) if after is not None else session_of(end)
            found = self._hand_on(room, kind, after or (0, 0), end, lowest)
            if found and after is not None and found[0].id == (found[0].id[0], after[1] + 1):
                times = [unpack_record(KINDS[kind], entry.data).time for entry in (found[0], found[-1])]
                if session_of(end) == lowest and not self._feed_says(room, found[0].id[0]):
                    repaired[kind] = times[0], times[1] + 1
        return repaired

    def _give_back(self, room: _Room, last: Mapping[str, EntryId], stored: Mapping[str, EntryId] | None) -> None:
        """Write to the streams what MongoDB alone has of their last session, before and behind what the spill holds."""
        contract = room.pipeline.contract
        for kind, end in last.items():
            if kind == FEED or stored is None or self._surplus is None:
                continue
            first, spilled = self._spilled.get((contract, kind), (_NEVER, _NEVER))
            rows = [row for row in self._surplus(contract, kind, end) if session_of(row[0]) == session_of(end)]
            entries = [Entry(kind, entry_id, pack_record(record)) for entry_id, record in rows if entry_id < first]
            for start in range(0, len(entries), BATCH):
                done = room.publisher.publish(entries[start : start + BATCH])
                if done.conflict is not None:
                    _log.error("entry refused by its stream", error=str(done.conflict))
            behind = [Item(contract, kind, *row) for row in rows if row[0] > spilled]
            self._queue.put(behind)
            if entries or behind:
                count = len(entries) + len(behind)
                _log.info("given back to Redis", contract=contract, kind=kind, entries=count)

    def _hand_on(self, room: _Room, kind: str, after: EntryId, end: EntryId, lowest: int) -> list[Entry]:
        """Put entries of sessions from `lowest` on into MongoDB's queue; the first and the last of them."""
        contract, ends = room.pipeline.contract, []
        while after < end:
            page = room.publisher.read_after(kind, after, PAGE)
            rows = [entry for entry in page if session_of(entry.id) >= lowest]
            items = [Item(contract, kind, entry.id, unpack_record(KINDS[kind], entry.data)) for entry in rows]
            self._mongo_queue.put(items)
            room.publisher.publish([])
            if rows:
                _log.info("handed to MongoDB what Redis alone had", contract=contract, kind=kind, entries=len(rows))
                ends += [rows[0], rows[-1]]
            if len(page) < PAGE:
                break
            after = page[-1].id
        return [ends[0], ends[-1]] if ends else []

    def _feed_says(self, room: _Room, since_ms: int) -> bool:
        """True if the feed changed since: then what was handed on may have holes."""
        return bool(room.publisher.read_after(FEED, (since_ms, 0), 1))

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
                    room.pipeline.session = self._opener.open(contract, self._with_spilled(contract, {}))
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


def _by_contract(items: Sequence[Item]) -> list[tuple[str, Sequence[Item]]]:
    contracts = set(map(_CONTRACT, items))
    if len(contracts) == 1:
        return [(contracts.pop(), items)]
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.contract, []).append(item)
    return list(found.items())
