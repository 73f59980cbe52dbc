"""What a venue's listings prove of an order in doubt. Only evidence settles it; absence counts last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tickrouter.core.facts import VenueFill, VenueOrder, same_id
from tickrouter.model.order import Order

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One pass over a venue's sources for one contract.

    Attributes:
        venue_time: the venue's own clock, asked before the sources, ns; 0 where it did not answer.
        orders: all that the listings show.
        fills: all that the list of executions shows.
        answered: rows by source, of sources that answered in full; a full page is no answer.
        claimed: exchange ids that belong to other orders of ours.
        epoch_left: how long the quiet window of the epoch still lasted before the sources were asked, ns: by our own
            clock, as its opening is, which stands for the stamps that Redis forgot.
    """

    venue_time: int
    orders: tuple[VenueOrder, ...]
    fills: tuple[VenueFill, ...]
    answered: Mapping[str, int]
    claimed: frozenset[str]
    epoch_left: int = 0


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """The venue shows it; `twins` are further orders under the same client id."""

    order: VenueOrder
    twins: tuple[VenueOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundFills:
    """The venue shows executions of it."""

    fills: tuple[VenueFill, ...]


@dataclass(frozen=True, slots=True)
class ProvenAbsent:
    """It is nowhere, and would be somewhere by now. `text` is the evidence."""

    text: str


@dataclass(frozen=True, slots=True)
class Lookalike:
    """An order nobody claims could be it: an operator decides."""

    exchange_oid: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """No conclusion yet. `text` says what is missing."""

    text: str


Verdict = FoundOrder | FoundFills | ProvenAbsent | Lookalike | Undecided


@dataclass(frozen=True, slots=True)
class Proof:
    """What a venue's card says may be concluded.

    Attributes:
        tolerance: ns by which a stamp may differ from the venue's clock; None where requests have no stamp.
        lag: ns after which an accepted order shows in every source.
        sources: all of them must answer.
    """

    tolerance: int | None
    lag: int
    sources: tuple[str, ...]

    def quiet_until(self, order: Order) -> int | None:
        """Venue time in ns until which absence proves nothing; None for ever."""
        if self.tolerance is None or order.stamp is None:
            return None
        return order.stamp + self.tolerance + self.lag


@dataclass(frozen=True, slots=True)
class Findings:
    """What is kept of the passes over an order in doubt: how many there were, and all of the last one.

    Attributes:
        passes: made so far.
        first: venue time of the first pass, ns.
        venue_time: of the last one, ns; 0 where the venue's clock did not answer.
        answered: rows by source, of the sources that answered in full.
        missing: sources that did not.
        quiet_until: venue time in ns until which absence proves nothing; None where it never does.
        verdict: what the pass came to.
    """

    passes: int
    first: int
    venue_time: int
    answered: Mapping[str, int]
    missing: tuple[str, ...]
    quiet_until: int | None
    verdict: str


def findings(order: Order, evidence: Evidence, proof: Proof, verdict: Verdict, before: Findings | None) -> Findings:
    """What to keep after another pass; `before` is what was kept so far."""
    return Findings(
        passes=before.passes + 1 if before else 1,
        first=before.first if before and before.first else evidence.venue_time,
        venue_time=evidence.venue_time,
        answered=dict(evidence.answered),
        missing=tuple(source for source in proof.sources if source not in evidence.answered),
        quiet_until=proof.quiet_until(order),
        verdict=_said(verdict),
    )


def _said(verdict: Verdict) -> str:
    match verdict:
        case FoundOrder(found, twins):
            more = "".join(f", and {twin.exchange_oid} under the same client id" for twin in twins)
            return f"found: the venue's order {found.exchange_oid}, {found.state}{more}"
        case FoundFills(fills):
            return f"found: {len(fills)} executions of the venue's order {fills[0].exchange_oid}"
        case Lookalike(exchange_oid):
            return f"the venue's order {exchange_oid} could be it, and nobody claims that: an operator decides"
        case ProvenAbsent(text):
            return f"absent: {text}"
        case Undecided(text):
            return text


def judge(order: Order, evidence: Evidence, proof: Proof) -> Verdict:
    """What one pass of evidence says of an order in doubt."""
    mine = [found for found in evidence.orders if _is_mine(order, found.exchange_oid, found.client_oid)]
    if mine:
        return _found(order, mine)
    fills = tuple(fill for fill in evidence.fills if _is_mine(order, fill.exchange_oid, fill.client_oid))
    if fills:
        return FoundFills(fills)
    if order.exchange_oid is not None:
        return Undecided(f"the venue said that it took it as {order.exchange_oid}, and does not show it: no absence")
    missing = [source for source in proof.sources if source not in evidence.answered]
    if missing:
        return Undecided(f"no full answer from {', '.join(missing)}")
    quiet_until = proof.quiet_until(order)
    if quiet_until is None or proof.tolerance is None or order.stamp is None:
        return Undecided("the request had no stamp that the venue would refuse for its age: an operator decides")
    if not evidence.venue_time:
        return Undecided("absent so far; the venue's clock did not answer")
    if evidence.venue_time <= quiet_until:
        left = (quiet_until - evidence.venue_time) / SECOND
        return Undecided(f"absent so far; the quiet window lasts {left:.1f} s more")
    if evidence.epoch_left > 0:
        return Undecided(f"absent so far; that of the epoch lasts {evidence.epoch_left / SECOND:.1f} s more")
    twin = next((found for found in evidence.orders if _looks_alike(order, found, evidence, proof.tolerance)), None)
    if twin is not None:
        return Lookalike(twin.exchange_oid)
    seconds = (evidence.venue_time - order.stamp) / SECOND
    return ProvenAbsent(
        f"{', '.join(proof.sources)} answered {seconds:.1f} s after the stamp by the venue's clock; "
        f"{len(evidence.orders)} orders and {len(evidence.fills)} executions, and none is it"
    )


def earliest(order: Order) -> int:
    """When the order can have come to the venue at the earliest, ns: no sooner than it was asked for."""
    return order.created if order.stamp is None else min(order.created, order.stamp)


def _found(order: Order, mine: list[VenueOrder]) -> FoundOrder:
    """One order a client id: ours by exchange id where that is known, else the first that the venue made."""
    newest: dict[str, VenueOrder] = {}
    for found in mine:
        known = newest.get(found.exchange_oid)
        if known is None or found.filled >= known.filled:
            newest[found.exchange_oid] = found
    first, *twins = sorted(newest.values(), key=lambda found: (found.exchange_oid != order.exchange_oid, _age(found)))
    return FoundOrder(first, tuple(twins))


def _age(found: VenueOrder) -> tuple[int, str]:
    """Venues count their ids up: the shorter, then the smaller, is the older."""
    return len(found.exchange_oid), found.exchange_oid


def _is_mine(order: Order, exchange_oid: str, client_oid: str) -> bool:
    return exchange_oid == order.exchange_oid or bool(client_oid and same_id(order.client_oid, client_oid))


def _looks_alike(order: Order, found: VenueOrder, evidence: Evidence, tolerance: int) -> bool:
    if found.exchange_oid in evidence.claimed or order.stamp is None:
        return False
    if found.time and found.time < earliest(order) - tolerance:
        return False
    same_kind = (found.contract, found.side, found.type) == (order.contract, order.side, order.type)
    same_price = order.price is None or found.price == order.price
    return same_kind and same_price and (order.amount is None or _same(found.amount, order.amount))


def _same(theirs: Decimal | None, ours: Decimal) -> bool:
    return theirs is None or theirs == ours
