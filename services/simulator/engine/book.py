"""The order book of one pair: at each price the house's liquidity and a queue of resting orders."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from .events import Change, LevelChange
from .order import ZERO, Order, Side


class Level:
    """One price. `house` is liquidity without an order; each order knows how much of it stands ahead."""

    __slots__ = ("house", "orders", "price", "queued")

    def __init__(self, price: Decimal) -> None:
        self.price = price
        self.house = ZERO
        self.queued = ZERO
        self.orders: dict[int, Order] = {}

    @property
    def total(self) -> Decimal:
        return self.house + self.queued

    def first(self) -> Order | None:
        """The order that is served first among the orders here."""
        return next(iter(self.orders.values()), None)

    def set_house(self, amount: Decimal) -> None:
        """Set the house's amount: what is taken away stood behind the orders as far as it can."""
        self.house = amount
        for order in self.orders.values():
            order.ahead = min(order.ahead, amount)

    def eat_house(self, amount: Decimal) -> None:
        """Trade away house liquidity from the front."""
        self.house -= amount
        self.pass_by(amount)

    def pass_by(self, amount: Decimal) -> None:
        """Let so much of what stands ahead of the orders be gone."""
        for order in self.orders.values():
            order.ahead = max(ZERO, order.ahead - amount)


class BookSide:
    """Bids or asks. Prices are kept ascending; `best` is the end that is nearest to the other side."""

    def __init__(self, side: Side) -> None:
        self.is_bid = side == "buy"
        self._prices: list[Decimal] = []
        self._levels: dict[Decimal, Level] = {}
        self._before: dict[Decimal, Decimal] = {}

    def __len__(self) -> int:
        return len(self._prices)

    def best(self) -> Level | None:
        if not self._prices:
            return None
        return self._levels[self._prices[-1 if self.is_bid else 0]]

    def at(self, price: Decimal) -> Level | None:
        return self._levels.get(price)

    def levels(self) -> Iterator[Level]:
        """All levels, best first; the side must not be changed meanwhile."""
        prices = reversed(self._prices) if self.is_bid else iter(self._prices)
        return (self._levels[price] for price in prices)

    def reaches(self, price: Decimal, limit: Decimal) -> bool:
        """True if a level at `price` satisfies a counterparty whose limit is `limit`."""
        return price >= limit if self.is_bid else price <= limit

    def level(self, price: Decimal) -> Level:
        """The level at a price, made if it is missing; the change is noted for `changes`."""
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = Level(price)
            insort(self._prices, price)
        self._before.setdefault(price, level.total)
        return level

    def tidy(self, level: Level) -> None:
        """Drop the level if nothing stands there any more."""
        if not level.house and not level.orders:
            del self._levels[level.price]
            del self._prices[bisect_left(self._prices, level.price)]

    def set_house(self, price: Decimal, amount: Decimal) -> None:
        """Set the house's amount at a price; 0 deletes."""
        if not amount and price not in self._levels:
            return
        level = self.level(price)
        level.set_house(amount)
        self.tidy(level)

    def house_prices(self) -> list[Decimal]:
        return [price for price in self._prices if self._levels[price].house]

    def rest(self, order: Order) -> None:
        """Put an order at the end of the queue at its price."""
        level = self.level(order.price)
        order.ahead = level.house
        level.orders[order.id] = order
        level.queued += order.left

    def remove(self, order: Order) -> bool:
        """Take an order out; False if it does not stand here."""
        level = self._levels.get(order.price)
        if level is None or order.id not in level.orders:
            return False
        self._before.setdefault(order.price, level.total)
        del level.orders[order.id]
        level.queued -= order.left
        self.tidy(level)
        return True

    def fill(self, level: Level, order: Order, amount: Decimal) -> None:
        """Take `amount` from an order that rests here; a filled order leaves."""
        self._before.setdefault(level.price, level.total)
        order.take(amount)
        level.queued -= amount
        if not order.left:
            del level.orders[order.id]
            self.tidy(level)

    def changes(self) -> tuple[LevelChange, ...]:
        """What became of the levels touched since the last call, in order of price."""
        if not self._before:
            return ()
        found: list[LevelChange] = []
        for price, before in sorted(self._before.items()):
            level = self._levels.get(price)
            now = level.total if level is not None else ZERO
            if now == before:
                continue
            if not now:
                found.append((price, before, Change.REMOVED))
            else:
                found.append((price, now, Change.CHANGED if before else Change.NEW))
        self._before.clear()
        return tuple(found)

    def depth(self, limit: int | None = None) -> list[tuple[Decimal, Decimal]]:
        """The best `limit` levels as (price, amount), best first; all of them without a limit."""
        found: list[tuple[Decimal, Decimal]] = []
        for level in self.levels():
            if len(found) == limit:
                break
            found.append((level.price, level.total))
        return found


class Book:
    """Both sides of one pair, its last price and the number of its next difference."""

    FIRST_NUMBER = 1_000_000

    def __init__(self, pair: str) -> None:
        self.pair = pair
        self.bids = BookSide("buy")
        self.asks = BookSide("sell")
        self.last: Decimal | None = None
        self.next_number = self.FIRST_NUMBER
        self.traded = False
        """True while a trade has not yet been looked at for stop orders."""

    def side(self, side: Side) -> BookSide:
        """Where orders of that side rest."""
        return self.bids if side == "buy" else self.asks

    def against(self, side: Side) -> BookSide:
        """Where orders of that side find their counterparty."""
        return self.asks if side == "buy" else self.bids
