"""What an order flow looks like, in figures: the form that benchmarks/measure_flow.py fills and flow.py plays."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, log

PROBABILITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Of the tables in `Quantiles`."""


class Quantiles:
    """A distribution of positive numbers, by its values at `PROBABILITIES`.

    Between two of them values are drawn evenly on a log scale; beyond the first and the last there are none.
    """

    __slots__ = ("_logs", "values")

    def __init__(self, *values: float) -> None:
        self.values = values
        self._logs = [log(value) for value in values]

    def at(self, probability: float) -> float:
        """Value below which this part of the distribution lies; `probability` in 0..1."""
        upper = bisect_right(PROBABILITIES, probability)
        if upper == 0:
            return self.values[0]
        if upper == len(PROBABILITIES):
            return self.values[-1]
        low, high = PROBABILITIES[upper - 1], PROBABILITIES[upper]
        part = (probability - low) / (high - low)
        return exp(self._logs[upper - 1] + part * (self._logs[upper] - self._logs[upper - 1]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantiles) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)

    def __repr__(self) -> str:
        return f"Quantiles({', '.join(f'{value:g}' for value in self.values)})"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One part of a self-exciting (Hawkes) process: how an event calls others.

    Attributes:
        children: events that one event calls, in the mean.
        decay: 1/s; a called event follows 1/decay seconds later, in the mean.
    """

    children: float
    decay: float


@dataclass(frozen=True, slots=True)
class Band:
    """Levels of a book at some distance behind the best price of their side.

    Attributes:
        reach: largest distance, basis points of the mid price; the band begins where the one before ends.
        levels: levels a side at one moment.
        adds: levels that appear, both sides, 1/s.
        joins: levels that grow, both sides, 1/s.
        life: seconds from a level's appearance to its end.
        size: amount of a level when it appears, base currency.
    """

    reach: float
    levels: int
    adds: float
    joins: float
    life: Quantiles
    size: Quantiles


@dataclass(frozen=True, slots=True)
class Shape:
    """One pair's flow. Shares are parts of 1; sizes are in base currency.

    Attributes:
        mid: price about which it was measured, quote currency.
        price_scale, amount_scale: decimals of the finest price and amount.
        background: updates of the best bid or ask that nothing called, 1/s.
        kernels: how updates call others.
        takes: share of updates that are taker orders.
        taker_repeats: share of taker orders on the same side as the one before.
        taker_size: amount of a taker order.
        opens: share of updates at one tick of spread that open it.
        open_step: how far the mid price goes from before an opening to its closing, basis points.
        open_life: seconds from an opening to its closing.
        open_repeats: share of openings in the direction of the one before.
        open_sweeps: share of openings with a trade beside.
        follows: share of openings that the other side closes by moving after.
        touch_size: amount at the best price.
        touch_change: change of the amount at the best price.
        bands: the book behind the best price, nearest first.
    """

    mid: float
    price_scale: int
    amount_scale: int
    background: float
    kernels: tuple[Kernel, ...]
    takes: float
    taker_repeats: float
    taker_size: Quantiles
    opens: float
    open_step: Quantiles
    open_life: Quantiles
    open_repeats: float
    open_sweeps: float
    follows: float
    touch_size: Quantiles
    touch_change: Quantiles
    bands: tuple[Band, ...]

    @property
    def update_rate(self) -> float:
        """Updates of the best bid or ask, 1/s, in the long run."""
        return self.background / (1 - sum(kernel.children for kernel in self.kernels))


@dataclass(frozen=True, slots=True)
class Seen:
    """What else was measured: not played, but what the played flow is compared with.

    Attributes:
        seconds: length of the recording.
        updates, trades, takers, level_changes: 1/s.
        gaps: share of updates within 0.1 ms, 1 ms, 10 ms and 100 ms of the one before.
        per_100ms: updates in 100 ms: median, 0.99 quantile, largest; and variance over mean.
        taker_buys: share of taker orders that buy.
        busy: milliseconds in a second in which the best prices or amounts changed.
        narrow: share of the time with a spread of one tick.
        spread: mean spread of the updates where it is wider, basis points.
        volatility: standard deviation of the mid price's change in 1 s and in 10 s, basis points.
        removes: levels that end, over levels that appear.
        trade_size_log: mean and standard deviation of the natural logarithm of a trade's amount.
    """

    seconds: float
    updates: float
    trades: float
    takers: float
    level_changes: float
    gaps: tuple[float, float, float, float]
    per_100ms: tuple[float, float, float, float]
    taker_buys: float
    busy: float
    narrow: float
    spread: float
    volatility: tuple[float, float]
    removes: float
    trade_size_log: tuple[float, float]
