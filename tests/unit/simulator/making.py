"""A venue in memory, with two clients, for tests of its rules."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from decimal import Decimal
from itertools import count

from services.simulator.accounts import Account, Accounts, Keys
from services.simulator.engine.events import BookChanged, Event, OrderFilled, TradePrinted
from services.simulator.engine.exchange import Exchange, Placement
from services.simulator.engine.order import Method, Order, Side
from services.simulator.pairs import PAIRS

PAIR = "BTCUSDT"
ANN, BEN = 1, 2
START = {"BTC": Decimal(1000), "USDT": Decimal(1_000_000)}
_clock = count(1)


def keys_of(name: str) -> Keys:
    """Keys that can be told from each other."""
    secret = base64.b64encode(name.encode().ljust(32, b"-")).decode()
    return Keys(f"{name}-public", secret, f"{name}-socket", secret)


class Bench:
    """An exchange whose events are kept; amounts and prices are given as texts."""

    def __init__(self) -> None:
        accounts = Accounts([Account(ANN, keys_of("ann")), Account(BEN, keys_of("ben"))])
        for account in accounts:
            for currency, amount in START.items():
                account.wallets[currency].free = amount
        self.exchange = Exchange(PAIRS, accounts, 1)
        self.events: list[Event] = []
        self.book: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def place(
        self,
        account: int,
        side: Side,
        quantity: str,
        price: str = "0",
        *,
        method: Method = Method.LIMIT,
        stop: str = "0",
    ) -> Order:
        """An order of a client."""
        wish = Placement(account, PAIR, side, method, Decimal(quantity), Decimal(price), Decimal(stop), "id")
        order = self.exchange.place(wish, next(_clock))
        self.collect()
        return order

    def cancel(self, order: Order) -> bool:
        found = self.exchange.cancel(order.id, next(_clock))
        self.collect()
        return found

    def house(self, side: Side, amount: str, price: str | None = None) -> int:
        """An order of the house: limit, or market without a price."""
        method = "market" if price is None else "limit"
        limit = None if price is None else Decimal(price)
        order_id = self.exchange.submit_house(PAIR, side, method, limit, Decimal(amount), next(_clock))
        self.collect()
        return order_id

    def levels(self, bids: Sequence[tuple[str, str]] = (), asks: Sequence[tuple[str, str]] = ()) -> None:
        self.exchange.apply_levels(PAIR, _levels(bids), _levels(asks), next(_clock))
        self.collect()

    def print(self, price: str, amount: str, side: Side) -> None:
        self.exchange.print_trade(PAIR, Decimal(price), Decimal(amount), side, next(_clock))
        self.collect()

    def collect(self) -> None:
        """Take the events, and follow the book by its differences alone."""
        for event in self.exchange.drain():
            self.events.append(event)
            if isinstance(event, BookChanged):
                for side, changes in zip(self.book, (event.bids, event.asks), strict=True):
                    _apply(side, changes)

    def trades(self) -> list[tuple[str, str, str]]:
        """Public trades so far: price, amount, taker's side."""
        found = [event for event in self.events if isinstance(event, TradePrinted)]
        return [(str(event.price), str(event.amount), event.side) for event in found]

    def fills(self, order: Order) -> list[OrderFilled]:
        return [event for event in self.events if isinstance(event, OrderFilled) and event.order_id == order.id]

    def money(self, account: int) -> dict[str, Decimal]:
        """Free and locked together."""
        return {symbol: wallet.total for symbol, wallet in self.exchange.accounts.get(account).wallets.items()}


def _levels(rows: Sequence[tuple[str, str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(amount)) for price, amount in rows]


def _apply(side: dict[Decimal, Decimal], changes: Sequence[tuple[Decimal, Decimal, int]]) -> None:
    for price, amount, change in changes:
        known = price in side
        assert known is (change != 1), f"{price}: change {change}, known {known}"
        if change == 3:
            assert side.pop(price) == amount, "a removed level carries its last amount"
        else:
            side[price] = amount
