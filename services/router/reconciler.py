"""Compares the journal with the venue, at start and now and then: both figures are told, fills are found, once each."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tickrouter import logs
from tickrouter.core.facts import Executed, Seen, VenueFill, VenueOrder
from tickrouter.core.order_events import first_event
from tickrouter.core.reconcile import adopted, difference, is_another, twin_id
from tickrouter.core.recovery import SECOND, earliest
from tickrouter.errors import StorageError, VenueError
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason
from tickrouter.model.order import Status

from .desk import Desk
from .lane import Lane
from .listings import Listings

_MS = 1_000_000
HOUR = 3600 * SECOND
UNSURE = (Status.PENDING_NEW, Status.IN_DOUBT)
"""Any word of the venue counts at once: a place that waits for it may repeat one that Redis forgot."""
TICK = 0.25
"""Seconds between two looks whether something is due."""
AGAIN = 1.0
"""Seconds after which a look is tried again that places wait for."""
SETTLE = 10 * SECOND
"""An order that changed so lately is not compared: its messages may be on their way."""


class Reconciler:
    """Adopts what is ours, reports what is not, and leaves that alone."""

    def __init__(self, desk: Desk, listings: Listings, is_known: Callable[[str], bool], mark: str) -> None:
        """`is_known` asks MongoDB's copy for a client id; `mark` begins the client ids that our library makes."""
        self._desk = desk
        self._listings = listings
        self._is_known = is_known
        self._mark = mark
        self._foreign: set[str] = set()
        self._is_unanswered = False
        self._told: dict[str, str] = {}
        self._since: dict[Contract, int] = {}
        self._tried: dict[Contract, float] = {}
        self._last_look: dict[Contract, int] = {}
        self._log = logs.get("reconciler")

    def run(self) -> None:
        """Until the tenure ends."""
        interval = self._desk.router.reconcile_interval
        while True:
            now = self._desk.clock.monotonic()
            for contract in self._contracts():
                due = self._tried.get(contract, now - interval) + interval
                if now >= due or self._is_wanted(contract, now):
                    self._tried[contract] = now
                    self._desk.guarded(self._compare, contract)
            if self._desk.stop.wait(min(interval, TICK)):
                return

    def _is_wanted(self, contract: Contract, now: float) -> bool:
        """True if places wait for a look through the venue's orders, and it would find all of them."""
        desk = self._desk
        if desk.is_looked_through(contract) or desk.clock.now() <= desk.quiet_until:
            return False
        tried = self._tried.get(contract)
        return tried is None or now - tried >= AGAIN or self._last_look.get(contract, 0) <= desk.quiet_until

    def twin(self, lane: Lane, found: VenueOrder) -> Lane | None:
        """Take up a second venue order under one client id, under an id of its own, and say it aloud."""
        client_oid = twin_id(lane.order.client_oid, found.exchange_oid)
        ours = lane.order.exchange_oid or f"an order that was {lane.order.status}"
        text = f"{ours} and the venue's {found.exchange_oid} have the client id {lane.order.client_oid}"
        return self._adopt(found, client_oid, "twin", text, parent=lane.order.client_oid)

    def _contracts(self) -> list[Contract]:
        named = {Contract.parse(name) for name in self._desk.config.risk.contracts}
        return sorted(named | {lane.order.contract for lane in self._desk.open_lanes()})

    def _compare(self, contract: Contract) -> None:
        began = self._last_look[contract] = self._desk.clock.now()
        now = self._desk.venue.clock.now()
        since = self._since.get(contract, self._first_since(contract, now))
        since = min([since, *self._watched_since(contract)])
        at_start = contract not in self._since
        try:
            orders = self._listings.orders(contract, since, now + SECOND)
            fills = self._listings.executions(contract, since, now + SECOND)
        except VenueError as error:
            self._log.warning("not compared", contract=str(contract), error=str(error))
            return
        self._is_unanswered = False
        for order in orders:
            self._order(order, at_start)
        for fill in fills:
            self._fill(fill)
        if self._is_unanswered:
            return
        self._since[contract] = now - self._desk.proof.lag - SETTLE
        if began > self._desk.quiet_until:
            self._desk.looked_through(contract)

    def _first_since(self, contract: Contract, now: int) -> int:
        """Where the first look of a tenure begins: what Redis forgot lies before the epoch's opening."""
        opened = self._desk.epoch.opened_ms * _MS
        is_complete = self._desk.is_looked_through(contract)
        return (now if is_complete else min(now, opened)) - int(self._desk.router.reconcile_hours * HOUR)

    def _watched_since(self, contract: Contract) -> list[int]:
        """Since when to look for orders that were never placed as far as proven: a late find is still adopted."""
        lanes = [self._desk.lane(client_oid) for client_oid in self._desk.journal.watched(self._desk.clock.now())]
        return [earliest(lane.order) - SETTLE for lane in lanes if lane is not None and lane.order.contract == contract]

    def _order(self, found: VenueOrder, at_start: bool) -> None:
        lane = self._desk.lane_of(found.exchange_oid)
        if lane is None and found.client_oid:
            lane = self._desk.lane(found.client_oid.replace("-", "").lower())
            if lane is not None and is_another(lane.order, found.exchange_oid):
                self.twin(lane, found)
                return
        if lane is None:
            self._unknown(found)
        elif lane.order.status is Status.NEVER_PLACED:
            lane.apply(Seen(found, "reconciliation"))
        elif at_start or lane.order.status in UNSURE or lane.order.updated < self._desk.clock.now() - SETTLE:
            self._known(lane, found)

    def _known(self, lane: Lane, found: VenueOrder) -> None:
        if lane.order.status in UNSURE:
            lane.apply(Seen(found, "reconciliation"))
            return
        figures = difference(lane.order, found)
        if figures is None or self._told.get(found.exchange_oid) == figures:
            return
        self._told[found.exchange_oid] = figures
        self._log.warning("journal and venue differ", client_oid=lane.order.client_oid, figures=figures)
        lane.apply(Seen(found, "reconciliation", compare=True))

    def _fill(self, found: VenueFill) -> None:
        lane = self._desk.lane_of(found.exchange_oid)
        if lane is not None and found.fill.trade_id not in lane.order.fills:
            lane.apply(Executed((found.fill,), found.exchange_oid, "reconciliation"))

    def _unknown(self, found: VenueOrder) -> None:
        client_oid = found.client_oid.replace("-", "").lower()
        ours = len(client_oid) == 32 and (client_oid.startswith(self._mark) or self._copy_knows(client_oid))
        if ours is None:
            return
        if ours:
            self._adopt(found, client_oid, "orphan", "ours by its client id; the journal does not know it")
            return
        self._desk.unclaimed[client_oid] = found
        if found.exchange_oid not in self._foreign:
            self._foreign.add(found.exchange_oid)
            reason = Reason("foreign", f"{found.side} {found.amount} at {found.price}, {found.state}: left alone")
            self._desk.tell(
                Event(
                    self._desk.account,
                    "foreign",
                    self._desk.clock.now(),
                    exchange_oid=found.exchange_oid,
                    contract=str(found.contract),
                    side=found.side,
                    reason=reason,
                )
            )

    def _copy_knows(self, client_oid: str) -> bool | None:
        """MongoDB's word; None while it does not answer: then the same orders are looked at again the next time."""
        if self._is_unanswered:
            return None
        try:
            return self._is_known(client_oid)
        except StorageError as error:
            self._is_unanswered = True
            self._log.warning("whose orders these are is asked again", error=str(error))
            return None

    def _adopt(
        self, found: VenueOrder, client_oid: str, alarm: str, text: str, parent: str | None = None
    ) -> Lane | None:
        now = self._desk.clock.now()
        order = adopted(self._desk.account, found, client_oid, command=f"adopted:{found.exchange_oid}", now=now)
        order = replace(order, parent=parent)
        event = replace(first_event(order, now), alarm=alarm, reason=Reason(alarm, text))
        self._log.error("order adopted", alarm=alarm, exchange_oid=found.exchange_oid, client_oid=client_oid)
        return self._desk.adopt(order, event)
