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
    FoundFills,
    FoundOrder,
    Lookalike,
    Proof,
    ProvenAbsent,
    Undecided,
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
    return replace(Evidence(LATE, (), (), frozenset(PROOF.sources), frozenset()), **changes)


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
    verdict = judge(ORDER, evidence(answered=frozenset({"open_orders", "trades"})), PROOF)
    assert verdict == Undecided("no full answer from all_orders")


def test_absence_counts_only_after_the_quiet_window_by_the_venues_clock() -> None:
    assert isinstance(judge(ORDER, evidence(venue_time=STAMP + 15 * SECOND), PROOF), Undecided)
    assert isinstance(judge(ORDER, evidence(venue_time=STAMP + 15 * SECOND + 1), PROOF), ProvenAbsent)


def test_a_request_without_a_stamp_is_never_settled_by_absence() -> None:
    assert isinstance(judge(ORDER, evidence(), replace(PROOF, tolerance=None)), Undecided)
    assert isinstance(judge(msgspec.structs.replace(ORDER, stamp=None), evidence(), PROOF), Undecided)


def test_a_lookalike_that_nobody_claims_is_left_to_an_operator() -> None:
    assert judge(ORDER, evidence(orders=(OTHER,)), PROOF) == Lookalike("9")
    assert isinstance(judge(ORDER, evidence(orders=(OTHER,), claimed=frozenset({"9"})), PROOF), ProvenAbsent)
    older = replace(OTHER, time=STAMP - 6 * SECOND)
    assert isinstance(judge(ORDER, evidence(orders=(older,)), PROOF), ProvenAbsent)
    for change in ({"side": "s"}, {"price": Decimal(101)}, {"amount": Decimal(3)}, {"type": "market"}):
        assert isinstance(judge(ORDER, evidence(orders=(replace(OTHER, **change),)), PROOF), ProvenAbsent)
