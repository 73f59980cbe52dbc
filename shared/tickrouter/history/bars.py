"""Bars from trades: open, high, low, close, volume by period, as the venue counts them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import fsum
from typing import Final

from tickrouter.errors import InvalidValue
from tickrouter.model.bar import Bar
from tickrouter.model.trade import Trade

PERIODS: Final[dict[str, int]] = {
    "1s": 1_000_000_000,
    "1m": 60_000_000_000,
    "5m": 300_000_000_000,
    "1h": 3_600_000_000_000,
    "1d": 86_400_000_000_000,
}
"""Period to its length in ns. All begin at multiples of it since 1970 UTC."""


def length_of(period: str) -> int:
    """Length of a period, ns.

    Raises:
        InvalidValue: no such period.
    """
    if period not in PERIODS:
        raise InvalidValue("period", f"{period!r} is not one of {', '.join(PERIODS)}")
    return PERIODS[period]


def moment(trade: Trade) -> int:
    """When a trade was made, ns: by the venue's clock where it says so, else when we received it."""
    return trade.time if trade.exchange_time is None else trade.exchange_time


def resample(trades: Iterable[Trade], period: str) -> list[Bar]:
    """Bars of trades in any order; a period without a trade has no bar.

    Within one moment trades count in the order of their ids, as the venue numbers them. Sums are exact: they do not
    depend on the order.

    Raises:
        InvalidValue: no such period.
    """
    length = length_of(period)
    ordered = sorted(trades, key=lambda trade: (moment(trade), trade.trade_id.zfill(20)))
    return [
        _bar(start * length, period, list(group))
        for start, group in groupby(ordered, lambda one: moment(one) // length)
    ]


def combine(bars: Iterable[Bar], period: str) -> list[Bar]:
    """Bars of a longer period out of shorter ones, which are given by time.

    Raises:
        InvalidValue: no such period.
    """
    length = length_of(period)
    return [
        _combined(start * length, period, list(group)) for start, group in groupby(bars, lambda bar: bar.time // length)
    ]


def _bar(start: int, period: str, trades: Sequence[Trade]) -> Bar:
    prices = [trade.price for trade in trades]
    volume = fsum(trade.size for trade in trades)
    amount = fsum(trade.price * trade.size for trade in trades)
    ends = (prices[0], max(prices), min(prices), prices[-1])
    return Bar(start, period, *ends, volume, trades[0].contract, amount, len(trades))


def _combined(start: int, period: str, bars: Sequence[Bar]) -> Bar:
    ends = (bars[0].open, max(bar.high for bar in bars), min(bar.low for bar in bars), bars[-1].close)
    volume = fsum(bar.volume for bar in bars)
    amounts = [bar.amount for bar in bars if bar.amount is not None]
    counts = [bar.trades for bar in bars if bar.trades is not None]
    amount = fsum(amounts) if len(amounts) == len(bars) else None
    trades = sum(counts) if len(counts) == len(bars) else None
    return Bar(start, period, *ends, volume, bars[0].contract, amount, trades)
