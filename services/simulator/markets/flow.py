"""The generated order flow of one pair: what the house's traders do, and when. Pure.

Seed and time go in, orders and cancellations come out: the same for the same seed, however the time is cut. The flow
remembers its own orders and never looks at the venue's book, so clients' trades do not change what it does.

Updates of the best price come in bursts (bursts.py). Each of them is a taker order, an opening of the spread (the
makers of one side flee, a taker may get the last of them), or a change of size at the best price. An opening is closed
when its life is over: the other side moves after, or the side that fled comes back. Around each update, levels behind
the best appear, and each ends when its own life is over.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal
from heapq import heappop, heappush
from itertools import accumulate
from math import exp, inf, log
from random import Random

from .base import Method, Side
from .bursts import Bursts
from .shape import Band, Quantiles, Shape
from .shelf import Shelf

HOME = 1.0
"""How weak the pull homewards is: so far away, as a logarithm of the price, it would decide alone. At 1 the price
strays some percent over days."""
MOST_PULL = 0.9
"""Of 1: it never does decide alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """Enter an order. `at` is milliseconds since the start; `order` is the flow's own number for it."""

    at: int
    order: int
    side: Side
    method: Method
    price: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order out, if it still rests: an order that the flow takes for filled is cancelled too, since a
    client's order may have stood before it."""

    at: int
    order: int


Action = Place | Cancel


