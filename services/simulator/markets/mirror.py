"""One pair of a live venue, put together from its public frames. Pure: frames go in, what to do comes out.

Frames are BTCTurk's (BTCTurk reference, sections 4.3 to 4.5 and 9): 421 and 422 trades, 431 whole books of the
channels `obdiff` and `orderbook`, 432 differences of `obdiff`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from .base import LevelOf, Side
from .number import number

BUY = 1
"""`S` of a trade whose taker bought: observed live, August 2026, against the documentation's wording."""
REMOVED = 3
"""`CP` of a level that is gone; its `A` is then the last amount, not 0."""
REMEMBERED = 2000
"""Trade ids kept to know a repeated trade by; a list (421) holds about 50."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class NewBook:
    """All levels."""

    bids: list[LevelOf]
    asks: list[LevelOf]


@dataclass(frozen=True, slots=True)
class NewLevels:
    """Absolute amounts at some prices; 0 deletes."""

    bids: list[LevelOf]
    asks: list[LevelOf]


@dataclass(frozen=True, slots=True)
class NewTrade:
    """A trade that was not seen before; `time_ms` is the live venue's."""

    price: Decimal
    amount: Decimal
    taker: Side
    time_ms: int


@dataclass(frozen=True, slots=True)
class Rejoin:
    """A difference is missing: leave and join `obdiff` again."""


@dataclass(frozen=True, slots=True)
class Unread:
    """One trade of a list is not of the documented form; the others were taken."""

    reason: str


Effect = NewBook | NewLevels | NewTrade | Rejoin | Unread


class Mirror:
    """What is known of one pair.

    A book begins with the 431 of `obdiff`; its `CS` is the number of the next difference. The 431 of `orderbook` comes
    besides about every 750 ms and corrects the levels that it covers.
    """

    def __init__(self, pair: str) -> None:
        self.pair = pair
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self._next: int | None = None
        self._seen: set[str] = set()
        self._order: deque[str] = deque()

    def lost(self) -> None:
        """The connection is gone: the book is worth nothing until the next 431 of `obdiff`."""
        self._next = None
        self._bids, self._asks = {}, {}

    def feed(self, kind: int, body: Mapping[str, Any]) -> list[Effect]:
        """Take one frame `[kind, body]`.

        Raises:
            ValueError, KeyError, TypeError: the frame is not of the documented form; nothing was changed.
        """
        match kind:
            case 421:
                return [effect for item in reversed(body["items"]) for effect in self._listed(item)]
            case 422:
                return self._trade(body)
            case 431:
                return self._whole(body)
            case 432:
                return self._difference(int(body["CS"]), _levels(body["BO"]), _levels(body["AO"]))
        return []

    def _listed(self, item: Mapping[str, Any]) -> list[Effect]:
        try:
            return self._trade(item)
        except (ValueError, KeyError, TypeError) as error:
            return [Unread(f"{type(error).__name__}: {error}")]

    def _trade(self, item: Mapping[str, Any]) -> list[Effect]:
        taker: Side = "buy" if int(item["S"]) == BUY else "sell"
        trade = NewTrade(number(str(item["P"])), number(str(item["A"])), taker, int(item["D"]))
        trade_id = str(item["I"])
        if trade_id in self._seen:
            return []
        self._seen.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > REMEMBERED:
            self._seen.remove(self._order.popleft())
        return [trade]

    def _whole(self, body: Mapping[str, Any]) -> list[Effect]:
        changeset, bids, asks = int(body["CS"]), _levels(body["BO"]), _levels(body["AO"])
        if body.get("channel") == "obdiff":
            self._next = changeset
            self._bids, self._asks = dict(bids), dict(asks)
            return [NewBook(bids, asks)]
        if self._next is None or changeset < self._next:
            return []
        self._next = changeset
        levels = NewLevels(_corrections(self._bids, bids, "buy"), _corrections(self._asks, asks, "sell"))
        return self._apply(levels) if levels.bids or levels.asks else []

    def _difference(self, changeset: int, bids: list[LevelOf], asks: list[LevelOf]) -> list[Effect]:
        if self._next is None or changeset < self._next:
            return []
        if changeset > self._next:
            self.lost()
            return [NewBook([], []), Rejoin()]
        self._next = changeset + 1
        return self._apply(NewLevels(bids, asks))

    def _apply(self, levels: NewLevels) -> list[Effect]:
        for book, changes in ((self._bids, levels.bids), (self._asks, levels.asks)):
            for price, amount in changes:
                if amount:
                    book[price] = amount
                else:
                    book.pop(price, None)
        return [levels]


def _levels(items: Sequence[Mapping[str, Any]]) -> list[LevelOf]:
    return [(number(str(item["P"])), ZERO if item.get("CP") == REMOVED else number(str(item["A"]))) for item in items]


def _corrections(book: Mapping[Decimal, Decimal], whole: Sequence[LevelOf], side: Side) -> list[LevelOf]:
    """What has to change for the book to hold `whole`, as far as that reaches; levels behind it stay."""
    if not whole:
        return []
    prices = [price for price, _ in whole]
    named, reach = set(prices), (min(prices) if side == "buy" else max(prices))
    gone = [
        (price, ZERO) for price in book if price not in named and (price > reach if side == "buy" else price < reach)
    ]
    return gone + [(price, amount) for price, amount in whole if book.get(price) != amount]


Channel = Literal["trade", "obdiff", "orderbook"]
CHANNELS: tuple[Channel, ...] = ("trade", "obdiff", "orderbook")


def join(channel: Channel, pair: str, *, leave: bool = False) -> list[object]:
    """The message that joins or leaves a channel."""
    return [151, {"type": 151, "channel": channel, "event": pair, "join": not leave}]
