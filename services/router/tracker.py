"""Follows orders at the venue until they are done: looks again where a message hints, and now and then without one."""

from __future__ import annotations

import heapq
import itertools
import threading

from tickrouter import logs
from tickrouter.core.facts import CancelRefused, Executed, Seen, VenueFill, VenueOrder, VenueState
from tickrouter.core.order_life import Change
from tickrouter.core.reconcile import is_another
from tickrouter.errors import DefiniteError, VenueError
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.order import Order, Status

from .desk import Desk
from .lane import Lane
from .works import Works

FIRST_LOOK = 0.03
"""Seconds after which an order is looked at that should be done soon; doubled with each look."""
HEARD = 0.25
"""Seconds of waiting after which the end of the tenure is noticed."""
CANCELING = (Status.PENDING_CANCEL, Status.PENDING_REPLACE)
CANCEL_PATIENCE = 1.8
"""Seconds for which an order may stay open after the venue answered the request to cancel it: then it was refused."""


class Tracker:
    """Looks at orders by their exchange ids."""

    def __init__(self, desk: Desk, works: Works) -> None:
        self._desk = desk
        self._works = works
        self._due: list[tuple[float, int, Lane, int]] = []
        self._order_of_entry = itertools.count()
        self._pending: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        """When the venue answered the request to cancel an order, by client id."""
        self._wake = threading.Condition()
        self._log = logs.get("tracker")
        desk.listeners.append(self._changed)

    def look(self, lane: Lane, after: float = 0.0, looks: int = 0) -> None:
        """Look at an order after so many seconds; an earlier look that is planned already stays."""
        due = self._desk.clock.monotonic() + after
        with self._wake:
            planned = self._pending.get(lane.order.client_oid)
            if planned is not None and planned <= due:
                return
            self._pending[lane.order.client_oid] = due
            heapq.heappush(self._due, (due, next(self._order_of_entry), lane, looks))
            self._wake.notify()

    def look_now(self, lane: Lane) -> bool:
        """Look at an order in the caller's thread; False if the venue did not say how it stands."""
        return self._look(lane, 0)

    def cancel_leaves(self, lane: Lane) -> None:
        """A request to cancel is on its way: until it is answered the order may stay open for as long as it likes."""
        self._answered.pop(lane.order.client_oid, None)

    def cancel_answered(self, lane: Lane) -> None:
        """The venue took the request, or knows no such order: what the order itself says from here on counts."""
        if not lane.order.status.is_final:
            self._answered[lane.order.client_oid] = self._desk.clock.monotonic()
        self.look(lane)

    def run(self) -> None:
        """Until the tenure ends: start looks when they are due, and sweep the open orders now and then."""
        interval = self._desk.router.poll_interval
        next_sweep = self._desk.clock.monotonic() + interval
        while not self._desk.stop.is_set():
            now = self._desk.clock.monotonic()
            if now >= next_sweep:
                next_sweep = now + interval
                self.sweep()
            entry = self._next(now, next_sweep)
            if entry is not None:
                self._desk.read(self._look, *entry)

    def _next(self, now: float, next_sweep: float) -> tuple[Lane, int] | None:
        """A look that is due; None after waiting a while for one."""
        with self._wake:
            due = self._due[0][0] if self._due else next_sweep
            if due > now or not self._due:
                self._wake.wait(max(0.0, min(due, next_sweep, now + HEARD) - now))
                return None
            at, _, lane, looks = heapq.heappop(self._due)
            client_oid = lane.order.client_oid
            if self._pending.get(client_oid) != at:
                return None
            del self._pending[client_oid]
            return lane, looks

    def sweep(self) -> None:
        """Compare all working orders with the venue's list of open ones."""
        working = [lane for lane in self._desk.open_lanes() if lane.order.status.is_working]
        for contract in {lane.order.contract for lane in working}:
            lanes = [lane for lane in working if lane.order.contract == contract]
            self._desk.read(self._sweep, contract, lanes)

    def seen(self, found: VenueOrder, source: str) -> bool:
        """Take an order that the venue shows; False if it is none of ours."""
        lane = self._lane_of(found)
        if lane is None:
            return False
        lane.apply(Seen(found, source))
        return True

    def _lane_of(self, found: VenueOrder | VenueFill) -> Lane | None:
        """The order's lane; another venue order under its client id is none: reconciliation takes it up."""
        lane = self._desk.lane_of(found.exchange_oid)
        if lane is None and found.client_oid:
            lane = self._desk.lane(found.client_oid.replace("-", "").lower())
        if lane is not None and is_another(lane.order, found.exchange_oid):
            return None
        return lane

    def executed(self, found: VenueFill, source: str) -> bool:
        """Take an execution that the venue shows; False if it is of no order of ours."""
        lane = self._lane_of(found)
        if lane is None:
            return False
        lane.apply(Executed((found.fill,), found.exchange_oid, source))
        return True

    def why_not(self, order: Order, exchange_oid: str) -> Reason | None:
        """Why the venue's order of this id cannot be this one: there is none, or one of another contract or side.

        Without the venue's word it may be. Types are not compared: that of a stop order may change with its trigger.
        """
        adapter = self._desk.venue.adapter
        try:
            found = self._desk.venue.ask(lambda stamp: adapter.one_order(exchange_oid, stamp), adapter.read_orders)
        except DefiniteError as error:
            is_none = error.kind == "order_not_found"
            return Reason("order_not_found", f"the venue has no order {exchange_oid}") if is_none else None
        except VenueError:
            return None
        other = next((one for one in found if (one.contract, one.side) != (order.contract, order.side)), None)
        if other is None:
            return None
        return Reason("other_order", f"the venue's order {exchange_oid} is of {other.contract}, side {other.side}")

    def _sweep(self, contract: Contract, lanes: list[Lane]) -> None:
        try:
            adapter = self._desk.venue.adapter
            shown = self._desk.venue.ask(lambda stamp: adapter.open_orders(contract, stamp), adapter.read_orders)
        except VenueError as error:
            self._log.warning("open orders not read", contract=str(contract), error=str(error))
            return
        open_now = {order.exchange_oid: order for order in shown}
        for lane in lanes:
            found = open_now.get(lane.order.exchange_oid or "")
            if found is None:
                self.look(lane)
            elif found.filled > lane.order.venue_filled:
                lane.apply(Seen(found, "open orders"))

    def _look(self, lane: Lane, looks: int) -> bool:
        exchange_oid = lane.order.exchange_oid
        if exchange_oid is None or lane.order.is_done:
            return lane.order.is_done
        answered = False
        began = self._desk.clock.monotonic()
        adapter = self._desk.venue.adapter
        try:
            if not lane.order.status.is_final:
                found = self._desk.venue.ask(lambda stamp: adapter.one_order(exchange_oid, stamp), adapter.read_orders)
                for order in found:
                    lane.apply(Seen(order, "order"))
                    self._judge_cancel(lane, order.state, began)
            if lane.order.fills_pending:
                self._fetch_fills(lane, exchange_oid)
            answered = True
        except DefiniteError as error:
            self._log.warning("order not read", client_oid=lane.order.client_oid, error=str(error))
        except VenueError as error:
            self._log.info("no answer about an order", client_oid=lane.order.client_oid, error=str(error))
        if _expects_news(lane.order):
            self.look(lane, min(FIRST_LOOK * 2**looks, self._desk.router.poll_interval), looks + 1)
        return answered

    def _fetch_fills(self, lane: Lane, exchange_oid: str) -> None:
        adapter = self._desk.venue.adapter
        found = self._desk.venue.ask(lambda stamp: adapter.executions_of(exchange_oid, stamp), adapter.read_executions)
        fills = tuple(row.fill for row in found if row.exchange_oid == exchange_oid)
        if fills:
            lane.apply(Executed(fills, exchange_oid, "executions"))

    def _judge_cancel(self, lane: Lane, state: VenueState, asked: float) -> None:
        """An order that stays open long after the venue answered the request was not cancelled: say so."""
        since = self._answered.get(lane.order.client_oid)
        is_late = since is not None and asked - since >= CANCEL_PATIENCE
        if is_late and lane.order.status in CANCELING and state is VenueState.OPEN:
            reason = Reason("cancel_refused", "the venue took the request, but the order stays open")
            lane.apply(CancelRefused(reason))
            self._works.refuse(lane.order.client_oid, reason)

    def _changed(self, lane: Lane, change: Change) -> None:
        if change.order.status.is_final:
            self._answered.pop(change.order.client_oid, None)
        if _expects_news(change.order) and change.order.exchange_oid is not None:
            # Executions pushed by the private feed need a moment; asking at once would cost a permit for nothing.
            self.look(lane, FIRST_LOOK * (5 if change.order.fills_pending else 1))


def _expects_news(order: Order) -> bool:
    """True if the order should change by itself soon: a resting one need not."""
    if order.is_done:
        return False
    return order.fills_pending or order.type == "market" or order.status in CANCELING
