"""One side of a book as the order flow remembers it: its own orders, in whole ticks and lots. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from .base import Side


class Shelf:
    """The flow's resting orders on one side, in price-time priority.

    Prices are held as keys, larger is better: the price in ticks for bids, its negative for asks. So "behind the
    best by d ticks" is `best - d` on both sides.
    """

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.sign = 1 if side == "buy" else -1
        self._keys: list[int] = []
        self._levels: dict[int, dict[int, int]] = {}
        self._where: dict[int, int] = {}

    def __contains__(self, order: int) -> bool:
        return order in self._where

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best(self) -> int:
        """Key of the best level; the flow never leaves a side empty."""
        return self._keys[-1]

    def key_of(self, order: int) -> int:
        return self._where[order]

    def orders(self, key: int) -> list[int]:
        """Orders of a level, oldest first; empty if there is no such level."""
        return list(self._levels.get(key, ()))

    def lots(self, key: int) -> int:
        """Amount of a level."""
        return sum(self._levels.get(key, {}).values())

    def count(self, key: int) -> int:
        return len(self._levels.get(key, ()))

    def better_than(self, key: int) -> Iterator[int]:
        """Keys of the levels better than this one, best first."""
        return reversed(self._keys[bisect_left(self._keys, key + 1) :])

    def nearest(self, key: int) -> int:
        """The existing level at this key, or the next better one."""
        return self._keys[min(bisect_left(self._keys, key), len(self._keys) - 1)]

    def add(self, order: int, key: int, lots: int) -> None:
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = {}
            insort(self._keys, key)
        level[order] = lots
        self._where[order] = key

    def remove(self, order: int) -> None:
        key = self._where.pop(order)
        level = self._levels[key]
        del level[order]
        if not level:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]

    def smallest(self, key: int) -> int:
        """The order with the least amount at a level."""
        level = self._levels[key]
        return min(level, key=level.__getitem__)

    def take(self, lots: int) -> list[int]:
        """Fill from the best level on; returns the orders that are filled to the end."""
        filled = []
        while lots > 0 and self._keys:
            level = self._levels[self.best]
            order = next(iter(level))
            if level[order] > lots:
                level[order] -= lots
                break
            lots -= level[order]
            filled.append(order)
            self.remove(order)
        return filled
