"""What one tenure of an account's lease holds: its lanes, its venue, its journal. It ends as a whole."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tickrouter import logs
from tickrouter.bus.connection import Redis
from tickrouter.bus.journal import Journal
from tickrouter.bus.order_store import read_order
from tickrouter.clock import Clock
from tickrouter.config import AccountConfig, RouterConfig
from tickrouter.core.facts import VenueOrder
from tickrouter.core.order_life import Change
from tickrouter.core.recovery import Proof
from tickrouter.errors import StorageError
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event
from tickrouter.model.order import Order, Status

from .alarms import Alarms
from .epochs import Entered
from .lane import WATCH_MS, Lane
from .venue_link import Stopped, VenueLink

_MS = 1_000_000
DONE_KEPT = 5_000
"""Finished orders kept in memory, for what still comes of them."""
READERS = 8
"""Threads for questions to the venue, apart from those that send orders."""


class Desk:
    """State shared by the parts of one account's router, from taking the lease to losing it."""

    def __init__(
        self,
        *,
        account: Account,
        config: AccountConfig,
        router: RouterConfig,
        journal: Journal,
        redis: Redis,
        market_redis: Redis,
        venue: VenueLink,
        proof: Proof,
        clock: Clock,
        stop: threading.Event,
        alarms: Alarms,
        epoch: Entered,
        unsigned: frozenset[str],
    ) -> None:
        """`unsigned` are orders of which this process knows that it never signed a request."""
        self.account = account
        self.config = config
        self.router = router
        self.journal = journal
        self.redis = redis
        self.market_redis = market_redis
        self.venue = venue
        self.proof = proof
        self.clock = clock
        self.stop = stop
        self.epoch = epoch
        self.unsigned = unsigned
        self._is_taken_up = not epoch.is_new
        self._looked_through: set[Contract] = set()
        self.unclaimed: dict[str, VenueOrder] = {}
        """Orders at the venue that the journal does not know and nobody claims, by client id."""
        self._alarms = alarms
        self.failure: Exception | None = None
        self.listeners: list[Callable[[Lane, Change], None]] = []
        self.tell_of_halt: Callable[[], None] = _nothing
        """Tells of a halt that was not told yet."""
        self.counts: dict[str, int] = {}
        self._lanes: dict[str, Lane] = {}
        self._by_exchange_oid: dict[str, Lane] = {}
        self._settling: dict[str, Lane] = {}
        """Final, but not done: fills are pending."""
        self._doubtful: dict[str, Lane] = {}
        self._timed: dict[str, Lane] = {}
        self._done: OrderedDict[str, Lane] = OrderedDict()
        self._lock = threading.Lock()
        self._senders = ThreadPoolExecutor(router.workers, thread_name_prefix=f"send-{account}")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"read-{account}")
        self._log = logs.get("desk")

    # --- lanes

    def add(self, order: Order) -> Lane:
        """A lane for an order of the journal; the one there is, if it is known."""
        with self._lock:
            lane = self._lanes.get(order.client_oid) or self._done.get(order.client_oid)
            if lane is None:
                lane = Lane(order, self.journal, self.clock, self._changed)
                self._file(lane)
            return lane

    def lane(self, client_oid: str) -> Lane | None:
        """The order's lane, also of one that is finished; None if the journal does not know it."""
        with self._lock:
            lane = self._lanes.get(client_oid) or self._done.get(client_oid)
        if lane is None:
            order = read_order(self.redis, str(self.account), client_oid)
            lane = self.add(order) if order is not None else None
        return lane

    def lane_of(self, exchange_oid: str) -> Lane | None:
        """The lane of the order with the venue's id; None if it is nobody's of ours."""
        with self._lock:
            lane = self._by_exchange_oid.get(exchange_oid)
        if lane is None:
            client_oid = self.journal.client_oid(exchange_oid)
            lane = self.lane(client_oid) if client_oid else None
        return lane

    def open_lanes(self) -> list[Lane]:
        """Lanes of orders that are not done."""
        with self._lock:
            return list(self._lanes.values())

    def doubtful_lanes(self) -> list[Lane]:
        """Lanes of orders in doubt."""
        with self._lock:
            return list(self._doubtful.values())

    def timed_lanes(self) -> list[Lane]:
        """Lanes of orders that are to be cancelled at a time."""
        with self._lock:
            return list(self._timed.values())

    @property
    def open_orders(self) -> int:
        """How many orders are not final."""
        with self._lock:
            return len(self._lanes) - len(self._settling)

    def never_signed(self) -> frozenset[str]:
        """Orders that were admitted and of which this process knows that no request was ever signed.

        What a Redis that forgot shows as never signed may have been, until all of it is taken up as in doubt.
        """
        if not self._is_taken_up:
            return self.unsigned
        return frozenset(
            lane.order.client_oid
            for lane in self.open_lanes()
            if lane.order.status is Status.PENDING_NEW and lane.order.attempt == 0
        )

    def taken_up(self) -> None:
        """Note that every order that was open at the epoch's opening is known here."""
        self.journal.taken_up(self.epoch.number)
        self._is_taken_up = True

    @property
    def quiet_until(self) -> int:
        """Our time in ns after which the venue shows all that was sent before this epoch opened."""
        return self.epoch.opened_ms * _MS + (self.proof.tolerance or 0) + self.proof.lag

    def looked_through(self, contract: Contract) -> None:
        """The venue's orders of a contract were compared after `quiet_until`: what Redis forgot of it is known."""
        self._looked_through.add(contract)

    def is_looked_through(self, contract: Contract) -> bool:
        """False while an order that Redis forgot may be unknown: a place that repeats it must wait."""
        if contract in self._looked_through:
            return True
        return not self.epoch.opened_ms or self.clock.now() > self.epoch.opened_ms * _MS + WATCH_MS * _MS

    def claimed(self) -> frozenset[str]:
        """Exchange ids that belong to orders in memory."""
        with self._lock:
            return frozenset(self._by_exchange_oid)

    def adopt(self, order: Order, *events: Event) -> Lane | None:
        """Take an order into the journal that it does not know; None if it knows one of that client id."""
        if not self.journal.adopt(order, events):
            return None
        for event in events:
            self._alarms.say(event)
        self.count("adopted")
        return self.add(order)

    def tell(self, *events: Event, command: str | None = None) -> None:
        """Publish events of no order's step, ending a command's work where one is named."""
        if self.journal.tell(events, command=command):
            for event in events:
                self._alarms.say(event)

    def _changed(self, lane: Lane, change: Change) -> None:
        with self._lock:
            self._file(lane)
        self.count(f"order_{change.order.status}", change.order.status is not change.before.status)
        self.count("fills", len(change.order.fills) - len(change.before.fills))
        for event in change.events:
            self._alarms.say(event)
        for listener in self.listeners:
            listener(lane, change)

    def _file(self, lane: Lane) -> None:
        order = lane.order
        if order.exchange_oid is not None:
            self._by_exchange_oid[order.exchange_oid] = lane
        _sort(self._settling, lane, order.status.is_final and not order.is_done)
        _sort(self._doubtful, lane, order.status is Status.IN_DOUBT)
        _sort(self._timed, lane, order.cancel_at is not None and not order.status.is_final)
        if not order.is_done:
            self._lanes[order.client_oid] = lane
            self._done.pop(order.client_oid, None)
            return
        self._lanes.pop(order.client_oid, None)
        self._done[order.client_oid] = lane
        while len(self._done) > DONE_KEPT:
            _, old = self._done.popitem(last=False)
            self._by_exchange_oid.pop(old.order.exchange_oid or "", None)

    # --- work

    def send(self, task: Callable[..., object], *args: Any) -> None:
        """Run a task that sends to the venue."""
        self._submit(self._senders, task, args)

    def read(self, task: Callable[..., object], *args: Any) -> None:
        """Run a task that asks the venue."""
        self._submit(self._readers, task, args)

    def _submit(self, pool: ThreadPoolExecutor, task: Callable[..., object], args: Iterable[Any]) -> None:
        if not self.stop.is_set():
            pool.submit(self.guarded, task, *args)

    def guarded(self, task: Callable[..., object], *args: Any) -> None:
        """Run a task; a fault of storage ends the tenure, any other is logged and counted."""
        try:
            task(*args)
        except Stopped:
            pass
        except StorageError as error:
            self.fail(error)
        except Exception as error:
            self.count("faults")
            self._log.exception("a task failed", task=getattr(task, "__qualname__", str(task)), error=str(error))

    def fail(self, error: Exception) -> None:
        """End this tenure: recovery decides what follows."""
        if not self.stop.is_set():
            self.failure = error
            self.stop.set()

    def count(self, name: str, by: int = 1) -> None:
        """Raise a counter that the state file shows."""
        if by:
            with self._lock:
                self.counts[name] = self.counts.get(name, 0) + by

    def close(self) -> None:
        """Let what is under way at the venue come back, and end."""
        self.stop.set()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._senders.shutdown(wait=True, cancel_futures=True)
        self.venue.drain_returns()


def _sort(group: dict[str, Lane], lane: Lane, belongs: bool) -> None:
    if belongs:
        group[lane.order.client_oid] = lane
    else:
        group.pop(lane.order.client_oid, None)


def _nothing() -> None:
    """Until somebody follows the halt."""
