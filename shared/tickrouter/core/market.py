"""What a venue's market data says, before it is made into records: the input of book sync and tick merge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import msgspec

from tickrouter.model.record import Level
from tickrouter.model.trade import Trade

Change = tuple[float, float]
"""Price and new size of one level; size 0 deletes it."""


class TradeSeen(msgspec.Struct, frozen=True, gc=False):
    """A public trade. `live` is False where it came in a list of past trades."""

    trade: Trade
    live: bool

    @property
    def contract(self) -> str:
        return self.trade.contract


class TickerSeen(msgspec.Struct, frozen=True, gc=False):
    """24-hour figures and what the ticker says of price, bid and ask; None where it is silent."""

    contract: str
    last: float | None
    bid: Level | None
    ask: Level | None
    volume: float | None
    amount: float | None
    exchange_time: int | None
    flags: int = 0


class BookDiff(msgspec.Struct, frozen=True, gc=False):
    """Changed levels."""

    contract: str
    sequence: int
    bids: tuple[Change, ...]
    asks: tuple[Change, ...]
    exchange_time: int | None = None
    flags: int = 0


class Unread(msgspec.Struct, frozen=True, gc=False):
    """One side of a whole book of which only the best levels were read: most whole books are replaced before more of
    them is needed.

    Attributes:
        head: the best levels, best first.
        rest: reads all levels, the head's included, and their flags; raises InvalidValue where it cannot.
    """

    head: tuple[Level, ...]
    rest: Callable[[], tuple[tuple[Level, ...], int]]


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book. `channel` is `obdiff` for the start of differences, `orderbook` for a periodic one."""

    contract: str
    channel: str
    sequence: int
    bids: tuple[Level, ...] | Unread
    asks: tuple[Level, ...] | Unread
    exchange_time: int | None = None
    flags: int = 0


@final
class Joined(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to a subscription."""

    channel: str
    event: str
    ok: bool
    text: str


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A part of a frame that was not taken: counted and kept where a person can see it.

    `kind` is `unreadable` for a frame that cannot be decoded, `quarantine` for a record whose price does not
    survive the decimal round trip.
    """

    kind: Literal["unreadable", "quarantine"]
    contract: str | None
    text: str
    data: bytes


MarketFact = TradeSeen | TickerSeen | BookSnapshot | BookDiff | Joined | Refused
