"""BTCTurk's public channels: join frames, and frames to market facts (BTCTurk reference, sections 4.1 to 4.5 and 9).

Unknown message types, unknown fields and other pairs are passed over. A frame or an item that cannot be understood is
`Refused` with the reason, and what came beside it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec

from tickrouter.core.market import (
    BookDiff,
    BookSnapshot,
    Joined,
    MarketFact,
    Refused,
    TickerSeen,
    TradeSeen,
)
from tickrouter.errors import InvalidValue
from tickrouter.model.bar import Bar
from tickrouter.model.contract import Contract
from tickrouter.model.record import SIZE_ROUNDED, STATISTIC_ROUNDED, Level
from tickrouter.model.trade import Side, Trade
from tickrouter.venues.btcturk.klines import bars_request, read_bars
from tickrouter.venues.btcturk.levels import LevelTexts, read_changes, read_levels
from tickrouter.venues.btcturk.numbers import NotRepresentable, Text, price, size
from tickrouter.venues.btcturk.plain import (
    LONGEST_ID,
    TICKER,
    Meaning,
    read_diff,
    read_start,
    read_ticker,
    read_tickers,
    read_trade,
)
from tickrouter.venues.btcturk.public import read_trades, trades_request
from tickrouter.venues.card import Card
from tickrouter.venues.request import Answer, Request

CHANNELS = ("ticker", "trade", "obdiff", "orderbook")
JOIN = 151
KIND_BYTES = 5
"""Bytes of a frame that tell its kind."""
TOGETHER = 8
"""So many tickers of one batch are read in one step: fewer are faster read one by one."""
_NS_PER_MS = 1_000_000
_MAX_INT64 = 2**63 - 1


class _Envelope(msgspec.Struct, array_like=True):
    kind: int
    body: msgspec.Raw


class _Ticker(
    msgspec.Struct,
    rename={"pair": "PS", "last": "LA", "bid": "B", "ask": "A", "bid_size": "BA", "ask_size": "AA", "volume": "V"},
):
    pair: str | None = None
    event: str | None = None
    last: Text | None = None
    bid: Text | None = None
    ask: Text | None = None
    bid_size: Text | None = None
    ask_size: Text | None = None
    volume: Text | None = None


class _Trade(
    msgspec.Struct,
    rename={"price": "P", "amount": "A", "side": "S", "trade_id": "I", "time": "D", "pair": "PS"},
):
    price: Text
    amount: Text
    side: int | str
    trade_id: int | str
    time: int | str | None = None
    pair: str | None = None
    event: str | None = None


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]
    symbol: str | None = None
    event: str | None = None


class _Book(msgspec.Struct, rename={"sequence": "CS", "asks": "AO", "bids": "BO", "pair": "PS"}):
    sequence: int | str
    asks: list[LevelTexts]
    bids: list[LevelTexts]
    pair: str | None = None
    event: str | None = None
    channel: str | None = None


class _Result(msgspec.Struct):
    ok: bool
    message: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_ticker = msgspec.json.Decoder(_Ticker)
_trade = msgspec.json.Decoder(_Trade)
_items = msgspec.json.Decoder(_Items)
_book = msgspec.json.Decoder(_Book)
_result = msgspec.json.Decoder(_Result)

# What a decoder raises over bytes that anyone may have written; deep nesting ends in RecursionError.
_UNREADABLE = (msgspec.DecodeError, InvalidValue, UnicodeDecodeError, RecursionError)


class BtcturkMarket:
    """The public feed of BTCTurk for some contracts."""

    def __init__(self, card: Card, contracts: Iterable[Contract]) -> None:
        self._host = card.hosts.public
        self._graph = card.hosts.graph
        self._contracts = {contract.symbol: str(contract) for contract in contracts}
        self._symbols = {name: symbol for symbol, name in self._contracts.items()}
        # Taker side in 421/422: live matching and the documentation disagree, so the card says (section 9).
        self._sides: dict[str, Side] = {
            str(card.channels.trade_buy): "b",
            str(1 - card.channels.trade_buy): "s",
        }
        self._meaning = Meaning(self._contracts, _numbered(self._sides))
        self._plain: dict[bytes, Callable[[bytes, int], MarketFact | None]] = {
            TICKER: partial(read_ticker, self._meaning),
            b"[422,": partial(read_trade, self._meaning),
            b"[431,": partial(read_start, self._meaning),
            b"[432,": partial(read_diff, self._meaning),
        }
        self._readers: dict[int, Callable[[msgspec.Raw, int], list[MarketFact]]] = {
            100: self._joined,
            401: self._ticker_list,
            402: self._ticker_one,
            421: self._trade_list,
            422: self._trade_one,
            431: self._snapshot,
            432: self._diff,
        }

    def subscriptions(self) -> Sequence[str]:
        """Join every channel of every contract."""
        return [_join(channel, symbol, True) for symbol in self._contracts for channel in CHANNELS]

    def resubscriptions(self, contract: str) -> Sequence[str]:
        """Leave and join `obdiff`: its first message is a whole book (section 4.3)."""
        symbol = self._symbols[contract]
        return [_join("obdiff", symbol, False), _join("obdiff", symbol, True)]

    def trades_request(self, contract: Contract) -> Request:
        """The call for the newest past trades of a contract."""
        return trades_request(self._host, contract)

    def past_trades(self, answer: Answer, contract: Contract, now: int) -> list[MarketFact]:
        """What its answer says, oldest first. Raises nothing."""
        return read_trades(answer, contract, now)

    def bars_request(self, contract: Contract, start: int, end: int) -> Request:
        """The call for the venue's own bars of one minute, start <= time < end, ns, both whole minutes."""
        return bars_request(self._graph, contract, start, end)

    def past_bars(self, answer: Answer, contract: Contract, start: int, end: int) -> list[Bar]:
        """What its answer says of that time, oldest first.

        Raises:
            Unreadable: it cannot be read.
        """
        return read_bars(answer, contract, start, end)

    def turn_sides(self) -> None:
        """The sides of the socket's trades are the other way round than the card says (section 9)."""
        one, other = self._sides
        self._sides = {one: self._sides[other], other: self._sides[one]}
        self._meaning.sides = _numbered(self._sides)

    def decode(self, frame: bytes, now: int) -> list[MarketFact]:
        """What a frame says of our contracts. Raises nothing."""
        return self.decode_all([frame], now)

    def decode_all(self, frames: Sequence[bytes], now: int) -> list[MarketFact]:
        """The same of frames that came together."""
        facts: list[MarketFact] = []
        heads = [frame[:KIND_BYTES] for frame in frames]
        tickers: Iterator[TickerSeen] | None = None
        if (count := heads.count(TICKER)) >= TOGETHER:
            own = frames if count == len(frames) else [frame for frame in frames if frame[:KIND_BYTES] == TICKER]
            if (seen := read_tickers(self._meaning, own)) is not None:
                if own is frames:
                    return list(seen)
                tickers = iter(seen)
        reader_of = self._plain.get
        for head, frame in zip(heads, frames, strict=True):
            if tickers is not None and head == TICKER:
                facts.append(next(tickers))
            elif (plain := reader_of(head)) is not None and (fact := plain(frame, now)) is not None:
                facts.append(fact)
            else:
                facts += self._look_closely(frame, now)
        return facts

    def _look_closely(self, frame: bytes, now: int) -> list[MarketFact]:
        try:
            envelope = _envelope.decode(frame)
            reader = self._readers.get(envelope.kind)
            return reader(envelope.body, now) if reader else []
        except _UNREADABLE as error:
            return [_refused(error, None, frame)]

    def _joined(self, body: msgspec.Raw, _now: int) -> list[MarketFact]:
        answer = _result.decode(body)
        text = answer.message or ""
        channel, _, event = text.rpartition("|")[2].partition(":")
        return [Joined(channel, event, answer.ok, text)]

    def _ticker_one(self, body: msgspec.Raw, _now: int) -> list[MarketFact]:
        ticker = _ticker.decode(body)
        contract = self._contract(ticker.pair, ticker.event)
        if contract is None:
            return []
        try:
            return [_ticker_seen(contract, ticker)]
        except InvalidValue as error:
            return [_refused(error, contract, bytes(body))]

    def _ticker_list(self, body: msgspec.Raw, now: int) -> list[MarketFact]:
        return _each(_items.decode(body).items, lambda item: self._ticker_one(item, now), None)

    def _trade_one(self, body: msgspec.Raw, now: int) -> list[MarketFact]:
        trade = _trade.decode(body)
        contract = self._contract(trade.pair, trade.event)
        return [] if contract is None else self._seen(contract, trade, now, True, body)

    def _trade_list(self, body: msgspec.Raw, now: int) -> list[MarketFact]:
        trades = _items.decode(body)
        contract = self._contract(trades.symbol, trades.event)
        if contract is None:
            return []
        return _each(trades.items, lambda item: self._seen(contract, _trade.decode(item), now, False, item), contract)

    def _seen(self, contract: str, trade: _Trade, now: int, live: bool, raw: msgspec.Raw) -> list[MarketFact]:
        try:
            amount, rounded = size("A", trade.amount)
            side = self._sides.get(str(trade.side))
            if side is None:
                raise InvalidValue("S", f"{str(trade.side)[:20]!r} is no known side")
            trade_id = str(trade.trade_id)
            if not 0 < len(trade_id) <= LONGEST_ID:
                raise InvalidValue("I", f"{trade_id[:20]!r} is no trade id")
            seen = Trade(
                now,
                price("P", trade.price),
                amount,
                side,
                trade_id,
                contract,
                "live" if live else "backfill",
                None if trade.time is None else _whole("D", trade.time, _MAX_INT64 // _NS_PER_MS) * _NS_PER_MS,
                SIZE_ROUNDED if rounded else 0,
            )
        except InvalidValue as error:
            return [_refused(error, contract, bytes(raw))]
        return [TradeSeen(seen, live)]

    def _snapshot(self, body: msgspec.Raw, _now: int) -> list[MarketFact]:
        book = _book.decode(body)
        contract = self._contract(book.pair, book.event)
        if contract is None:
            return []
        try:
            if book.channel not in ("obdiff", "orderbook"):
                raise InvalidValue("channel", f"{str(book.channel)[:20]!r} is neither obdiff nor orderbook")
            bids, bids_rounded = read_levels(book.bids)
            asks, asks_rounded = read_levels(book.asks)
            sequence = _whole("CS", book.sequence, _MAX_INT64)
        except InvalidValue as error:
            return [_refused(error, contract, bytes(body))]
        flags = SIZE_ROUNDED if bids_rounded or asks_rounded else 0
        return [BookSnapshot(contract, book.channel, sequence, bids, asks, flags=flags)]

    def _diff(self, body: msgspec.Raw, _now: int) -> list[MarketFact]:
        book = _book.decode(body)
        contract = self._contract(book.pair, book.event)
        if contract is None:
            return []
        try:
            bids, bids_rounded = read_changes(book.bids)
            asks, asks_rounded = read_changes(book.asks)
            sequence = _whole("CS", book.sequence, _MAX_INT64)
        except InvalidValue as error:
            return [_refused(error, contract, bytes(body))]
        flags = SIZE_ROUNDED if bids_rounded or asks_rounded else 0
        return [BookDiff(contract, sequence, bids, asks, flags=flags)]

    def _contract(self, pair: str | None, event: str | None) -> str | None:
        # PS was null in 2020 (#203): the event then names the pair.
        return self._contracts.get((pair or event or "").replace("_", ""))


def _numbered(sides: Mapping[str, Side]) -> dict[int, Side]:
    return {int(number): side for number, side in sides.items()}


def _join(channel: str, symbol: str, join: bool) -> str:
    frame = [JOIN, {"type": JOIN, "channel": channel, "event": symbol, "join": join}]
    return msgspec.json.encode(frame).decode()


def _each(
    items: list[msgspec.Raw], read: Callable[[msgspec.Raw], list[MarketFact]], contract: str | None
) -> list[MarketFact]:
    facts: list[MarketFact] = []
    for item in items:
        try:
            facts += read(item)
        except _UNREADABLE as error:
            facts.append(_refused(error, contract, bytes(item)))
    return facts


def _ticker_seen(contract: str, ticker: _Ticker) -> TickerSeen:
    bid, bid_rounded = _best("B", ticker.bid, ticker.bid_size)
    ask, ask_rounded = _best("A", ticker.ask, ticker.ask_size)
    volume, volume_rounded = (None, False) if ticker.volume is None else size("V", ticker.volume)
    flags = (SIZE_ROUNDED if bid_rounded or ask_rounded else 0) | (STATISTIC_ROUNDED if volume_rounded else 0)
    last = None if ticker.last is None or _is_zero(ticker.last) else price("LA", ticker.last)
    # The ticker carries no time and no 24-hour figure in quote (section 4.4).
    return TickerSeen(contract, last, bid, ask, volume, None, None, flags)


def _best(field: str, at: Text | None, amount: Text | None) -> tuple[Level | None, bool]:
    # An empty side of the book shows as 0.
    if at is None or amount is None or _is_zero(at) or _is_zero(amount):
        return None, False
    number, rounded = size(f"{field}A", amount)
    return (price(field, at), number), rounded


def _is_zero(value: Text) -> bool:
    return not str(value).strip("0.")


def _whole(field: str, value: int | str, bound: int) -> int:
    try:
        number = int(value)
    except ValueError:
        raise InvalidValue(field, f"{str(value)[:40]!r} is no whole number") from None
    if not -bound <= number <= bound:
        raise InvalidValue(field, "is out of range")
    return number


def _refused(error: Exception, contract: str | None, data: bytes) -> Refused:
    kind: Literal["quarantine", "unreadable"] = "quarantine" if isinstance(error, NotRepresentable) else "unreadable"
    return Refused(kind, contract, str(error)[:300], data)
