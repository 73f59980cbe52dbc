"""Settles orders in doubt: asks every source of the venue and lets core/recovery.py judge. Nothing is sent again."""

from __future__ import annotations

from collections.abc import Sequence

from tickrouter import logs
from tickrouter.bus.order_store import read_findings
from tickrouter.core.facts import Absent, Executed, Resembled, Seen, VenueFill, VenueOrder
from tickrouter.core.recovery import (
    SECOND,
    Evidence,
    FoundFills,
    FoundOrder,
    Lookalike,
    ProvenAbsent,
    Undecided,
    Verdict,
    earliest,
    findings,
    judge,
)
from tickrouter.errors import VenueError
from tickrouter.model.contract import Contract
from tickrouter.model.order import Order, Status

from .desk import Desk
from .lane import Lane
from .listings import Listings
from .reconciler import Reconciler

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two passes: doubled while nothing is found."""
SLACK = 2 * SECOND
"""Listings are read from this much before the earliest possible execution."""


class Resolver:
    """One pass at a time over every contract that has an order in doubt."""

    def __init__(self, desk: Desk, listings: Listings, reconciler: Reconciler) -> None:
        self._desk = desk
        self._listings = listings
        self._reconciler = reconciler
        self._log = logs.get("resolver")

    def run(self) -> None:
        """Until the tenure ends."""
        pause = FIRST_PAUSE
        while not self._desk.stop.wait(pause):
            doubtful = self._desk.doubtful_lanes()
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
        self._keep(order, evidence, verdict)
        log = self._log.bind(client_oid=order.client_oid)
        match verdict:
            case FoundOrder(found, twins):
                log.info("found at the venue", exchange_oid=found.exchange_oid, state=str(found.state))
                lane.apply(Seen(found, "listings"))
                for twin in twins:
                    self._reconciler.twin(lane, twin)
            case FoundFills(found):
                log.info("executions found at the venue", exchange_oid=found[0].exchange_oid)
                lane.apply(Executed(tuple(row.fill for row in found), found[0].exchange_oid, "executions"))
            case ProvenAbsent(text):
                log.warning("was never placed", evidence=text)
                lane.apply(Absent(text))
            case Lookalike(exchange_oid):
                log.error("an order that nobody claims could be it; an operator decides", exchange_oid=exchange_oid)
                lane.apply(Resembled(exchange_oid))
            case Undecided(text):
                log.info("still in doubt", missing=text)

    def _keep(self, order: Order, evidence: Evidence, verdict: Verdict) -> None:
        """Write what the pass found before it counts: an operator sees what a verdict rests on, or still lacks."""
        desk = self._desk
        before = read_findings(desk.redis, str(desk.account), order.client_oid)
        desk.journal.keep_evidence(order.client_oid, findings(order, evidence, desk.proof, verdict, before))

    def _gather(self, contract: Contract, lanes: list[Lane]) -> Evidence:
        """Ask the venue's clock first, then every source; what does not answer is left out."""
        # An order that Redis forgot bears the epoch's opening as its stamp, and may be at the venue since its command.
        began = [earliest(lane.order) + min(0, self._desk.venue.clock.offset) for lane in lanes]
        since = min(began) - (self._desk.proof.tolerance or 0) - SLACK
        orders: list[VenueOrder] = []
        fills: list[VenueFill] = []
        answered: dict[str, int] = {}
        venue_time = 0
        epoch_left = self._desk.quiet_until - self._desk.clock.now()
        try:
            venue_time = self._desk.venue.measure_clock()
            for source in self._desk.proof.sources:
                rows = self._rows(source, contract, since, venue_time + SLACK)
                orders += [row for row in rows if isinstance(row, VenueOrder)]
                fills += [row for row in rows if isinstance(row, VenueFill)]
                answered[source] = len(rows)
        except VenueError as error:
            self._log.info("a source did not answer", error=str(error), answered=answered)
        return Evidence(venue_time, tuple(orders), tuple(fills), answered, self._desk.claimed(), epoch_left)

    def _rows(self, source: str, contract: Contract, since: int, until: int) -> Sequence[VenueOrder | VenueFill]:
        match source:
            case "open_orders":
                return self._listings.open_orders(contract)
            case "all_orders":
                return self._listings.orders(contract, since, until)
            case _:
                return self._listings.executions(contract, since, until)
