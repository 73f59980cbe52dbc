"""Who trades with whom: price first, then time. House liquidity at a price has its place in the queue too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from .book import BookSide, Level
from .order import ZERO, Order


@dataclass(frozen=True, slots=True)
class Match:
    """An amount that trades at a resting price; `maker` is None when it comes from the house's liquidity."""

    price: Decimal
    amount: Decimal
    maker: Order | None


def sweep(side: BookSide, wanted: Callable[[Decimal], Decimal], limit: Decimal | None) -> Iterator[Match]:
    """Matches of an incoming order, taken out of the book one by one.

    Args:
        side: where its counterparties rest.
        wanted: base amount that the order still wants at a price; asked again after each match.
        limit: worst price that the order takes; None for any.
    """
    while (level := side.best()) is not None and (limit is None or side.reaches(level.price, limit)):
        want = wanted(level.price)
        if want <= 0:
            return
        yield _take(side, level, want)


def _take(side: BookSide, level: Level, want: Decimal) -> Match:
    maker = level.first()
    ahead = level.house if maker is None else maker.ahead
    if maker is not None and not ahead:
        amount = min(want, maker.left)
        side.fill(level, maker, amount)
        return Match(level.price, amount, maker)
    amount = min(want, ahead)
    side.level(level.price).eat_house(amount)
    side.tidy(level)
    return Match(level.price, amount, None)


def printed(side: BookSide, price: Decimal, amount: Decimal) -> Iterator[Match]:
    """Resting orders that a trade of the outside market reaches, best first, up to the printed amount.

    An order at a better price was gone through: it is filled first. At the printed price, the house liquidity
    ahead of an order is used up before the order is.
    """
    left = amount
    for level in list(takewhile(lambda level: side.reaches(level.price, price), side.levels())):
        at_price = level.price == price
        passed = ZERO
        for order in list(level.orders.values()):
            if at_price:
                gap = min(left, max(ZERO, order.ahead - passed))
                passed += gap
                left -= gap
            if not left:
                break
            filled = min(left, order.left)
            left -= filled
            side.fill(level, order, filled)
            yield Match(level.price, filled, order)
        level.pass_by(passed)
        if not left:
            return


def crossed(own: BookSide, other: BookSide, price: Decimal) -> Iterator[Match]:
    """Resting orders on the `other` side that house liquidity at `price` would cross; it takes them at their price."""
    for level in list(takewhile(lambda level: other.reaches(level.price, price), other.levels())):
        for order in list(level.orders.values()):
            house = own.at(price)
            if house is None or not house.house:
                return
            amount = min(house.house, order.left)
            own.level(price).set_house(house.house - amount)
            own.tidy(house)
            other.fill(level, order, amount)
            yield Match(level.price, amount, order)
