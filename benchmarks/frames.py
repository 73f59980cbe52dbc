"""One walk of a market, told by two exchanges: BTCTurk's frames for tickrouter, Binance's for cryptofeed.

Both say the same: message by message the same best bid and ask, the same trade, the same two changed levels. Every
message changes something that is recorded, so each must be in Redis at the end. Whole books are told to cryptofeed in
Crypto.com's words: Binance sends differences only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ticker", "trade", "book", "whole"]
"""`book` changes two levels of one of 100 levels a side; `whole` is one of 50 levels a side."""
Dialect = Literal["btcturk", "binance", "cryptodotcom"]

DEPTH = 100
"""Levels a side of a book's start."""
WHOLE = 50
"""Levels a side of a book that is sent whole."""
SHOWN = 5
"""Levels a side that are recorded; each change of a book is among them."""
TIME_MS = 1_785_585_600_000
_SEED = 20260801


@dataclass(frozen=True, slots=True)
class Message:
    """What one frame says. Prices are in cents, sizes in 1e-8.

    Attributes:
        number: from 1.
        bid: price and size.
        ask: price and size.
        buy: the taker's side, of a trade.
    """

    number: int
    bid: tuple[int, int]
    ask: tuple[int, int]
    buy: bool


def walk(kind: Kind, count: int) -> Iterator[Message]:
    """Messages of a market that wanders; the same ones at every call."""
    chance = random.Random(_SEED)
    middle = 6_500_000
    for number in range(1, count + 1):
        sizes = chance.randrange(1, 10**9), chance.randrange(1, 10**9)
        if kind == "book":
            # The start of the book has its best levels 1 cent from the middle, then one a cent.
            bid, ask = middle - chance.randint(1, SHOWN), middle + chance.randint(1, SHOWN)
        else:
            middle += chance.choice((-3, -2, -1, 1, 2, 3))
            bid, ask = middle - 1, middle + 1
        yield Message(number, (bid, sizes[0]), (ask, sizes[1]), chance.random() < 0.5)


def start(dialect: Dialect) -> str:
    """The book before the first change: a frame of BTCTurk's, the answer to a call of Binance's."""
    bids = [_decimal((6_500_000 - place, 10**8 + place)) for place in range(1, DEPTH + 1)]
    asks = [_decimal((6_500_000 + place, 10**8 + place)) for place in range(1, DEPTH + 1)]
    if dialect == "binance":
        return _text({"lastUpdateId": 0, "bids": bids, "asks": asks})
    sides = {name: [{"A": size, "P": price} for price, size in levels] for name, levels in (("AO", asks), ("BO", bids))}
    return _text([431, {"CS": 1, "PS": "BTCUSDT", **sides, "channel": "obdiff", "event": "BTCUSDT", "type": 431}])


def frame(dialect: Dialect, kind: Kind, message: Message) -> str:
    """One message in an exchange's words, with all fields that it sends."""
    match dialect:
        case "btcturk":
            return _text(_BTCTURK[kind](message))
        case "binance":
            return _text(_binance(kind, message))
        case "cryptodotcom":
            return _cryptodotcom(message)


def _ticker(message: Message) -> Any:
    (bid, bid_size), (ask, ask_size) = _decimal(message.bid), _decimal(message.ask)
    body = {"B": bid, "A": ask, "BA": bid_size, "AA": ask_size, "PS": "BTCUSDT", "H": "66000", "L": "64000"}
    body |= {"LA": bid, "O": "64500", "V": "473.27239993", "AV": "65012.120140000000", "D": "512.5", "DP": "0.79"}
    body |= {"DS": "USDT", "NS": "BTC"}
    return [402, body | {"PId": 14, "channel": "ticker", "event": "BTCUSDT", "type": 402}]


def _trade(message: Message) -> Any:
    price, size = _decimal(message.bid)
    body = {"D": str(TIME_MS + message.number), "I": str(10**17 + message.number), "A": size, "P": price}
    return [422, {**body, "S": int(message.buy), "PS": "BTCUSDT", "channel": "trade", "event": "BTCUSDT", "type": 422}]


def _book(message: Message) -> Any:
    sides = {
        name: [{"A": size, "P": price, "CP": 1}]
        for name, (price, size) in (("AO", _decimal(message.ask)), ("BO", _decimal(message.bid)))
    }
    body = {"CS": message.number, "PS": "BTCUSDT", **sides}
    return [432, {**body, "channel": "obdiff", "event": "BTCUSDT", "type": 432}]


def _whole(message: Message) -> Any:
    sides = {
        name: [{"A": size, "P": price} for price, size in map(_decimal, levels)]
        for name, levels in zip(("BO", "AO"), whole_sides(message), strict=True)
    }
    # Each is a start of its own: its number is beyond the one before it.
    body = {"CS": message.number + 1, "PS": "BTCUSDT", "AO": sides["AO"], "BO": sides["BO"]}
    return [431, {**body, "channel": "obdiff", "event": "BTCUSDT", "type": 431}]


def whole_sides(message: Message) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bids and asks of a whole book, best first: the best ones are the message's."""
    (bid, bid_size), (ask, ask_size) = message.bid, message.ask
    bids = [(bid, bid_size), *((bid - place, 10**8 + place) for place in range(1, WHOLE))]
    return bids, [(ask, ask_size), *((ask + place, 10**8 + place) for place in range(1, WHOLE))]


_BTCTURK = {"ticker": _ticker, "trade": _trade, "book": _book, "whole": _whole}


def _cryptodotcom(message: Message) -> str:
    """A book of Crypto.com's: its numbers are no texts."""
    bids, asks = (
        ",".join(f"[{price},{size},1]" for price, size in map(_decimal, side)) for side in whole_sides(message)
    )
    data = f'[{{"bids":[{bids}],"asks":[{asks}],"t":{TIME_MS + message.number}}}]'
    result = f'{{"instrument_name":"BTC_USDT","subscription":"book.BTC_USDT.{WHOLE}","channel":"book",'
    return f'{{"id":-1,"method":"subscribe","code":0,"result":{result}"depth":{WHOLE},"data":{data}}}}}'


def _binance(kind: Kind, message: Message) -> Any:
    (bid, bid_size), (ask, ask_size) = _decimal(message.bid), _decimal(message.ask)
    time, number = TIME_MS + message.number, message.number
    data: dict[str, Any]
    match kind:
        case "ticker":
            stream = "btcusdt@bookTicker"
            data = {"u": number, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
        case "trade":
            stream = "btcusdt@aggTrade"
            data = {"e": "aggTrade", "E": time, "s": "BTCUSDT", "a": 10**17 + number, "p": bid, "q": bid_size}
            data |= {"f": number, "l": number, "T": time, "m": not message.buy, "M": True}
        case "book" | "whole":
            stream = "btcusdt@depth@100ms"
            data = {"e": "depthUpdate", "E": time, "s": "BTCUSDT", "U": number, "u": number}
            data |= {"b": [[bid, bid_size]], "a": [[ask, ask_size]]}
    return {"stream": stream, "data": data}


def _decimal(level: tuple[int, int]) -> tuple[str, str]:
    price, size = level
    return f"{price // 100}.{price % 100:02}", f"{size // 10**8}.{size % 10**8:08}"


def _text(body: Any) -> str:
    return json.dumps(body, separators=(",", ":"))
