"""Frames as they nearly always are, read in one step: every field there, numbers that a float64 carries.

A function here gives what `market.py` would give, or None for any frame that needs a closer look; that one then says
what is wrong with it, or what was rounded. A frame is decoded twice, both times in C: once for the length of its texts,
which bounds their significant digits, and once for the numbers in them. That is cheaper than a look at each text here.
Of tickers that came together the second time is one call for all, over the texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import msgspec

from tickrouter.core.market import BookDiff, BookSnapshot, TickerSeen, TradeSeen, Unread
from tickrouter.model.trade import Side, Trade
from tickrouter.venues.btcturk.levels import REMOVED, read_side
from tickrouter.venues.btcturk.numbers import DIGITS

HEAD = 5
"""Levels of a whole book's side that are read at once."""
_HEAD_BYTES = 400
"""Twice what they take."""
LONGEST_ID = 64
TICKER = b"[402,"
"""How a ticker's frame begins."""
_HUGE = 1e300
_LAST_MS = 2**63 // 1_000_000 - 1
_NS_PER_MS = 1_000_000

# As many characters are as many significant digits at most.
_Short = Annotated[str, msgspec.Meta(max_length=DIGITS)]
_Above0 = Annotated[float, msgspec.Meta(gt=0.0, lt=_HUGE)]
_From0 = Annotated[float, msgspec.Meta(ge=0.0, lt=_HUGE)]
_Sequence = Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)]

_TICKER = {"pair": "PS", "last": "LA", "bid": "B", "ask": "A", "bid_size": "BA", "ask_size": "AA", "volume": "V"}
_TRADE = {"price": "P", "amount": "A", "side": "S", "trade_id": "I", "time": "D", "pair": "PS"}
_LEVEL = {"price": "P", "amount": "A", "change": "CP"}
_DIFF = {"sequence": "CS", "asks": "AO", "bids": "BO", "pair": "PS"}


@dataclass(slots=True)
class Meaning:
    """What stands for what: canonical names by the venue's symbols, and sides of trades by their numbers."""

    contracts: Mapping[str, str]
    sides: Mapping[int, Side]


class _TickerTexts(msgspec.Struct, rename=_TICKER, gc=False):
    pair: str
    last: _Short
    bid: _Short
    ask: _Short
    bid_size: _Short
    ask_size: _Short
    volume: _Short


class _TickerNumbers(msgspec.Struct, rename=_TICKER, gc=False):
    last: _Above0
    bid: _Above0
    ask: _Above0
    bid_size: _Above0
    ask_size: _Above0
    volume: _From0


class _Ticker(_TickerNumbers, rename=_TICKER, gc=False):
    pair: str


class _Trade(msgspec.Struct, rename=_TRADE, gc=False):
    price: str
    amount: str
    side: int
    trade_id: str
    time: str
    pair: str


class _LevelTexts(msgspec.Struct, rename=_LEVEL, gc=False):
    price: _Short
    amount: _Short
    change: int


class _Level(msgspec.Struct, rename=_LEVEL, gc=False):
    price: _Above0
    amount: _From0
    change: Literal[0, 1, 3]


class _SideTexts(msgspec.Struct, rename=_LEVEL, gc=False):
    price: _Short
    amount: _Short


class _SideLevel(msgspec.Struct, rename=_LEVEL, gc=False):
    price: _Above0
    amount: _Above0


class _Start(msgspec.Struct, rename=_DIFF, gc=False):
    sequence: _Sequence
    asks: msgspec.Raw
    bids: msgspec.Raw
    pair: str
    channel: Literal["obdiff"]


class _DiffTexts(msgspec.Struct, rename=_DIFF, gc=False):
    sequence: int
    asks: list[_LevelTexts]
    bids: list[_LevelTexts]
    pair: str


class _Diff(msgspec.Struct, rename=_DIFF, gc=False):
    sequence: _Sequence
    asks: list[_Level]
    bids: list[_Level]
    pair: str


class _Frame(msgspec.Struct, array_like=True, gc=False):
    kind: int


class _TickerTextsFrame(_Frame, array_like=True, gc=False):
    body: _TickerTexts


class _TickerFrame(_Frame, array_like=True, gc=False):
    body: _Ticker


class _TradeFrame(_Frame, array_like=True, gc=False):
    body: _Trade


class _DiffTextsFrame(_Frame, array_like=True, gc=False):
    body: _DiffTexts


class _StartFrame(_Frame, array_like=True, gc=False):
    body: _Start


class _DiffFrame(_Frame, array_like=True, gc=False):
    body: _Diff