class Flow:
    """One pair's traders.

    Args:
        shape: what the flow looks like.
        seed: of its chance.
        rate: how many times quicker than measured.

    Attributes:
        shelves: the orders that it takes for resting, bids and asks.
    """

    def __init__(self, shape: Shape, seed: str, rate: float = 1.0) -> None:
        self._shape = shape
        self._rate = rate
        self._random = Random(seed)
        self._bursts = Bursts(self._random, shape.background, shape.kernels)
        self.shelves = (Shelf("buy"), Shelf("sell"))
        self._tick_bps = 10.0**-shape.price_scale / shape.mid * 1e4
        self._home = round(shape.mid * 10.0**shape.price_scale)
        self._weights = list(accumulate(band.adds + band.joins for band in shape.bands))
        self._calls = self._weights[-1] / shape.update_rate
        self._takes = shape.takes - shape.opens * shape.open_sweeps
        self._orders = 0
        self._ends: list[tuple[float, int, Shelf]] = []
        self._timeless: set[int] = set()
        self._direction = 1
        self._taker = 1
        self._now = 0.0
        self._next = 0.0
        self._closing = inf
        self._actions: list[Action] = []

    @property
    def mid(self) -> Decimal:
        """The price between the flow's own best bid and ask."""
        bids, asks = self.shelves
        return Decimal(bids.best - asks.best).scaleb(-self._shape.price_scale) / 2

    def start(self) -> list[Action]:
        """The book that the flow begins with, as actions at time 0."""
        for shelf in self.shelves:
            best = self._home if shelf.sign > 0 else -self._home - 1
            self._touch(shelf, best)
            near = 0.0
            for band in self._shape.bands:
                for _ in range(band.levels):
                    self._appear(shelf, best, near, band)
                near = band.reach
        self._next = self._bursts.next()
        return self._told()

    def until(self, elapsed: float) -> list[Action]:
        """What happens up to this time, in seconds since the start, and was not told before. `start` comes first."""
        end = elapsed * self._rate
        while True:
            first_end = self._ends[0][0] if self._ends else inf
            now = min(first_end, self._next, self._closing)
            if now > end:
                return self._told()
            self._now = now
            if now == first_end:
                _, order, shelf = heappop(self._ends)
                self._end(order, shelf)
            elif now == self._closing:
                self._close()
            else:
                self._update()
                self._next = self._bursts.next()

    def _told(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _update(self) -> None:
        """One update of the best price, and the levels that appear around it."""
        chance = self._random.random()
        if chance < self._takes:
            self._take()
        elif chance < self._takes + self._shape.opens and self._closing == inf:
            self._open()
        else:
            self._resize()
        for _ in range(self._poisson(self._calls)):
            self._deepen()

    def _open(self) -> None:
        """The makers of one side flee: those in front are cancelled, but perhaps a last one of each level is taken."""
        shape, draw = self._shape, self._random.random
        if draw() < (1 - shape.open_repeats) * (1 + self._strayed()):
            self._direction = -self._direction
        shelf = self.shelves[1 if self._direction > 0 else 0]
        ticks = max(1, round(self._draw(shape.open_step) / self._tick_bps))
        self._closing = self._now + self._draw(shape.open_life)
        behind = shelf.best - ticks
        swept = draw() < shape.open_sweeps
        lots = 0
        for key in list(shelf.better_than(behind)):
            last = shelf.smallest(key) if swept else 0
            for order in shelf.orders(key):
                if order != last:
                    self._cancel(order, shelf)
            lots += shelf.lots(key)
        if not shelf.count(behind):
            self._touch(shelf, behind)
        if lots:
            self._hit(shelf, lots, behind + 1)

    def _strayed(self) -> float:
        """How far the price went in the present direction from its home, -0.9 to 0.9."""
        bids, asks = self.shelves
        away = log((bids.best - asks.best) / (2 * self._home)) / HOME
        return max(-MOST_PULL, min(MOST_PULL, away * self._direction))

    def _close(self) -> None:
        """The other side moves after, or the side that fled comes back."""
        self._closing = inf
        bids, asks = self.shelves
        width = -asks.best - bids.best
        follows = self._random.random() < self._shape.follows
        shelf = self.shelves[0 if (self._direction > 0) == follows else 1]
        before = shelf.best
        for order in shelf.orders(before):
            if order in self._timeless:
                self._mortal(order, shelf, self._shape.bands[0])
        self._touch(shelf, before + width - 1)

    def _take(self) -> None:
        """A taker order that the best price can bear."""
        if self._random.random() >= self._shape.taker_repeats:
            self._taker = -self._taker
        shelf = self.shelves[1 if self._taker > 0 else 0]
        lots = min(self._lots(self._shape.taker_size), shelf.lots(shelf.best) - 1)
        if lots > 0:
            self._hit(shelf, lots, None)
        else:
            self._touch(shelf, shelf.best)

    def _hit(self, shelf: Shelf, lots: int, limit: int | None) -> None:
        """A taker order against this side, of at most this price where one is given."""
        order = self._place("sell" if shelf.side == "buy" else "buy", limit, shelf.sign, lots)
        filled = shelf.take(lots)
        for done in (*filled, order) if limit is not None else filled:
            self._timeless.discard(done)
            self._actions.append(Cancel(self._at(), done))

    def _resize(self) -> None:
        """The amount at the best price of one side comes nearer to one that was drawn."""
        shelf = self.shelves[self._random.random() < 0.5]
        best = shelf.best
        if shelf.count(best) > 1 and shelf.lots(best) > self._lots(self._shape.touch_size):
            orders = shelf.orders(best)
            self._cancel(orders[int(self._random.random() * len(orders))], shelf)
        else:
            self._rest(shelf, best, self._lots(self._shape.touch_change))

    def _deepen(self) -> None:
        """A level behind the best appears, or one grows."""
        shelf = self.shelves[self._random.random() < 0.5]
        at = bisect_right(self._weights, self._random.random() * self._weights[-1])
        band = self._shape.bands[at]
        joins = self._random.random() * (band.adds + band.joins) < band.joins
        self._appear(shelf, shelf.best, self._shape.bands[at - 1].reach if at else 0.0, band, joins=joins)

    def _appear(self, shelf: Shelf, best: int, near: float, band: Band, *, joins: bool = False) -> None:
        distance = near + (band.reach - near) * self._random.random()
        key = best - max(1, round(distance / self._tick_bps))
        if joins:
            key = shelf.nearest(key)
        self._mortal(self._rest(shelf, key, self._lots(band.size)), shelf, band)

    def _end(self, order: int, shelf: Shelf) -> None:
        """An order's life is over; the last one at the best price lives on."""
        if order not in shelf:
            return
        key = shelf.key_of(order)
        if key == shelf.best and shelf.count(key) == 1:
            self._mortal(order, shelf, self._shape.bands[0])
        else:
            self._cancel(order, shelf)

    def _touch(self, shelf: Shelf, key: int) -> None:
        """An order at the best price."""
        self._rest(shelf, key, self._lots(self._shape.touch_size))

    def _rest(self, shelf: Shelf, key: int, lots: int) -> int:
        order = self._place(shelf.side, key, shelf.sign, lots)
        shelf.add(order, key, lots)
        self._timeless.add(order)
        return order

    def _place(self, side: Side, key: int | None, sign: int, lots: int) -> int:
        self._orders += 1
        shape = self._shape
        price = None if key is None else Decimal(key * sign).scaleb(-shape.price_scale)
        amount = Decimal(lots).scaleb(-shape.amount_scale)
        self._actions.append(
            Place(self._at(), self._orders, side, "market" if price is None else "limit", price, amount)
        )
        return self._orders

    def _cancel(self, order: int, shelf: Shelf) -> None:
        shelf.remove(order)
        self._timeless.discard(order)
        self._actions.append(Cancel(self._at(), order))

    def _mortal(self, order: int, shelf: Shelf, band: Band) -> None:
        """From now on the order ends when its life is over."""
        self._timeless.discard(order)
        heappush(self._ends, (self._now + self._draw(band.life), order, shelf))

    def _at(self) -> int:
        return int(self._now / self._rate * 1000)

    def _draw(self, distribution: Quantiles) -> float:
        return distribution.at(self._random.random())

    def _lots(self, sizes: Quantiles) -> int:
        return max(1, round(self._draw(sizes) * 10.0**self._shape.amount_scale))

    def _poisson(self, mean: float) -> int:
        """A Poisson draw; for small means."""
        least, product, count = exp(-mean), self._random.random(), 0
        while product > least:
            product *= self._random.random()
            count += 1
        return count
