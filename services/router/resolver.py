"""Settles orders in doubt: asks every source of the venue and lets core/recovery.py judge. Nothing is sent again."""

from __future__ import annotations

from tickrouter import logs
from tickrouter.core.facts import Absent, Executed, Seen, VenueFill, VenueOrder
from tickrouter.core.recovery import (
    SECOND,
    Evidence,
    FoundFills,
    FoundOrder,
    Lookalike,
    ProvenAbsent,
    Undecided,
    judge,
)
from tickrouter.errors import VenueError
from tickrouter.model.contract import Contract
from tickrouter.model.order import Status

from .desk import Desk
from .lane import Lane

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two passes: doubled while nothing is found."""
SLACK = 2 * SECOND
"""Listings are read from this much before the earliest possible execution."""


class Resolver:
    """One pass at a time over every contract that has an order in doubt."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = logs.get("resolver")

    def run(self) -> None:
        """Until the tenure ends."""
        pause = FIRST_PAUSE
        while not self._desk.stop.wait(pause):
            doubtful = [lane for lane in self._desk.open_lanes() if lane.order.status is Status.IN_DOUBT]
            if not doubtful:
                pause = FIRST_PAUSE
                continue
            pause = min(pause * 2, LONGEST_PAUSE)
            for contract in sorted({lane.order.contract for lane in doubtful}):
                self._desk.guarded(self._pass, contract, [lane for lane in doubtful if lane.order.contract == contract])

    def _pass(self, contract: Contract, lanes: list[Lane]) -> None:
        evidence = self._gather(contract, lanes)
        for lane in lanes:
            self._settle(lane, evidence)

    def _settle(self, lane: Lane, evidence: Evidence) -> None:
        order = lane.order
        if order.status is not Status.IN_DOUBT:
            return
        verdict = judge(order, evidence, self._desk.proof)
        log = self._log.bind(client_oid=order.client_oid)
        match verdict:
            case FoundOrder(found):
                log.info("found at the venue", exchange_oid=found.exchange_oid, state=str(found.state))
                lane.apply(Seen(found, "listings"))
            case FoundFills(found):
                log.info("executions found at the venue", exchange_oid=found[0].exchange_oid)
                lane.apply(Executed(tuple(row.fill for row in found), found[0].exchange_oid, "executions"))
            case ProvenAbsent(text):
                log.warning("was never placed", evidence=text)
                lane.apply(Absent(text))
            case Lookalike(exchange_oid):
                log.error("an order that nobody claims could be it; an operator decides", exchange_oid=exchange_oid)
            case Undecided(text):
                log.info("still in doubt", missing=text)

    def _gather(self, contract: Contract, lanes: list[Lane]) -> Evidence:
        venue, adapter = self._desk.venue, self._desk.venue.adapter
        stamps = [lane.order.stamp for lane in lanes if lane.order.stamp is not None]
        since = min(stamps, default=venue.clock.now()) - (self._desk.proof.tolerance or 0) - SLACK
        orders: list[VenueOrder] = []
        fills: list[VenueFill] = []
        answered: set[str] = set()
        venue_time = 0
        try:
            venue_time = venue.measure_clock()
            until = venue_time + SLACK
            orders += venue.ask(lambda stamp: adapter.open_orders(contract, stamp), adapter.read_orders)
            answered.add("open_orders")
            listed = self._all_orders(contract, since, until)
            if listed is not None:
                orders += listed
                answered.add("all_orders")
            fills += venue.ask(lambda stamp: adapter.executions(contract, since, until, stamp), adapter.read_executions)
            answered.add("trades")
        except VenueError as error:
            self._log.info("a source did not answer", error=str(error), answered=sorted(answered))
        return Evidence(venue_time, tuple(orders), tuple(fills), frozenset(answered), self._desk.claimed())

    def _all_orders(self, contract: Contract, since: int, until: int) -> list[VenueOrder] | None:
        """Orders of a time slice, cut in halves while a page comes back full; None if one second fills a page."""
        venue, adapter = self._desk.venue, self._desk.venue.adapter
        rows = venue.ask(lambda stamp: adapter.all_orders(contract, since, until, stamp), adapter.read_orders)
        if len(rows) < adapter.page:
            return list(rows)
        if until - since <= 2 * SECOND:
            return None
        middle = (since + until) // 2
        parts = [self._all_orders(contract, since, middle), self._all_orders(contract, middle, until)]
        if any(part is None for part in parts):
            return None
        return [row for part in parts if part is not None for row in part]
