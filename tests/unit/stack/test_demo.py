"""The demonstration orders: of a form that BTCTurk takes."""

from __future__ import annotations

from decimal import Decimal

from services.stack.demo import idea
from tickrouter.model.tick import Tick

TICK = Tick(1, 61000.5, None, ((61000.1, 0.5),), ((61000.9, 0.25),), "btcturk/btc.usdt", "book")


def test_a_market_buy_names_the_quote_amount_and_nothing_else() -> None:
    ideas = [idea(number, TICK) for number in range(4)]
    buys = [one for one in ideas if one and (one.side, one.type) == ("b", "market")]
    assert [(one.quote_amount, one.amount) for one in buys] == [(Decimal(100), None)]
    assert all(one and (one.amount is None) == (one in buys) for one in ideas)


def test_buying_and_selling_market_and_limit_take_turns() -> None:
    kinds = {(one.side, one.type) for number in range(4) if (one := idea(number, TICK))}
    assert kinds == {("b", "market"), ("b", "limit"), ("s", "market"), ("s", "limit")}


def test_limits_are_at_the_touch_and_worth_enough() -> None:
    limits = [one for number in range(8) if (one := idea(number, TICK)) and one.type == "limit"]
    assert {one.price for one in limits} == {Decimal("61000.1"), Decimal("61000.9")}
    assert all(one.amount and one.price and one.amount * one.price >= 100 for one in limits)


def test_an_empty_book_gives_no_order() -> None:
    assert idea(0, Tick(1, None, None, (), TICK.asks, TICK.contract, "book")) is None
