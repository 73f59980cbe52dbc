"""Money: what an order locks, what a match moves, what the end of an order gives back.

The same three calls serve live matching and the replay of the ledger, so that both end in the same balances.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from ..accounts import TAKER_COST, Accounts, Wallet, charges
from ..pairs import Pair
from .order import ZERO, Order, Status


def need(order: Order) -> Decimal:
    """Funds that the rest of an order needs: quote currency for a buy, base currency for a sell."""
    if not order.is_buy:
        return order.left
    if order.by_budget:
        return order.budget
    return order.price * order.left * TAKER_COST


class Settlement:
    """Moves money between the wallets of clients and the house, whose own purse is bottomless."""

    def __init__(self, accounts: Accounts, pairs: Mapping[str, Pair]) -> None:
        self._accounts = accounts
        self._pairs = pairs

    def held(self, order: Order) -> Wallet:
        """The wallet from which an order is paid."""
        pair = self._pairs[order.pair]
        return self._wallet(order, pair.quote if order.is_buy else pair.base)

    def open(self, order: Order) -> None:
        """Lock what the order needs."""
        wallet = self.held(order)
        order.locked = need(order)
        wallet.free -= order.locked
        wallet.locked += order.locked

    def fill(
        self, order: Order, price: Decimal, amount: Decimal, liquidity: Literal["maker", "taker"], time_ms: int
    ) -> tuple[Decimal, Decimal]:
        """Pay and deliver one match of a client's order whose `left` is already reduced.

        Returns:
            Fee and tax in quote currency.
        """
        pair = self._pairs[order.pair]
        value = price * amount
        fee, tax = charges(value, liquidity)
        if order.by_budget:
            order.budget -= value + fee + tax
            order.amount += amount
        released = order.locked - need(order)
        order.locked -= released
        held = self.held(order)
        held.locked -= released
        if order.is_buy:
            held.free += released - (value + fee + tax)
            self._wallet(order, pair.base).free += amount
        else:
            held.free += released - amount
            self._wallet(order, pair.quote).free += value - fee - tax
        order.first_price = order.first_price or price
        order.update_ms = time_ms
        order.status = Status.PARTIAL if order.left or order.by_budget else Status.CLOSED
        return fee, tax

    def close(self, order: Order, status: Status, time_ms: int) -> None:
        """End an order and give back what it still holds."""
        held = self.held(order)
        held.locked -= order.locked
        held.free += order.locked
        order.locked = ZERO
        order.budget = ZERO
        order.waiting = False
        order.status = status
        order.update_ms = time_ms

    def _wallet(self, order: Order, currency: str) -> Wallet:
        return self._accounts.get(order.owner).wallets[currency]
