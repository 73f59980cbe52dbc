"""Matching, house liquidity and stop orders, case by case."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.simulator.engine.events import OrderEnded, OrderTriggered
from services.simulator.engine.exchange import ShortOfFunds
from services.simulator.engine.order import Method, Status
from tests.unit.simulator.making import ANN, BEN, PAIR, START, Bench


def test_better_price_first_then_earlier_order() -> None:
    bench = Bench()
    late = bench.place(ANN, "sell", "1", "101")
    early = bench.place(ANN, "sell", "1", "100")
    second = bench.place(ANN, "sell", "1", "100")
    bench.place(BEN, "buy", "1.5", "101")
    assert (early.left, second.left, late.left) == (Decimal(0), Decimal("0.5"), Decimal(1))
    assert bench.trades() == [("100", "1", "buy"), ("100", "0.5", "buy")]


def test_limit_order_rests_with_what_is_left() -> None:
    bench = Bench()
    bench.levels(asks=[("100", "1")])
    order = bench.place(ANN, "buy", "3", "100")
    assert order.status is Status.PARTIAL
    assert bench.exchange.best(PAIR) == ((Decimal(100), Decimal(2)), None)


def test_market_buy_spends_its_budget_fee_included() -> None:
    bench = Bench()
    bench.levels(asks=[("100", "1"), ("101", "50")])
    order = bench.place(ANN, "buy", "500.00", method=Method.MARKET)
    spent = START["USDT"] - bench.money(ANN)["USDT"]
    assert order.status is Status.CLOSED
    assert Decimal("499.99") < spent <= Decimal(500)
    assert bench.money(ANN)["BTC"] - START["BTC"] == order.amount == sum(fill.amount for fill in bench.fills(order))


@pytest.mark.parametrize(("side", "quantity"), [("buy", "100000"), ("sell", "30")])
def test_market_order_stays_within_five_percent(side: str, quantity: str) -> None:
    bench = Bench()
    bench.levels(
        bids=[("100", "1"), ("95", "1"), ("94.99", "99")], asks=[("101", "1"), ("106.05", "1"), ("106.06", "99")]
    )
    order = bench.place(ANN, "buy" if side == "buy" else "sell", quantity, method=Method.MARKET)
    assert order.status is Status.CANCELED
    assert sum(fill.amount for fill in bench.fills(order)) == 2
    assert bench.exchange.accounts.get(ANN).wallets["USDT"].locked == 0


def test_a_resting_sell_earns_the_maker_fee() -> None:
    bench = Bench()
    order = bench.place(ANN, "sell", "2", "100")
    bench.house("buy", "2", "100")
    (fill,) = bench.fills(order)
    assert (fill.liquidity, fill.fee, fill.tax) == ("maker", Decimal("0.1"), Decimal("0.02"))
    assert bench.money(ANN)["USDT"] == START["USDT"] + Decimal("199.88")


def test_buyer_gets_back_what_a_better_price_saved() -> None:
    bench = Bench()
    bench.levels(asks=[("90", "1")])
    bench.place(ANN, "buy", "1", "100")
    wallet = bench.exchange.accounts.get(ANN).wallets["USDT"]
    assert wallet.locked == 0
    assert wallet.free == START["USDT"] - 90 - Decimal("0.081") - Decimal("0.0162")


def test_funds_in_open_orders_are_told_from_funds_missing() -> None:
    bench = Bench()
    bench.place(ANN, "sell", "999", "200")
    with pytest.raises(ShortOfFunds) as held:
        bench.place(ANN, "sell", "2", "200")
    with pytest.raises(ShortOfFunds) as missing:
        bench.place(ANN, "sell", "1001", "200")
    assert (held.value.in_orders, missing.value.in_orders) == (True, False)
    assert len(bench.exchange.orders) == 1


def test_house_liquidity_ahead_is_served_first_and_more_of_it_stands_behind() -> None:
    bench = Bench()
    bench.levels(asks=[("100", "1")])
    order = bench.place(ANN, "sell", "1", "100")
    bench.levels(asks=[("100", "5")])
    bench.house("buy", "1.5", "100")
    assert order.left == Decimal("0.5")
    assert bench.exchange.best(PAIR)[1] == (Decimal(100), Decimal("4.5"))


def test_a_level_that_crosses_a_resting_order_fills_it_first() -> None:
    bench = Bench()
    order = bench.place(ANN, "buy", "1", "100")
    bench.levels(asks=[("99", "3")])
    assert order.status is Status.CLOSED
    assert bench.trades() == [("100", "1", "sell")]
    assert bench.exchange.best(PAIR) == (None, (Decimal(99), Decimal(2)))


def test_a_print_through_an_order_fills_it_beside() -> None:
    bench = Bench()
    order = bench.place(ANN, "buy", "1", "100")
    bench.print("99.5", "0.4", "sell")
    assert order.left == Decimal("0.6")
    assert bench.trades() == [("99.5", "0.4", "sell"), ("100", "0.4", "sell")]


def test_a_print_at_the_price_fills_after_what_stands_ahead() -> None:
    bench = Bench()
    bench.levels(bids=[("100", "2")])
    order = bench.place(ANN, "buy", "1", "100")
    bench.print("100", "1.5", "sell")
    assert order.left == 1
    bench.print("100", "0.75", "sell")
    assert order.left == Decimal("0.75")
    assert bench.exchange.best(PAIR)[0] == (Decimal(100), Decimal("2.75"))


def test_a_print_at_a_worse_price_leaves_orders_alone() -> None:
    bench = Bench()
    order = bench.place(ANN, "buy", "1", "100")
    bench.print("100.01", "9", "sell")
    bench.print("99", "9", "buy")
    assert order.left == 1
    assert len(bench.trades()) == 2


@pytest.mark.parametrize(
    ("side", "stop", "quiet", "fatal"), [("sell", "95", "95.01", "95"), ("buy", "105", "104.99", "105")]
)
def test_a_stop_order_waits_for_the_last_trade(side: str, stop: str, quiet: str, fatal: str) -> None:
    bench = Bench()
    bench.levels(bids=[("94", "9")], asks=[("106", "9")])
    sells = side == "sell"
    order = bench.place(ANN, "sell" if sells else "buy", "1" if sells else "100", method=Method.STOP_MARKET, stop=stop)
    bench.print(quiet, "1", "buy")
    assert order.waiting and bench.fills(order) == []
    bench.print(fatal, "1", "buy")
    assert order.status is Status.CLOSED
    assert any(isinstance(event, OrderTriggered) for event in bench.events)
    assert [str(fill.price) for fill in bench.fills(order)] == ["94" if sells else "106"]


def test_a_triggered_stop_limit_rests() -> None:
    bench = Bench()
    order = bench.place(ANN, "sell", "1", "96", method=Method.STOP_LIMIT, stop="95")
    assert bench.exchange.best(PAIR) == (None, None)
    bench.print("95", "1", "sell")
    assert bench.exchange.best(PAIR) == (None, (Decimal(96), Decimal(1)))
    assert not order.waiting and order.is_open


def test_a_stop_order_can_be_cancelled() -> None:
    bench = Bench()
    order = bench.place(ANN, "buy", "1", "106", method=Method.STOP_LIMIT, stop="105")
    assert bench.cancel(order)
    bench.print("105", "1", "buy")
    assert order.status is Status.CANCELED
    assert bench.money(ANN) == {**bench.money(ANN), **START}


def test_cancel_gives_back_what_was_held_and_works_once() -> None:
    bench = Bench()
    order = bench.place(ANN, "buy", "2", "100")
    bench.house("sell", "0.5", "100")
    assert bench.cancel(order) and not bench.cancel(order)
    assert order.status is Status.CANCELED
    assert bench.exchange.accounts.get(ANN).wallets["USDT"].locked == 0
    assert [event.left for event in bench.events if isinstance(event, OrderEnded)] == [Decimal("1.5")]


def test_replaced_book_forgets_levels_but_not_orders() -> None:
    bench = Bench()
    bench.levels(bids=[("99", "1"), ("98", "1")])
    bench.place(ANN, "buy", "1", "97")
    bench.exchange.replace_book(PAIR, [(Decimal(98), Decimal(4))], [], 1)
    assert bench.exchange.book(PAIR)[0] == [(Decimal(98), Decimal(4)), (Decimal(97), Decimal(1))]


def test_house_orders_are_cancelled_and_asked_for() -> None:
    bench = Bench()
    order_id = bench.house("sell", "2", "100")
    bench.house("buy", "0.5")
    assert bench.exchange.house_left(PAIR, order_id) == Decimal("1.5")
    assert bench.exchange.cancel_house(PAIR, order_id, 1)
    assert not bench.exchange.cancel_house(PAIR, order_id, 1)
    assert bench.exchange.house_left(PAIR, order_id) == 0
    assert bench.exchange.book(PAIR) == ([], [])


def test_trade_ids_have_18_digits_and_rise_by_one() -> None:
    bench = Bench()
    bench.print("100", "1", "buy")
    bench.print("100", "1", "buy")
    first, second = (event.id for event in bench.events if hasattr(event, "id"))
    assert len(str(first)) == 18 and second == first + 1


def test_a_resting_order_is_filled_on_demand_whatever_stands_before_it() -> None:
    bench = Bench()
    bench.levels(bids=[("100.00", "7")])
    order = bench.place(ANN, "buy", "2", "100.00")
    assert bench.exchange.fill(order.id, Decimal("0.5"), 1) == Decimal("0.5")
    assert bench.exchange.fill(order.id, Decimal(9), 2) == Decimal("1.5")
    assert bench.exchange.fill(order.id, Decimal(1), 3) == 0
    bench.collect()
    assert [str(fill.amount) for fill in bench.fills(order)] == ["0.50000000", "1.50000000"]
    assert not order.is_open and bench.money(ANN)["BTC"] == START["BTC"] + 2
