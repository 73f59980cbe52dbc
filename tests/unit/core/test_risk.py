"""What is looked at before an order is admitted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tickrouter.core.risk import Limits, beyond_limits, needs_price, too_old
from tickrouter.model.account import Account
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract

LIMITS = Limits(frozenset({"btcturk/btc.usdt"}), {"usdt": Decimal(1000)})


def a_place(**changes: Any) -> Command:
    fields: dict[str, Any] = {"contract": Contract("btcturk", "btc", "usdt"), "amount": Decimal(2)}
    return Command("c", "place", Account("btcturk", "main"), **(fields | changes))


@pytest.mark.parametrize(
    ("changes", "last", "kind"),
    [
        ({"price": Decimal(500)}, None, None),
        ({"price": Decimal("500.01")}, None, "risk_notional"),
        ({"amount": None, "quote_amount": Decimal(1001)}, None, "risk_notional"),
        ({}, Decimal(500), None),
        ({}, Decimal(501), "risk_notional"),
        ({}, None, "risk_price"),
        ({"contract": Contract("btcturk", "eth", "usdt")}, None, "risk_contract"),
    ],
)
def test_denials(changes: dict[str, Any], last: Decimal | None, kind: str | None) -> None:
    reason = beyond_limits(a_place(**changes), LIMITS, last)
    assert (reason.kind if reason else None) == kind


def test_a_price_is_needed_only_where_a_limit_needs_it() -> None:
    assert needs_price(a_place(), LIMITS)
    assert not needs_price(a_place(price=Decimal(1)), LIMITS)
    assert not needs_price(a_place(), Limits(LIMITS.contracts))


def test_age() -> None:
    assert too_old(30_000, 30_000) is None
    reason = too_old(30_001, 30_000)
    assert reason is not None
    assert reason.kind == "age"