# Strict: texts have to be texts; and then not: texts are numbers.
_ticker_texts = msgspec.json.Decoder(_TickerTextsFrame)
_ticker = msgspec.json.Decoder(_TickerFrame, strict=False)
_tickers = list[_TickerNumbers]
_trade = msgspec.json.Decoder(_TradeFrame)
_start = msgspec.json.Decoder(_StartFrame)
_levels_of_head = re.compile(rb"(?:[^}]*\}){%d}" % HEAD).match
_sides_texts = msgspec.json.Decoder(tuple[list[_SideTexts], list[_SideTexts]])
_sides = msgspec.json.Decoder(tuple[list[_SideLevel], list[_SideLevel]], strict=False)
_diff_texts = msgspec.json.Decoder(_DiffTextsFrame)
_diff = msgspec.json.Decoder(_DiffFrame, strict=False)

# ValueError: a text that is no number, or no UTF-8.
_UNUSUAL = (msgspec.DecodeError, ValueError, RecursionError)


def read_ticker(meaning: Meaning, frame: bytes, _now: int) -> TickerSeen | None:
    """A frame 402 with prices and sizes above 0."""
    try:
        _ticker_texts.decode(frame)
        body = _ticker.decode(frame).body
        contract = meaning.contracts[body.pair]
    except (*_UNUSUAL, KeyError):
        return None
    return TickerSeen(
        contract, body.last, (body.bid, body.bid_size), (body.ask, body.ask_size), body.volume, None, None
    )


def read_tickers(meaning: Meaning, frames: Sequence[bytes]) -> list[TickerSeen] | None:
    """The same of many frames, or None where any of them is not so: pays from a handful on."""
    try:
        texts = [_ticker_texts.decode(frame).body for frame in frames]
        numbers = msgspec.convert(texts, _tickers, strict=False, from_attributes=True)
        contracts = [meaning.contracts[one.pair] for one in texts]
    except (*_UNUSUAL, KeyError):
        return None
    return [
        TickerSeen(contract, one.last, (one.bid, one.bid_size), (one.ask, one.ask_size), one.volume, None, None)
        for contract, one in zip(contracts, numbers, strict=True)
    ]


def read_trade(meaning: Meaning, frame: bytes, now: int) -> TradeSeen | None:
    """A frame 422, received at `now` (ns)."""
    # float() and int() would take "1_000", which no venue means.
    if b"_" in frame:
        return None
    try:
        body = _trade.decode(frame).body
        price, size, time = _exact(body.price), _exact(body.amount), int(body.time)
    except _UNUSUAL:
        return None
    contract, side, trade_id = meaning.contracts.get(body.pair), meaning.sides.get(body.side), body.trade_id
    if (
        contract is None
        or side is None
        or not 0 < len(trade_id) <= LONGEST_ID
        or not 0.0 < price < _HUGE
        or not 0.0 <= size < _HUGE
        or not 0 <= time <= _LAST_MS
    ):
        return None
    return TradeSeen(Trade(now, price, size, side, trade_id, contract, "live", time * _NS_PER_MS), True)


def read_diff(meaning: Meaning, frame: bytes, _now: int) -> BookDiff | None:
    """A frame 432."""
    try:
        _diff_texts.decode(frame)
        body = _diff.decode(frame).body
        contract = meaning.contracts[body.pair]
    except (*_UNUSUAL, KeyError):
        return None
    # A removed level carries its last amount, not 0 (section 4.4).
    return BookDiff(
        contract,
        body.sequence,
        tuple([(level.price, 0.0 if level.change == REMOVED else level.amount) for level in body.bids]),
        tuple([(level.price, 0.0 if level.change == REMOVED else level.amount) for level in body.asks]),
    )


def read_start(meaning: Meaning, frame: bytes, _now: int) -> BookSnapshot | None:
    """A frame 431 that starts a book: the best levels are read, the others when they are asked for."""
    try:
        body = _start.decode(frame).body
        contract = meaning.contracts[body.pair]
        best = b"[%b],%b]]" % (_best(body.bids), _best(body.asks))
        _sides_texts.decode(best)
        bids, asks = _sides.decode(best)
    except (*_UNUSUAL, KeyError):
        return None
    if not _falls(bids) or not _falls(asks[::-1]):
        return None
    return BookSnapshot(contract, body.channel, body.sequence, _unread(bids, body.bids), _unread(asks, body.asks))


def _best(side: msgspec.Raw) -> bytes:
    """The first levels of a side.

    Raises:
        ValueError: it has not so many, or longer ones than are usual.
    """
    found = _levels_of_head(side, 0, _HEAD_BYTES)
    if found is None:
        raise ValueError("fewer levels, or longer ones")
    return found[0]


def _falls(side: list[_SideLevel]) -> bool:
    """True if every price is below the one before."""
    last = _HUGE
    for level in side:
        if level.price >= last:
            return False
        last = level.price
    return True


def _unread(head: list[_SideLevel], side: msgspec.Raw) -> Unread:
    return Unread(tuple([(level.price, level.amount) for level in head]), partial(read_side, side))


def _exact(text: str) -> float:
    """Raises ValueError: no number, or of so many characters that its digits have to be counted."""
    # Trades come with ten decimals, most of them zeros.
    if len(text) > DIGITS and ("." not in text or len(text.rstrip("0")) > DIGITS + 1):
        raise ValueError(text)
    return float(text)
