"""Recorded files: lines of a raw websocket recording into values. Pure but for reading the file.

The form (repository nkaz001/hftbacktest, examples/spot): gzip of one or more members, UTF-8, a line a message,
`<receive time, ns> <JSON>`. `<symbol>@trade`, `<symbol>@bookTicker` and `<symbol>@depth@100ms` messages carry
`stream` and `data`; a line without `stream` is a REST snapshot with `lastUpdateId`.
"""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

import msgspec

from tickrouter.errors import TickrouterError

from .base import LevelOf, Side
from .number import number

_HEAD = 64
"""Lines within which a recording has to show its symbol."""


class NotARecording(TickrouterError):
    """The file is missing, or is not of this form; the text says which and what the form is."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A trade. `received` is the recorder's clock in ns; `time_ms` the venue's own."""

    received: int
    symbol: str
    id: int
    price: Decimal
    amount: Decimal
    taker: Side
    time_ms: int


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask. `update` is comparable with `Levels.last`; the venue gives no time."""

    received: int
    symbol: str
    update: int
    bid: LevelOf
    ask: LevelOf


@dataclass(frozen=True, slots=True)
class Levels:
    """Changed levels; covers the venue's updates `first` to `last`."""

    received: int
    symbol: str
    first: int
    last: int
    bids: list[LevelOf]
    asks: list[LevelOf]
    time_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole book, best first, as of update `last`."""

    received: int
    symbol: str
    last: int
    bids: list[LevelOf]
    asks: list[LevelOf]


Event = Printed | Top | Levels | Snapshot


class _Data(msgspec.Struct):
    s: str
    E: int | None = None
    T: int | None = None
    t: int | None = None
    p: str | None = None
    q: str | None = None
    m: bool | None = None
    U: int | None = None
    u: int | None = None
    b: str | list[tuple[str, str]] | None = None
    a: str | list[tuple[str, str]] | None = None
    B: str | None = None
    A: str | None = None


class _Message(msgspec.Struct):
    stream: str | None = None
    data: _Data | None = None
    last: int | None = msgspec.field(default=None, name="lastUpdateId")
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_decode = msgspec.json.Decoder(_Message).decode


@dataclass(slots=True)
class Recording:
    """One recorded file.

    Attributes:
        path: the file.
        symbol: as the exchange writes it, e.g. BTCUSDT, from the stream names.
        unreadable: lines of the last pass that were no message of this form; they are left out.
        cut: True if the file of the last pass ended in the middle of the compressed data.
    """

    path: Path
    symbol: str
    unreadable: int = 0
    cut: bool = False

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Look into a file and find out its symbol.

        Raises:
            NotARecording: no such file, no gzip, or none of the first lines is a message of this form.
        """
        if not path.is_file():
            raise NotARecording(f"{path}: no such file")
        probe = cls(path, "")
        try:
            for number, line in enumerate(probe._lines()):
                symbol = _symbol_of(line)
                if symbol:
                    return cls(path, symbol)
                if number >= _HEAD:
                    break
        except OSError as error:
            raise NotARecording(f"{path}: cannot be read as gzip: {error}") from error
        raise NotARecording(
            f"{path}: none of its first lines is `<receive time, ns> <JSON with stream and data>`, "
            "the form of the recorded files of nkaz001/hftbacktest (examples/spot)"
        )

    def events(self) -> Iterator[Event]:
        """What the file says, in its order. Unreadable lines are counted and left out."""
        self.unreadable, self.cut = 0, False
        for line in self._lines():
            if not line.strip():
                continue
            try:
                yield parse(line, self.symbol)
            except ValueError:
                self.unreadable += 1

    def _lines(self) -> Iterator[bytes]:
        with gzip.open(self.path, "rb") as file:
            try:
                yield from file
            except (EOFError, zlib.error):
                self.cut = True


def _symbol_of(line: bytes) -> str | None:
    """The symbol that a line's stream name begins with, or None where the line has none."""
    _, _, text = line.partition(b" ")
    try:
        message = _decode(text)
    except msgspec.MsgspecError:
        return None
    return message.stream.partition("@")[0].upper() if message.stream and message.data else None


def parse(line: bytes, symbol: str) -> Event:
    """One line.

    Args:
        line: `<receive time, ns> <JSON>`.
        symbol: of the file; a snapshot does not name its own.

    Raises:
        ValueError: not a message of this form, or of another symbol.
    """
    stamp, _, text = line.partition(b" ")
    received = int(stamp)
    message = _decode(text)
    data = message.data
    if message.stream is None or data is None:
        if message.last is None:
            raise ValueError("neither a stream message nor a snapshot")
        return Snapshot(received, symbol, message.last, _levels(message.bids), _levels(message.asks))
    if data.s != symbol:
        raise ValueError(f"a message of {data.s}")
    match data:
        case _Data(t=int(trade), p=str(price), q=str(amount), T=int(time_ms), m=bool(buyer_made)):
            taker: Side = "sell" if buyer_made else "buy"
            return Printed(received, symbol, trade, number(price), number(amount), taker, time_ms)
        case _Data(U=int(first), u=int(last), b=list(bids), a=list(asks), E=int(time_ms)):
            return Levels(received, symbol, first, last, _levels(bids), _levels(asks), time_ms)
        case _Data(u=int(update), b=str(bid), B=str(bid_amount), a=str(ask), A=str(ask_amount)):
            best_bid, best_ask = _levels([(bid, bid_amount), (ask, ask_amount)])
            return Top(received, symbol, update, best_bid, best_ask)
        case _:
            raise ValueError(f"unknown kind of message: {message.stream}")


def _levels(pairs: Iterable[tuple[str, str]]) -> list[LevelOf]:
    return [(number(price), number(amount)) for price, amount in pairs]


def merged(recordings: Iterable[Recording]) -> Iterator[Event]:
    """Several files as one, in the order of the recorder's clock."""
    return heapq.merge(*(recording.events() for recording in recordings), key=attrgetter("received"))


class Splice:
    """Snapshot and differences of one symbol, put in order.

    Differences that came before the snapshot are kept back until it is there; those it already holds
    (`last` not above the snapshot's) are dropped.
    """

    def __init__(self) -> None:
        self._held: list[Levels] = []
        self._through: int | None = None

    def feed(self, event: Levels | Snapshot) -> list[Levels | Snapshot]:
        """What to apply to the book now, in order; nothing while the snapshot is awaited."""
        if isinstance(event, Snapshot):
            held, self._held, self._through = self._held, [], event.last
            return [event, *(levels for levels in held if levels.last > event.last)]
        if self._through is None:
            self._held.append(event)
            return []
        return [event] if event.last > self._through else []
