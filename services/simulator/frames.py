"""Socket messages as the venue sends them: `[type, object]` (BTCTurk reference, sections 4.3, 4.4 and 9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from .candles import Candle
from .engine.events import BookChanged, LevelChange, OrderEnded, OrderFilled, OrderInserted, TradePrinted
from .engine.exchange import LevelOf
from .engine.order import Method, Side
from .pairs import Pair
from .text import places, plain

HELLO = 991
JOIN = 151
RESULT = 100
RESEND = 101
LOGIN = 114
LOGOUT = 113
TAKER_SIDE: dict[Side, int] = {"sell": 0, "buy": 1}
"""`S` of 421 and 422, as matched live in August 2026 (BTCTurk reference, section 9)."""
ORDER_TYPE: dict[Side, int] = {"buy": 0, "sell": 1}
METHOD: dict[Method, int] = {Method.LIMIT: 0, Method.MARKET: 1, Method.STOP_LIMIT: 2, Method.STOP_MARKET: 3}

_encoder = msgspec.json.Encoder()


def encode(kind: int, body: dict[str, Any]) -> str:
    """A frame's text."""
    return _encoder.encode((kind, body)).decode()


def exact(number: Decimal) -> msgspec.Raw:
    """A JSON number with exactly these digits."""
    return msgspec.Raw(plain(number).encode())


def hello() -> str:
    """991, sent unasked on connect."""
    return encode(HELLO, {"type": HELLO, "current": "6.0.0", "min": "2.3.0"})


def result(message: str, ok: bool) -> str:
    """100, the answer to a join or leave; its text is the only link to the question."""
    return encode(RESULT, {"type": RESULT, "ok": ok, "message": message})


def login_result(user: int, problem: str | None) -> str:
    """114, the answer to a login."""
    return encode(LOGIN, {"type": LOGIN, "ok": problem is None, "id": user, "message": problem})


def _trade_item(trade: TradePrinted) -> dict[str, Any]:
    return {
        "D": str(trade.time_ms),
        "I": str(trade.id),
        "A": places(trade.amount, 10),
        "P": places(trade.price, 10),
        "S": TAKER_SIDE[trade.side],
    }


def trade_list(pair: str, trades: Iterable[TradePrinted]) -> str:
    """421: the latest trades, newest first."""
    items = [_trade_item(trade) for trade in trades]
    return encode(421, {"channel": "trade", "event": pair, "type": 421, "symbol": pair, "items": items})


def trade(event: TradePrinted) -> str:
    """422: one trade."""
    pair = event.pair
    return encode(422, {**_trade_item(event), "PS": pair, "channel": "trade", "event": pair, "type": 422})


def book(channel: str, pair: str, number: int, bids: Sequence[LevelOf], asks: Sequence[LevelOf]) -> str:
    """431: a book. `number` (`CS`) is that of the *next* difference."""
    body = {
        "CS": number,
        "PS": pair,
        "AO": [{"A": plain(amount), "P": plain(price)} for price, amount in asks],
        "BO": [{"A": plain(amount), "P": plain(price)} for price, amount in bids],
        "channel": channel,
        "event": pair,
        "type": 431,
    }
    return encode(431, body)


def _change_items(changes: Iterable[LevelChange]) -> list[dict[str, Any]]:
    return [{"A": plain(amount), "P": plain(price), "CP": int(change)} for price, amount, change in changes]


def difference(event: BookChanged) -> str:
    """432: one difference. A removed level carries its last amount, not 0."""
    body = {
        "CS": event.number,
        "PS": event.pair,
        "AO": _change_items(event.asks),
        "BO": _change_items(event.bids),
        "channel": "obdiff",
        "event": event.pair,
        "type": 432,
    }
    return encode(432, body)


def ticker_item(
    pair: Pair, last: Decimal, day: Candle | None, bid: LevelOf | None, ask: LevelOf | None
) -> dict[str, Any]:
    """What 402 and each item of 401 say. All are strings but `PId`; there is no time."""
    figures = ticker_figures(last, day, bid, ask)
    return {
        "B": plain(figures["bid"]),
        "A": plain(figures["ask"]),
        "BA": plain(bid[1]) if bid else "0",
        "AA": plain(ask[1]) if ask else "0",
        "PS": pair.name,
        "H": plain(figures["high"]),
        "L": plain(figures["low"]),
        "LA": plain(last),
        "O": plain(figures["open"]),
        "V": plain(figures["volume"]),
        "AV": places(figures["average"].quantize(Decimal("1e-10")), 12),
        "D": plain(figures["daily"]),
        "DP": plain(figures["percent"]),
        "DS": pair.quote,
        "NS": pair.base,
        "PId": pair.id,
    }


