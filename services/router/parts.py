"""The parts of one tenure, joined: what was left is taken up, then everything runs until the tenure ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tickrouter import logs
from tickrouter.config import Config
from tickrouter.core.facts import CancelAsked, Forgotten, Interrupted
from tickrouter.core.order_events import first_event
from tickrouter.errors import StorageError, TickrouterError, VenueError
from tickrouter.history.order_copies import open_copies
from tickrouter.history.orders import is_known
from tickrouter.model.event import Reason
from tickrouter.model.ids import default_mark
from tickrouter.model.order import Order, Status

from .actions import Actions
from .balances import Balances
from .controls import Controls, Told
from .desk import Desk
from .guard import Guard
from .intake import Intake
from .lane import Lane
from .listings import Listings
from .places import Places
from .private_feed import PrivateFeed
from .reconciler import Reconciler
from .resolver import Resolver
from .sender import Sender
from .timers import Timers
from .tracker import Tracker
from .venue_link import Stopped
from .works import Work, Works

_MS = 1_000_000
CLOCK_EVERY = 60.0
"""Seconds between two measurements of the venue's clock."""
CREW = 4
"""Threads that read the queue in turns."""
JOIN = 5.0
"""Seconds that a part has to end."""


class Parts:
    """Built for one desk, run once."""

    def __init__(self, desk: Desk, config: Config, mongo: Any, *, told: Told) -> None:
        name = str(desk.account)
        self._desk = desk
        self._mongo = mongo
        works = Works(desk)
        self._tracker = Tracker(desk, works)
        self._sender = Sender(desk, self._tracker, works)
        guard = Guard(desk, desk.config.risk.limits, _paper(desk, config))
        self._actions = Actions(desk, self._sender, self._tracker, works, guard)
        self._intake = Intake(desk, Places(desk, self._sender, guard), self._actions, works)
        self._balances = Balances(desk)
        self.feed = PrivateFeed(desk, config.card(desk.account.venue).hosts.socket, self._tracker, self._balances)
        self.controls = Controls(desk, guard, told)
        listings = Listings(desk.venue)
        self._reconciler = Reconciler(
            desk, listings, lambda oid: is_known(mongo, name, oid), config.id_mark or default_mark(desk.account)
        )
        self._resolver = Resolver(desk, listings, self._reconciler)
        self._timers = Timers(desk, self._sender)
        self._log = logs.get("parts").bind(account=name)

    def take_up(self) -> int:
        """Go on with what earlier tenures left, as the journal and MongoDB's copy show it; how many orders."""
        self._desk.venue.drain_returns()
        self._learn()
        lanes = [self._desk.add(order) for order in self._desk.journal.open_orders()]
        if self._desk.epoch.is_new:
            lanes += self._forgotten_by_redis()
        for lane in lanes:
            self._take_up_order(lane)
        # What is judged from here on is judged under the rules in force.
        self.controls.take_up()
        for command, data in self._desk.journal.work().items():
            self._actions.start(Work.from_bytes(command, data), again=True)
        self._tracker.sweep()
        self._desk.taken_up()
        return len(lanes)

    def run(self) -> None:
        """Until the tenure ends."""
        runs: dict[str, Callable[[], None]] = {
            **{f"intake-{number}": self._intake.run for number in range(CREW)},
            "places": self._sender.run_places,
            "cancels": self._sender.run_cancels,
            "returns": self._desk.venue.run_returns,
            "tracker": self._tracker.run,
            "resolver": self._resolver.run,
            "reconciler": self._reconciler.run,
            "timers": self._timers.run,
            "controls": self.controls.run,
            "feed": self.feed.run,
            "balances": self._balances.run,
            "clock": self._keep_time,
        }
        threads = [
            threading.Thread(target=self._part, args=(run,), name=f"{part}-{self._desk.account}", daemon=True)
            for part, run in runs.items()
        ]
        # What earlier holders of the lease claimed comes first.
        self._part(self._intake.run_pending)
        for thread in threads:
            thread.start()
        self._desk.stop.wait()
        self._sender.wake()
        for thread in threads:
            thread.join(JOIN)

    def _part(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Stopped:
            pass
        except TickrouterError as error:
            self._desk.fail(error)
        except Exception as error:
            self._log.exception("a part of the router failed")
            self._desk.fail(StorageError(f"a part of the router failed: {error!r}"))

    def _take_up_order(self, lane: Lane) -> None:
        order = lane.order
        never_signed = order.status is Status.PENDING_NEW and order.stamp is None
        known_unsigned = never_signed and order.client_oid in self._desk.unsigned
        if self._desk.epoch.is_new and not order.status.is_final and not known_unsigned:
            lane.apply(Forgotten(self._desk.epoch.opened_ms * _MS))
        elif order.status is Status.PENDING_NEW and order.stamp is not None:
            lane.apply(Interrupted())
        elif never_signed and order.cancel_requested is not None:
            lane.apply(CancelAsked(order.cancel_requested, order.replacement))
        elif never_signed:
            self._sender.place(lane)
        elif order.exchange_oid is not None:
            self._tracker.look(lane)
            if order.cancel_requested is not None and order.status.is_working:
                self._sender.cancel(lane)

    def _forgotten_by_redis(self) -> list[Lane]:
        """Orders that MongoDB's copy knows as open and Redis does not know any more, as in doubt."""
        found: list[Lane] = []
        for order in open_copies(self._mongo, self._desk.account):
            lane = self._desk.adopt(*self._as_doubtful(order)) if self._is_missing(order) else None
            if lane is not None:
                found.append(lane)
        return found

    def _is_missing(self, order: Order) -> bool:
        return self._desk.lane(order.client_oid) is None

    def _as_doubtful(self, order: Order) -> tuple[Order, Any]:
        """The copy, with the epoch's opening as its stamp."""
        now = self._desk.clock.now()
        doubtful = replace(
            order,
            status=Status.IN_DOUBT,
            stamp=self._desk.epoch.opened_ms * _MS,
            step=order.step + 1,
            cancel_sent=False,
            reason=Reason("redis_forgot", "known to MongoDB's copy only"),
            fact="redis forgot",
            updated=now,
        )
        return doubtful, first_event(doubtful, now)

    def _learn(self) -> None:
        """The venue's clock and contracts; without them routing begins all the same, and they are asked again."""
        venue = self._desk.venue
        try:
            venue.measure_clock()
            venue.adapter.learn(venue.ask(lambda _stamp: venue.adapter.symbols(), venue.adapter.read_symbols))
        except VenueError as error:
            self._log.warning("the venue's clock and contracts were not read", error=str(error))

    def _keep_time(self) -> None:
        while not self._desk.stop.wait(CLOCK_EVERY):
            self._learn()


def _paper(desk: Desk, config: Config) -> Reason | None:
    if desk.config.mode == "live" or config.is_local(desk.account.venue):
        return None
    return Reason("paper", f"{desk.account} is of mode paper, the venue is a live one: write mode: live to trade")
