"""Matching against a naive model, and what must hold after any sequence of events."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.engine.events import OrderFilled, OrderInserted, TradePrinted
from services.simulator.engine.exchange import ShortOfFunds
from services.simulator.engine.order import Method
from services.simulator.engine.settlement import need
from tests.unit.simulator.making import ANN, BEN, PAIR, START, Bench

SIDES = st.sampled_from(["buy", "sell"])
PRICES = st.integers(95, 105).map(str)
AMOUNTS = st.integers(1, 40).map(lambda units: str(Decimal(units) / 8))
CLIENTS = st.sampled_from([ANN, BEN])
ORDERS = st.tuples(st.sampled_from([ANN, BEN, None]), SIDES, AMOUNTS, PRICES)


@dataclass
class _Resting:
    owner: int | None
    price: Decimal
    left: Decimal


class _Naive:
    """Price-time priority as one would explain it: sort, take the first, repeat."""

    def __init__(self) -> None:
        self.rest: dict[str, list[_Resting]] = {"buy": [], "sell": []}
        self.matches: list[tuple[Decimal, Decimal, int | None]] = []

    def enter(self, owner: int | None, side: str, amount: Decimal, price: Decimal) -> None:
        other = self.rest["sell" if side == "buy" else "buy"]
        sign = 1 if side == "buy" else -1
        while amount and other:
            best = min(other, key=lambda resting: sign * resting.price)
            if sign * best.price > sign * price:
                break
            traded = min(amount, best.left)
            self.matches.append((best.price, traded, best.owner))
            amount -= traded
            best.left -= traded
            if not best.left:
                other.remove(best)
        if amount:
            self.rest[side].append(_Resting(owner, price, amount))


@settings(max_examples=80, deadline=None)
@given(st.lists(ORDERS, max_size=25))
def test_limit_orders_match_as_the_naive_model_does(orders: list[Any]) -> None:
    bench, naive = Bench(), _Naive()
    for owner, side, amount, price in orders:
        naive.enter(owner, side, Decimal(amount), Decimal(price))
        if owner is None:
            bench.house(side, amount, price)
        else:
            bench.place(owner, side, amount, price)
    trades = [(event.price, event.amount) for event in bench.events if isinstance(event, TradePrinted)]
    assert trades == [(price, amount) for price, amount, _ in naive.matches]
    makers = [event.account for event in bench.events if isinstance(event, OrderFilled) and event.liquidity == "maker"]
    assert makers == [owner for _, _, owner in naive.matches if owner is not None]


OPERATIONS = st.one_of(
    st.tuples(st.just("limit"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("market"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("stop"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("house"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("sweep"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("level"), CLIENTS, SIDES, AMOUNTS | st.just("0"), PRICES),
    st.tuples(st.just("print"), CLIENTS, SIDES, AMOUNTS, PRICES),
    st.tuples(st.just("cancel"), CLIENTS, SIDES, AMOUNTS, PRICES),
)


def _operate(bench: Bench, name: str, client: int, side: Any, amount: str, price: str) -> None:
    if name == "limit":
        bench.place(client, side, amount, price)
    elif name == "market":
        quantity = str(Decimal(amount) * 100) if side == "buy" else amount
        bench.place(client, side, quantity, method=Method.MARKET)
    elif name == "stop":
        bench.place(client, side, amount, price, method=Method.STOP_LIMIT, stop=price)
    elif name == "house":
        bench.house(side, amount, price)
    elif name == "sweep":
        bench.house(side, amount)
    elif name == "level":
        # The house does not cross itself: its bids stay below 100, its asks at or above.
        level = (str(Decimal(price) / 2 + 50 - 3 if side == "buy" else Decimal(price) / 2 + 50 + 3), amount)
        bench.levels(bids=[level] if side == "buy" else [], asks=[level] if side == "sell" else [])
    elif name == "print":
        bench.print(price, amount, side)
    else:
        mine = [order for order in bench.exchange.open_orders.values() if order.account == client]
        for order in mine[:1]:
            bench.cancel(order)


@settings(max_examples=120, deadline=None)
@given(st.lists(OPERATIONS, max_size=40))
def test_whatever_happens_books_and_balances_hold(operations: list[Any]) -> None:
    bench = Bench()
    for operation in operations:
        try:
            _operate(bench, *operation)
        except ShortOfFunds:
            bench.collect()
        bids, asks = bench.exchange.book(PAIR)
        assert not bids or not asks or bids[0][0] < asks[0][0], "crossed"
        assert (dict(bids), dict(asks)) == bench.book, "the differences give the book"
        assert all(amount > 0 for _, amount in bids + asks)
    for account in bench.exchange.accounts:
        _check_money(bench, account.id)


def _check_money(bench: Bench, account: int) -> None:
    expected = {**dict.fromkeys(bench.money(account), Decimal(0)), **START}
    for event in bench.events:
        if isinstance(event, OrderFilled) and event.account == account:
            sign = 1 if event.side == "buy" else -1
            expected["BTC"] += sign * event.amount
            expected["USDT"] -= sign * event.price * event.amount + event.fee + event.tax
    assert bench.money(account) == expected, "money moves by fills alone"
    held = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for order in bench.exchange.open_orders.values():
        if order.account == account:
            held["USDT" if order.is_buy else "BTC"] += need(order)
    wallets = bench.exchange.accounts.get(account).wallets
    assert {symbol: wallets[symbol].locked for symbol in held} == held, "what is locked is what open orders need"
    assert all(wallet.free >= 0 for wallet in wallets.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=40))
def test_fills_of_an_order_add_up_and_respect_its_price(operations: list[Any]) -> None:
    bench = Bench()
    for operation in operations:
        try:
            _operate(bench, *operation)
        except ShortOfFunds:
            bench.collect()
    inserted = [event for event in bench.events if isinstance(event, OrderInserted)]
    assert len(inserted) == len(bench.exchange.orders)
    for order in bench.exchange.orders.values():
        fills = bench.fills(order)
        assert sum(fill.amount for fill in fills) == order.amount - order.left
        if order.is_limit:
            assert all(fill.price <= order.price if order.is_buy else fill.price >= order.price for fill in fills)
