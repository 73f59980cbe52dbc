"""Public REST calls and charts (BTCTurk reference, sections 1.4 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import frames
from .candles import DAY_MS, MINUTE_MS, Candle, Candles
from .clock import VenueClock
from .engine.exchange import Exchange
from .order_rows import number
from .pairs import PAIRS, Pair, exchange_info, find_pair
from .problems import bad_time, refused
from .request import Answer, Request, bare, enveloped
from .tape import SHOWN, Tape
from .text import places, plain

DEFAULT_LEVELS, MOST_LEVELS = 25, 1000
DEFAULT_TRADES = 50
RESOLUTIONS: Mapping[str, int] = {
    **{str(minutes): minutes * MINUTE_MS for minutes in (1, 5, 15, 30, 60, 240, 1440, 10080)},
    **dict.fromkeys(("1D", "D", "1 d"), DAY_MS),
    **dict.fromkeys(("1W", "W", "1 w"), 7 * DAY_MS),
    **dict.fromkeys(("1M", "M"), 30 * DAY_MS),
    "1 y": 365 * DAY_MS,
}


class PublicRest:
    """Answers to everybody."""

    def __init__(self, exchange: Exchange, tape: Tape, candles: Candles, clock: VenueClock) -> None:
        self._exchange = exchange
        self._tape = tape
        self._candles = candles
        self._clock = clock

    def server_time(self, _request: Request) -> Answer:
        now = self._clock.now_ms()
        text = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="microseconds")
        return bare({"serverTime": now, "serverTime2": text})

    def ping(self, _request: Request) -> Answer:
        return bare({"pong": True})

    def exchange_info(self, _request: Request) -> Answer:
        marks = {pair: self._exchange.mark(pair) for pair in PAIRS}
        return enveloped(exchange_info(self._clock.now_ms(), marks), message="")

    def ticker(self, request: Request) -> Answer:
        """Always a list; an unknown pair, or one that has not traded, gives an empty one."""
        symbol = request.first("pairSymbol")
        pair = find_pair(symbol) if symbol else None
        pairs = list(PAIRS.values()) if not symbol else [pair] if pair is not None else []
        return enveloped(self._ticker_rows(pairs), message="")

    def ticker_currency(self, request: Request) -> Answer:
        """Tickers of all pairs quoted in a currency."""
        quote = request.first("symbol").upper()
        return enveloped(self._ticker_rows([pair for pair in PAIRS.values() if pair.quote == quote]), message="")

    def orderbook(self, request: Request) -> Answer:
        pair = _pair(request, "pairSymbol")
        limit = min(MOST_LEVELS, max(1, request.number("limit", DEFAULT_LEVELS)))
        bids, asks = self._exchange.book(pair.name, limit)
        data = {
            "timestamp": float(self._clock.now_ms()),
            "bids": [[plain(price), plain(amount)] for price, amount in bids],
            "asks": [[plain(price), plain(amount)] for price, amount in asks],
        }
        return enveloped(data, message="", code="SUCCESS")

    def trades(self, request: Request) -> Answer:
        pair = _pair(request, "pairSymbol")
        count = min(SHOWN, max(1, request.number("last", DEFAULT_TRADES)))
        rows = [
            {
                "pair": pair.name,
                "pairNormalized": pair.normalized,
                "numerator": pair.base,
                "denominator": pair.quote,
                "date": trade.time_ms,
                "tid": str(trade.id),
                "price": places(trade.price, pair.price_scale),
                "amount": places(trade.amount, pair.amount_scale),
                "side": trade.side,
            }
            for trade in self._tape.latest(pair.name, count)
        ]
        return enveloped(rows, message="")

    def ohlc(self, request: Request) -> Answer:
        """Old daily bars, oldest first."""
        pair = _pair(request, "pairSymbol")
        days = self._candles.history(pair.name, DAY_MS, 0, self._clock.now_ms())
        return enveloped([_old_bar(pair, day) for day in days[-max(1, request.number("last", 10)) :]], message="")

    def ohlcs(self, request: Request) -> Answer:
        """Daily bars, bare; times in seconds."""
        pair = _pair(request, "pair")
        return bare([_daily_bar(pair, day) for day in self._range(request, pair, DAY_MS)])

    def klines(self, request: Request) -> Answer:
        """Bars as columns, bare; times in seconds; minutes without a trade are missing."""
        pair = find_pair(request.first("symbol"))
        step = RESOLUTIONS.get(request.first("resolution"))
        if pair is None or step is None:
            raise refused("PARAMETERS_ERROR")
        bars = self._range(request, pair, step)
        columns: dict[str, Any] = {
            "s": "ok" if bars else "no_data",
            "t": [bar.start_ms // 1000 for bar in bars],
            "o": [number(bar.open) for bar in bars],
            "h": [number(bar.high) for bar in bars],
            "l": [number(bar.low) for bar in bars],
            "c": [number(bar.close) for bar in bars],
            "v": [number(bar.volume) for bar in bars],
        }
        return bare(columns)

    def _range(self, request: Request, pair: Pair, step_ms: int) -> list[Candle]:
        now = self._clock.now_ms()
        start, end = request.number("from", 0), request.number("to", now // 1000)
        if start < 0:
            raise bad_time("from cannot be negative.")
        return self._candles.history(pair.name, step_ms, start * 1000 - start * 1000 % step_ms, end * 1000)

    def _ticker_rows(self, pairs: list[Pair]) -> list[dict[str, Any]]:
        now = self._clock.now_ms()
        rows: list[dict[str, Any]] = []
        for pair in pairs:
            last = self._exchange.last(pair.name)
            if last is None:
                continue
            figures = frames.ticker_figures(last, self._candles.day(pair.name, now), *self._exchange.best(pair.name))
            average = figures["average"].quantize(Decimal(1).scaleb(-pair.price_places))
            rows.append(
                {
                    "pair": pair.name,
                    "pairNormalized": pair.normalized,
                    "timestamp": now,
                    "last": frames.exact(last),
                    "high": frames.exact(figures["high"]),
                    "low": frames.exact(figures["low"]),
                    "bid": frames.exact(figures["bid"]),
                    "ask": frames.exact(figures["ask"]),
                    "open": frames.exact(figures["open"]),
                    "volume": frames.exact(figures["volume"]),
                    "average": frames.exact(average),
                    "daily": frames.exact(figures["daily"]),
                    "dailyPercent": frames.exact(figures["percent"]),
                    "denominatorSymbol": pair.quote,
                    "numeratorSymbol": pair.base,
                    "order": pair.order,
                }
            )
        return rows


def _pair(request: Request, parameter: str) -> Pair:
    pair = find_pair(request.first(parameter))
    if pair is None:
        raise refused("PARAMETERS_ERROR")
    return pair


def _daily_bar(pair: Pair, day: Candle) -> dict[str, Any]:
    change = day.close - day.open
    return {
        "pair": pair.name,
        "time": day.start_ms // 1000,
        "open": number(day.open),
        "high": number(day.high),
        "low": number(day.low),
        "close": number(day.close),
        "volume": number(day.volume),
        "total": number(day.total),
        "average": number((day.total / day.volume).quantize(Decimal("0.01"))),
        "dailyChangeAmount": number(change),
        "dailyChangePercentage": number((change / day.open * 100).quantize(Decimal("0.01"))),
    }


def _old_bar(pair: Pair, day: Candle) -> dict[str, Any]:
    bar = _daily_bar(pair, day)
    bar |= {"pairSymbol": bar.pop("pair"), "pairSymbolNormalized": pair.normalized, "time": day.start_ms}
    return bar
