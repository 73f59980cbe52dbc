"""What is looked at before an order is admitted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tickrouter.core.risk import Limits, Load, Market, beyond_limits, changed, needs_market, too_old
from tickrouter.errors import InvalidValue
from tickrouter.model.account import Account
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract

LIMITS = Limits(frozenset({"btcturk/btc.usdt"}), {"usdt": Decimal(1000)})
IDLE = Load(0, 0, None, Decimal(0))
NO_TICK = Market(None, None)


def at(price: int, age: float = 0.1) -> Market:
    return Market(Decimal(price), age)


def a_place(**changes: Any) -> Command:
    fields: dict[str, Any] = {"contract": Contract("btcturk", "btc", "usdt"), "amount": Decimal(2), "side": "b"}
    return Command("c", "place", Account("btcturk", "main"), **(fields | changes))


def denial(command: Command, limits: Limits, market: Market = NO_TICK, load: Load = IDLE) -> str | None:
    reason = beyond_limits(command, limits, market, load)
    return reason.kind if reason else None


@pytest.mark.parametrize(
    ("changes", "market", "kind"),
    [
        ({"price": Decimal(500)}, NO_TICK, None),
        ({"price": Decimal("500.01")}, NO_TICK, "risk_notional"),
        ({"amount": None, "quote_amount": Decimal(1001)}, NO_TICK, "risk_notional"),
        ({}, at(500), None),
        ({}, at(501), "risk_notional"),
        ({}, NO_TICK, "risk_price"),
        ({"contract": Contract("btcturk", "eth", "usdt")}, NO_TICK, "risk_contract"),
    ],
)
def test_what_may_be_traded_and_for_how_much(changes: dict[str, Any], market: Market, kind: str | None) -> None:
    assert denial(a_place(**changes), LIMITS, market) == kind


@pytest.mark.parametrize(
    ("side", "price", "kind"),
    [
        ("b", 110, None),
        ("b", 111, "risk_band"),
        ("b", 1, None),
        ("s", 90, None),
        ("s", 89, "risk_band"),
        ("s", 999, None),
    ],
)
def test_a_price_may_be_worse_than_the_market_by_a_band_only(side: str, price: int, kind: str | None) -> None:
    limits = changed(Limits(LIMITS.contracts), "price_band", "0.1")
    assert denial(a_place(side=side, price=Decimal(price)), limits, at(100)) == kind
    assert denial(a_place(side=side, price=Decimal(price)), limits) == "risk_price"


@pytest.mark.parametrize(
    ("rule", "value", "load", "market", "kind"),
    [
        ("max_open_orders", "3", Load(2, 0, None, Decimal(0)), NO_TICK, None),
        ("max_open_orders", "3", Load(3, 0, None, Decimal(0)), NO_TICK, "risk_open_orders"),
        ("orders_per_minute", "10", Load(0, 10, None, Decimal(0)), NO_TICK, "risk_rate"),
        ("orders_per_minute", "10", Load(0, 9, None, Decimal(0)), NO_TICK, None),
        ("duplicate_window", "5", Load(0, 0, 4.9, Decimal(0)), NO_TICK, "risk_duplicate"),
        ("duplicate_window", "5", Load(0, 0, 5.1, Decimal(0)), NO_TICK, None),
        ("max_position:btc", "3", Load(0, 0, None, Decimal(1)), NO_TICK, None),
        ("max_position:btc", "3", Load(0, 0, None, Decimal("1.01")), NO_TICK, "risk_position"),
        ("max_tick_age", "2", IDLE, at(1, 1.9), None),
        ("max_tick_age", "2", IDLE, at(1, 2.1), "risk_stale"),
        ("max_tick_age", "2", IDLE, NO_TICK, "risk_stale"),
    ],
)
def test_each_rule_denies_beyond_its_limit(rule: str, value: str, load: Load, market: Market, kind: str | None) -> None:
    limits = changed(Limits(LIMITS.contracts), rule, value)
    assert denial(a_place(price=Decimal(1)), limits, market, load) == kind
    assert denial(a_place(price=Decimal(1)), changed(limits, rule, ""), market, load) is None


def test_a_quote_amount_counts_towards_the_position_at_the_last_price() -> None:
    limits = changed(Limits(LIMITS.contracts), "max_position:btc", "1")
    command = a_place(amount=None, quote_amount=Decimal(101))
    assert denial(command, limits, at(100)) == "risk_position"
    assert denial(command, limits, at(101)) is None
    assert denial(command, limits) == "risk_price"


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("price_band", "x"),
        ("price_band", "-1"),
        ("price_band", "NaN"),
        ("max_notional", "5"),
        ("nothing", "1"),
        ("contracts", "?"),
    ],
)
def test_a_rule_that_cannot_be_says_so(rule: str, value: str) -> None:
    with pytest.raises(InvalidValue):
        changed(LIMITS, rule, value)


def test_contracts_are_set_by_any_accepted_name() -> None:
    limits = changed(LIMITS, "contracts", "btc.try:xtc.btcturk, btcturk/eth.usdt")
    assert limits.contracts == {"btcturk/btc.try", "btcturk/eth.usdt"}


def test_a_price_is_needed_only_where_a_limit_needs_it() -> None:
    assert needs_market(a_place(), LIMITS)
    assert not needs_market(a_place(price=Decimal(1)), LIMITS)
    assert not needs_market(a_place(), Limits(LIMITS.contracts))
    assert needs_market(a_place(price=Decimal(1)), changed(LIMITS, "max_tick_age", "1"))


def test_age() -> None:
    assert too_old(30_000, 30_000) is None
    reason = too_old(30_001, 30_000)
    assert reason is not None
    assert reason.kind == "age"
