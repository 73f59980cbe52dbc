"""What commands other than place ask for, done once they are admitted, by this router or by one before it."""

from __future__ import annotations

from msgspec.structs import replace

from tickrouter.bus.worklists import Entry
from tickrouter.core import order_events
from tickrouter.core.facts import CancelAsked, Settled
from tickrouter.model.command import Command
from tickrouter.model.event import Event, Reason
from tickrouter.model.order import Order, Replacement, Status

from .desk import Desk
from .guard import Guard
from .lane import Lane
from .sender import Sender
from .tracker import Tracker
from .works import Work, Works

_MS = 1_000_000
_UNANSWERED = Reason("unanswered", "the venue did not say how the order stands: this is the journal's word")
_VERDICTS = {"never_placed": Status.NEVER_PLACED, "canceled": Status.CANCELED, "placed": Status.NEW}


class Actions:
    """Cancel, cancel_all, amend, query, settle."""

    def __init__(self, desk: Desk, sender: Sender, tracker: Tracker, works: Works, guard: Guard) -> None:
        self._desk = desk
        self._guard = guard
        self._sender = sender
        self._tracker = tracker
        self._works = works

    def plan(self, command: Command, entry: Entry) -> tuple[Work, list[str]]:
        """The work that a command comes to, and the orders that its admission marks as to be cancelled."""
        if command.action == "amend":
            epoch = self._desk.epoch
            forgotten_at = epoch.opened_ms * _MS if entry.ms < epoch.known_from_ms else None
            lane = self._desk.lane(command.orig_client_oid or "")
            places = None if lane is None else self._desk.venue.adapter.amount_places(lane.order.contract)
            terms = (command.client_oid or "", command.id, command.price, command.amount, forgotten_at, places)
            wanted = Replacement(*terms)
            work = Work(command.id, "amend", {command.orig_client_oid or ""}, replacement=wanted)
            return work, []
        lanes = self._targets(command)
        work = Work(command.id, command.action, {lane.order.client_oid for lane in lanes}, options=command.options)
        if command.action not in ("cancel", "cancel_all"):
            return work, []
        return work, [lane.order.client_oid for lane in lanes if not lane.order.status.is_final]

    def start(self, work: Work, *, again: bool = False) -> None:
        """Do what an admitted command asks; `again` if a router before this one may have done it."""
        lanes = [lane for lane in map(self._desk.lane, sorted(work.waiting)) if lane is not None]
        match work.action:
            case "query":
                self._desk.read(self._query, work.command, lanes)
            case "settle":
                self._desk.read(self._settle, work, lanes, again)
            case "amend":
                self._amend(work, lanes)
            case _:
                self._cancel(work, lanes)

    def _cancel(self, work: Work, lanes: list[Lane]) -> None:
        if work.action == "cancel" and not lanes:
            self._works.answer(work.command, "cancel_rejected", Reason("unknown_order", "no such order in the journal"))
            return
        for lane in lanes:
            if not lane.order.status.is_final:
                lane.apply(CancelAsked(work.command))
        self._works.begin(work)
        for lane in lanes:
            if lane.order.status.is_working:
                self._sender.cancel(lane)

    def _amend(self, work: Work, lanes: list[Lane]) -> None:
        """Cancel, wait for the final word, and let the same step write the order that takes its place."""
        if not lanes:
            self._works.answer(work.command, "amend_rejected", Reason("unknown_order", "no such order in the journal"))
            return
        lane = lanes[0]
        reason = self._why_not(lane, work)
        if reason is not None:
            self._works.answer(work.command, "amend_rejected", reason, lane.order.client_oid)
            return
        if not lane.order.status.is_final:
            self._guard.amended(self._desk.clock.now())
            lane.apply(CancelAsked(work.command, work.replacement))
        self._works.begin(work)
        if lane.order.status.is_working:
            self._sender.cancel(lane)

    def _why_not(self, lane: Lane, work: Work) -> Reason | None:
        order = lane.order
        if order.cancel_requested == work.command:
            return None
        if order.status.is_final:
            return Reason("too_late", f"the order was {order.status} already")
        if order.cancel_requested is not None:
            return Reason("too_late", "a cancel was asked before")
        if order.type not in ("limit", "stop_limit") or order.amount is None:
            return Reason("type", f"a {order.type} order has nothing to amend")
        wanted = work.replacement
        total = wanted.amount if wanted is not None else None
        if total is not None and total <= order.filled:
            return Reason("too_late", f"{order.filled:f} are filled already, the new amount is {total:f}")
        if wanted is None or wanted.forgotten_at is not None:
            # It may be at the venue already: only evidence tells.
            return None
        return self._guard.denial_of_amend(order, wanted, self._desk.clock.now())

    def _query(self, command: str, lanes: list[Lane]) -> None:
        """Look at the venue, then tell how the order stands."""
        if not lanes:
            self._works.answer(command, "command_denied", Reason("unknown_order", "no such order in the journal"))
            return
        lane = lanes[0]
        reason = None if self._tracker.look_now(lane) else _UNANSWERED
        now = self._desk.clock.now()
        state = replace(order_events.first_event(lane.order, now), command=command)
        done = Event(
            self._desk.account, "command_done", now, command=command, client_oid=lane.order.client_oid, reason=reason
        )
        self._desk.tell(state, done, command=command)

    def _settle(self, work: Work, lanes: list[Lane], again: bool) -> None:
        """An operator's verdict on an order in doubt, recorded with name and reason."""
        if not lanes:
            self._works.answer(work.command, "command_denied", Reason("unknown_order", "no such order in the journal"))
            return
        lane, options = lanes[0], work.options
        verdict, exchange_oid = _VERDICTS[options["verdict"]], options.get("exchange_oid")
        fact = Settled(verdict, options["operator"], options["reason"], exchange_oid)
        if not (again and _is_settled(lane.order, fact)):
            reason = self._why_not_settled(lane, exchange_oid)
            if reason is None and lane.apply(fact) == "ILLEGAL":
                # The venue's word came while it was looked at.
                reason = _not_in_doubt(lane.order)
            if reason is not None:
                self._works.answer(work.command, "command_denied", reason, lane.order.client_oid)
                return
        self._works.answer(work.command, "command_done", client_oid=lane.order.client_oid)
        if not lane.order.status.is_final:
            self._tracker.look(lane)

    def _why_not_settled(self, lane: Lane, exchange_oid: str | None) -> Reason | None:
        """An order that is not in doubt; or an id of the venue's that is another order's, or none."""
        if lane.order.status is not Status.IN_DOUBT:
            return _not_in_doubt(lane.order)
        owner = None if exchange_oid is None else self._desk.lane_of(exchange_oid)
        if owner is not None and owner is not lane:
            return Reason("claimed", f"the venue's order {exchange_oid} is {owner.order.client_oid} already")
        return None if exchange_oid is None else self._tracker.why_not(lane.order, exchange_oid)

    def _targets(self, command: Command) -> list[Lane]:
        if command.action == "cancel_all":
            return [
                lane
                for lane in self._desk.open_lanes()
                if not lane.order.status.is_final
                and (command.contract is None or lane.order.contract == command.contract)
                and (command.side is None or lane.order.side == command.side)
            ]
        lane = None
        if command.client_oid is not None:
            lane = self._desk.lane(command.client_oid)
        elif command.exchange_oid is not None:
            lane = self._desk.lane_of(command.exchange_oid)
        return [lane] if lane is not None else []


def _not_in_doubt(order: Order) -> Reason:
    return Reason("not_in_doubt", f"the order is {order.status}; only one in doubt needs a verdict")


def _is_settled(order: Order, fact: Settled) -> bool:
    """True if this very verdict was journaled, by a router that died before it could say so."""
    said = Reason("operator", f"{fact.operator}: {fact.text}")
    took = order.exchange_oid == fact.exchange_oid if fact.exchange_oid is not None else order.status is fact.verdict
    return order.status is not Status.IN_DOUBT and order.reason == said and took