def ticker_figures(last: Decimal, day: Candle | None, bid: LevelOf | None, ask: LevelOf | None) -> dict[str, Decimal]:
    """The numbers of a ticker. As in the captures, `daily` is ask less open, but the percentage is of last."""
    zero = Decimal(0)
    opened = day.open if day else last
    best_bid, best_ask = bid[0] if bid else zero, ask[0] if ask else zero
    return {
        "bid": best_bid,
        "ask": best_ask,
        "high": day.high if day else last,
        "low": day.low if day else last,
        "open": opened,
        "volume": day.volume if day else zero,
        "average": day.total / day.volume if day else last,
        "daily": (best_ask or last) - opened,
        "percent": ((last - opened) / opened * 100).quantize(Decimal("0.01")),
    }


def ticker(item: dict[str, Any]) -> str:
    """402: the ticker of one pair."""
    return encode(402, {**item, "channel": "ticker", "event": item["PS"], "type": 402})


def tickers(items: list[dict[str, Any]]) -> str:
    """401: the tickers of all pairs."""
    return encode(401, {"type": 401, "channel": "ticker", "event": "all", "items": items})


def order_insert(event: OrderInserted, pair: Pair) -> str:
    """451: an order of this client was taken."""
    return encode(451, _order_message(451, event, pair, event.asked, event.asked, 0))


def order_delete(event: OrderEnded, pair: Pair) -> str:
    """452: an order of this client left the book, cancelled or filled."""
    return encode(452, _order_message(452, event, pair, event.amount, event.left, 16))


def _order_message(
    kind: int, event: OrderInserted | OrderEnded, pair: Pair, amount: Decimal, left: Decimal, count: int
) -> dict[str, Any]:
    return {
        "type": kind,
        "pairId": pair.id,
        "symbol": event.pair,
        "id": event.order_id,
        "method": METHOD[event.method],
        "userId": event.account,
        "orderType": ORDER_TYPE[event.side],
        "price": places(event.price, count),
        "amount": places(amount, count),
        "numLeft": places(left, count),
        "denomLeft": places(left * event.price, 16),
        "newOrderClientId": event.client_id,
    }


def order_match(event: OrderFilled, pair: Pair) -> str:
    """441: an order of this client matched. `id` is the order's: there is no trade id and no fee."""
    body = {
        "type": 441,
        "id": event.order_id,
        "user": event.account,
        "isBid": event.side == "buy",
        "method": METHOD[event.method],
        "pair": pair.id,
        "symbol": event.pair,
        "amount": places(event.amount, 10),
        "price": places(event.price, 10),
        "clientId": event.client_id,
        "timestamp": str(event.time_ms),
    }
    return encode(441, body)


def fill_row(event: OrderFilled, pair: Pair) -> dict[str, Any]:
    """One fill as message 423 and `transactions/trade` give it: negative for sells, fee and tax negative."""
    amount = event.amount if event.side == "buy" else -event.amount
    return {
        "id": event.trade_id,
        "orderId": event.order_id,
        "orderClientId": event.client_id,
        "timestamp": event.time_ms,
        "numeratorSymbol": pair.base,
        "denominatorSymbol": pair.quote,
        "orderType": event.side,
        "price": places(event.price, pair.price_scale),
        "amount": plain(amount),
        "preciseAmount": exact(amount),
        "fee": plain(-event.fee),
        "tax": plain(-event.tax),
    }


def user_trade(event: OrderFilled, pair: Pair) -> str:
    """423: a fill. Its object has no `type`."""
    return encode(423, fill_row(event, pair))


def balance_changed(account: int, pair: Pair, base_id: int, quote_id: int) -> str:
    """201: a hint to read the balances again."""
    return encode(201, {"type": 201, "userId": account, "payload": f"{pair.id},{base_id},{quote_id}"})
