"""What listings prove of an order in doubt."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from tickrouter.core.facts import VenueFill, VenueOrder, VenueState
from tickrouter.core.recovery import (
    SECOND,
    Evidence,
    Findings,
    FoundFills,
    FoundOrder,
    Lookalike,
    Proof,
    ProvenAbsent,
    Undecided,
    findings,
    judge,
)
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Status

STAMP = 1_700_000_000 * SECOND
CONTRACT = Contract("btcturk", "btc", "usdt")
PROOF = Proof(tolerance=5 * SECOND, lag=10 * SECOND, sources=("open_orders", "all_orders", "trades"))
ORDER = Order(
    Account("btcturk", "main"),
    "ab" * 16,
    "c1",
    CONTRACT,
    "b",
    "limit",
    STAMP,
    Decimal(100),
    Decimal(2),
    status=Status.IN_DOUBT,
    stamp=STAMP,
)
OTHER = VenueOrder("9", "other", CONTRACT, "b", "limit", Decimal(100), Decimal(2), Decimal(0), VenueState.OPEN, STAMP)
LATE = STAMP + 16 * SECOND


def evidence(**changes: Any) -> Evidence:
    return replace(Evidence(LATE, (), (), dict.fromkeys(PROOF.sources, 0), frozenset()), **changes)


def test_a_client_id_is_found_without_case_and_dashes() -> None:
    echoed = "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB"
    verdict = judge(ORDER, evidence(orders=(OTHER, replace(OTHER, client_oid=echoed))), PROOF)
    assert isinstance(verdict, FoundOrder)
    assert verdict.order.client_oid == echoed


def test_an_exchange_id_is_found_even_if_the_echo_is_altered() -> None:
    known = msgspec.structs.replace(ORDER, exchange_oid="9")
    assert isinstance(judge(known, evidence(orders=(OTHER,)), PROOF), FoundOrder)


def test_an_execution_alone_is_a_find() -> None:
    fill = Fill("t", Decimal(100), Decimal(1), Decimal(0), "usdt", "unknown", STAMP)
    found = VenueFill("9", "ab" * 16, CONTRACT, "b", fill)
    assert judge(ORDER, evidence(fills=(found,)), PROOF) == FoundFills((found,))


def test_absence_counts_only_if_every_source_answered() -> None:
    verdict = judge(ORDER, evidence(answered={"open_orders": 0, "trades": 0}), PROOF)
    assert verdict == Undecided("no full answer from all_orders")


def test_absence_counts_only_after_the_quiet_window_by_the_venues_clock() -> None:
    assert isinstance(judge(ORDER, evidence(venue_time=STAMP + 15 * SECOND), PROOF), Undecided)
    assert isinstance(judge(ORDER, evidence(venue_time=STAMP + 15 * SECOND + 1), PROOF), ProvenAbsent)


def test_absence_counts_only_after_the_quiet_window_of_the_epoch_by_our_own_clock() -> None:
    assert isinstance(judge(ORDER, evidence(), PROOF), ProvenAbsent)
    assert isinstance(judge(ORDER, evidence(epoch_left=1), PROOF), Undecided)


def test_absence_needs_the_venues_clock() -> None:
    assert judge(ORDER, evidence(venue_time=0), PROOF) == Undecided("absent so far; the venue's clock did not answer")


def test_what_is_kept_of_the_passes() -> None:
    early = evidence(venue_time=STAMP + SECOND, answered={"open_orders": 3})
    first = findings(ORDER, early, PROOF, judge(ORDER, early, PROOF), None)
    assert first == Findings(
        passes=1,
        first=STAMP + SECOND,
        venue_time=STAMP + SECOND,
        answered={"open_orders": 3},
        missing=("all_orders", "trades"),
        quiet_until=STAMP + 15 * SECOND,
        verdict="no full answer from all_orders, trades",
    )
    last = findings(ORDER, evidence(), PROOF, judge(ORDER, evidence(), PROOF), first)
    assert (last.passes, last.first, last.venue_time, last.missing) == (2, STAMP + SECOND, LATE, ())
    assert last.verdict.startswith("absent: open_orders, all_orders, trades answered 16.0 s after the stamp")
    assert (
        findings(msgspec.structs.replace(ORDER, stamp=None), evidence(), PROOF, Undecided("x"), None).quiet_until
        is None
    )
    twin = replace(OTHER, exchange_oid="10")
    for verdict, said in (
        (FoundOrder(OTHER, (twin,)), "found: the venue's order 9, open, and 10 under the same client id"),
        (Lookalike("9"), "the venue's order 9 could be it, and nobody claims that: an operator decides"),
    ):
        assert findings(ORDER, evidence(), PROOF, verdict, last).verdict == said


def test_a_request_without_a_stamp_is_never_settled_by_absence() -> None:
    assert isinstance(judge(ORDER, evidence(), replace(PROOF, tolerance=None)), Undecided)
    assert isinstance(judge(msgspec.structs.replace(ORDER, stamp=None), evidence(), PROOF), Undecided)


def test_an_order_that_the_venue_named_is_never_taken_for_one_that_was_never_placed() -> None:
    named = msgspec.structs.replace(ORDER, exchange_oid="8")
    assert isinstance(judge(ORDER, evidence(), PROOF), ProvenAbsent)
    assert isinstance(judge(named, evidence(), PROOF), Undecided)
    assert isinstance(judge(named, evidence(orders=(replace(OTHER, exchange_oid="8"),)), PROOF), FoundOrder)


def test_a_lookalike_that_nobody_claims_is_left_to_an_operator() -> None:
    assert judge(ORDER, evidence(orders=(OTHER,)), PROOF) == Lookalike("9")
    assert isinstance(judge(ORDER, evidence(orders=(OTHER,), claimed=frozenset({"9"})), PROOF), ProvenAbsent)
    older = replace(OTHER, time=STAMP - 6 * SECOND)
    assert isinstance(judge(ORDER, evidence(orders=(older,)), PROOF), ProvenAbsent)
    # What Redis forgot bears the epoch's opening as its stamp, and may have been sent long before.
    forgotten = msgspec.structs.replace(ORDER, created=STAMP - 3600 * SECOND)
    assert judge(forgotten, evidence(orders=(older,)), PROOF) == Lookalike("9")
    for change in ({"side": "s"}, {"price": Decimal(101)}, {"amount": Decimal(3)}, {"type": "market"}):
        assert isinstance(judge(ORDER, evidence(orders=(replace(OTHER, **change),)), PROOF), ProvenAbsent)
