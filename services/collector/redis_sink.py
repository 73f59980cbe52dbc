"""The sink to Redis: it holds the contracts' leases and writes their streams.

Fast path: the thread that received the records writes them, with an answer within 50 ms. Where that fails, or anything
waits already, they go to the queue, and the sink's own thread writes them in its turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tickrouter import logs
from tickrouter.bus.publish import ALIVE, Batch, Published, Publisher, publish_together
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import session_of
from tickrouter.errors import LeaseLost, RedisForgot, StorageError, StreamConflict
from tickrouter.model.coverage import Claim, Opening

from .give_back import BATCH, GiveBack
from .item import CLAIM, FEED, Item, by_contract
from .loss import Loss
from .outage import Outage
from .pipeline import Pipeline
from .session import SessionOpener
from .sink_queue import SinkQueue
from .takeover import Takeover, Takeovers, claim_fields, claims_in
from .through import ThroughBoard

QUICK = 0.05
"""Seconds for an answer on the fast path."""
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
    is_open: bool = False
    """A session was opened since the lease was taken."""
    first_session: int = 0
    """Of this process; what is of those before is another's."""
    is_checked: bool = False
    is_standby: bool = False
    waiting_since: float | None = None
    renewed_at: float = 0.0
    kept: deque[tuple[float, bytes, int]] = field(default_factory=deque)
    """What was acknowledged: when, in which bytes, and how many entries of them."""

    @property
    def is_ready(self) -> bool:
        """True if nothing stands between records and their streams."""
        return self.is_held and self.is_open and self.is_checked


