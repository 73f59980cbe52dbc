"""Minute candles of this run, and the 24-hour figures of the tickers made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .engine.events import Event, TradePrinted

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
KEPT_MINUTES = 3 * 24 * 60


@dataclass(slots=True)
class Candle:
    """Prices and volumes from `start_ms` on; `total` is volume in quote currency."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    total: Decimal

    def add(self, other: Candle) -> None:
        """Take in a later candle."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.total += other.total

    def copy_at(self, start_ms: int) -> Candle:
        """The same with another start."""
        return Candle(start_ms, self.open, self.high, self.low, self.close, self.volume, self.total)


class Candles:
    """Minutes in which a pair traded, oldest first."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self._minutes: dict[str, dict[int, Candle]] = {pair: {} for pair in pairs}

    def record(self, events: Sequence[Event]) -> None:
        """Count the trades among the events."""
        for event in events:
            if isinstance(event, TradePrinted):
                self._add(event)

    def _add(self, trade: TradePrinted) -> None:
        minutes = self._minutes[trade.pair]
        start = trade.time_ms - trade.time_ms % MINUTE_MS
        price = trade.price
        candle = Candle(start, price, price, price, price, trade.amount, price * trade.amount)
        known = minutes.get(start)
        if known is not None:
            known.add(candle)
            return
        minutes[start] = candle
        if len(minutes) > KEPT_MINUTES:
            del minutes[next(iter(minutes))]

    def history(self, pair: str, step_ms: int, from_ms: int, to_ms: int) -> list[Candle]:
        """Candles of `step_ms` whose start lies in the range; those without a trade are missing."""
        found: dict[int, Candle] = {}
        for candle in self._minutes[pair].values():
            start = candle.start_ms - candle.start_ms % step_ms
            if not from_ms <= start <= to_ms:
                continue
            if start in found:
                found[start].add(candle)
            else:
                found[start] = candle.copy_at(start)
        return [found[start] for start in sorted(found)]

    def day(self, pair: str, now_ms: int) -> Candle | None:
        """The last 24 hours as one candle, or None without a trade."""
        whole: Candle | None = None
        for candle in self._minutes[pair].values():
            if candle.start_ms <= now_ms - DAY_MS:
                continue
            if whole is None:
                whole = candle.copy_at(candle.start_ms)
            else:
                whole.add(candle)
        return whole