class RedisSink(threading.Thread):
    """Takes from its queue, strictly first in, first out; repeats what was not confirmed."""

    def __init__(
        self,
        queue: SinkQueue,
        mongo_queue: SinkQueue,
        rooms: Mapping[str, tuple[Pipeline, Publisher]],
        opener: SessionOpener,
        through: ThroughBoard,
        takeovers: Takeovers,
        clock: Clock,
        *,
        lease_ms: int,
        give_back: GiveBack | None = None,
    ) -> None:
        """Set up; nothing is sent.

        Args:
            queue: before this sink.
            mongo_queue: before the other one, for the ledger.
            rooms: pipeline and publisher by contract.
            opener: opens sessions.
            through: how far MongoDB is.
            takeovers: told what is found in the streams.
            clock: of the process.
            lease_ms: how long a lease holds.
            give_back: knows what the sessions before left; without it nothing is given back to Redis.
        """
        super().__init__(name="redis-sink", daemon=True)
        self.outage = Outage("Redis", _log, clock)
        self._queue = queue
        self._mongo_queue = mongo_queue
        self._rooms = {contract: _Room(*room) for contract, room in rooms.items()}
        self._opener = opener
        self._through = through
        self._takeovers = takeovers
        self._clock = clock
        self._renew_every = lease_ms / 4000
        # An acquisition whose answer was lost holds the lease in nobody's name until it expires.
        self._grace = lease_ms * 1.5 / 1000
        self._began = clock.monotonic()
        self._ending = threading.Event()
        self._deadline = float("inf")
        # Held by whoever talks to Redis: the sink's thread or a receiving one.
        self._door = threading.Lock()
        self._give_back = give_back or GiveBack(queue)

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
        if items and not self._write_quickly(items):
            self._queue.put(items)
            if not self.outage.is_on and not self._ending.is_set() and self._rooms[items[-1].contract].is_ready:
                self._queue.wait_empty(QUICK)

    def losses(self, contracts: Collection[str]) -> list[Loss]:
        """What was given up of these contracts since the last call."""
        return self._queue.losses(contracts)

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
            # A contract alone is the usual case: nothing to sort.
            own_rooms = by_contract(items) if len(self._rooms) > 1 else [(items[0].contract, items)]
            parts = [(self._rooms[contract], own) for contract, own in own_rooms]
            if not all(room.is_ready for room, _ in parts) or not self._queue.begin(items):
                return False
            batches = [self._batch(room, own) for room, own in parts]
            try:
                answers = publish_together(batches)
            except StorageError as error:
                answers = [error] * len(batches)
            for (room, own), batch, done in zip(parts, batches, answers, strict=True):
                if isinstance(done, StorageError):
                    _log.debug("no fast answer, left to the sink", error=str(done))
                else:
                    self._written(room, own, batch, done)
            if not self._queue.is_empty():
                self._queue.wake()
            return True
        finally:
            self._door.release()

    def _store(self, batch: Sequence[Item]) -> bool:
        """One try at what was taken; False if it got nowhere with some of it, which is taken again."""
        is_whole = True
        for contract, items in by_contract(batch):
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

    def _write(self, room: _Room, items: Sequence[Item]) -> Sequence[Item]:
        """One call; what is still to be written."""
        batch = self._batch(room, items)
        (done,) = publish_together([batch], is_quick=False)
        if isinstance(done, StorageError):
            raise done
        return self._written(room, items, batch, done)

    def _batch(self, room: _Room, items: Sequence[Item]) -> Batch:
        fields = self._through.fields(room.pipeline.contract) | {ALIVE: str(self._clock.now())}
        if told := [item.record for item in items if item.id is None]:
            claims = [claim for claim in told if isinstance(claim, Claim) and not claim.note]
            fields |= claim_fields({claim.kind: claim for claim in claims})
        return Batch(room.publisher, items, fields)

    def _written(self, room: _Room, items: Sequence[Item], batch: Batch, done: Published) -> Sequence[Item]:
        """Settle what a call has done; what is still to be written: all behind an entry that was refused."""
        now = self._clock.monotonic()
        room.renewed_at = now
        room.kept.append((now, batch.packed, done.stored))
        while room.kept and now - room.kept[0][0] > KEPT_SECONDS:
            room.kept.popleft()
        if done.conflict is None:
            self._queue.settle(stored=items)
            return []
        refused = [item for item in items if item.id is not None][done.stored]
        at = next(index for index, item in enumerate(items) if item is refused)
        self._queue.settle(stored=items[:at])
        self._refused(refused, done.conflict)
        return items[at + 1 :]

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
            room.is_held, room.is_open, room.is_checked = True, False, False
            room.is_standby, room.waiting_since = False, None
        if not room.is_open:
            self._open(room)
            room.is_open = True
        if not room.is_checked:
            last = room.publisher.last_ids()
            kept = [entry for _, packed, stored in room.kept for entry in room.publisher.unpacked(packed)[:stored]]
            missing = [entry for entry in kept if entry.id > last.get(entry.kind, (0, 0))]
            if missing:
                done = room.publisher.publish(missing)
                _log.warning("Redis had lost acknowledged entries, sent again", contract=contract, entries=done.stored)
                if done.conflict is not None:
                    _log.error("entry refused by its stream", error=str(done.conflict))
            room.is_checked = True
        return True

    def _open(self, room: _Room) -> None:
        """A session begins, above all that stands in the streams or will.

        Raises:
            StorageError: Redis did not answer; to be tried again.
        """
        contract, publisher = room.pipeline.contract, room.publisher
        last, told = publisher.last_ids(), publisher.told()
        ends = self._give_back.with_spilled(contract, last)
        session = self._opener.open(contract, ends, lambda: publisher.publish([]))
        alive = told.get(ALIVE, "")
        session = replace(session, alive=int(alive) if alive.isdigit() else 0)
        is_new = room.pipeline.session is None
        if is_new:
            room.first_session = session.number
        if is_new or self._takeovers.of(contract) is None:
            for kind, end in last.items() if session.is_whole else ():
                if kind != FEED:
                    ends[kind] = self._give_back.write(publisher, kind, end, room.first_session, is_new=is_new)
                    publisher.publish([])  # MongoDB may take its time, and the lease runs
            self._takeovers.tell(contract, Takeover(ends, claims_in(told)))
        room.pipeline.session = session
        _log.info("lease taken", contract=contract, session=session.number)

    def _wait_for(self, room: _Room) -> None:
        """The lease is taken. Once it is plain that another collector renews it, this one records no more."""
        now = self._clock.monotonic()
        if room.waiting_since is None:
            room.waiting_since = now
        elif now - room.waiting_since > self._grace and not room.is_standby:
            room.is_standby = True
            room.pipeline.session = None
            _log.warning("another collector holds the lease, waiting", contract=room.pipeline.contract)

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
                    session = self._opener.open(contract, self._give_back.with_spilled(contract, {}))
                    room.first_session, room.pipeline.session = session.number, session
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
