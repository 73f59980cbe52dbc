"""Measure what recorded order flow looks like: the figures that the simulator's generated market is played after.

    python benchmarks/measure_flow.py FOLDER            prints them
    python benchmarks/measure_flow.py FOLDER --write    also rewrites services/simulator/markets/figures.py

FOLDER holds the recorded files (`*.raw.gz`), or has them under `data`; without it, TICKROUTER_REFERENCE names it.
"""

from __future__ import annotations

import argparse
import os
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from math import exp
from pathlib import Path
from textwrap import fill

import numpy as np

from services.simulator.markets.recording import Levels, Printed, Recording, Snapshot, Splice, Top
from services.simulator.markets.shape import PROBABILITIES, Band, Kernel, Quantiles, Seen, Shape

FIGURES = Path(__file__).resolve().parents[1] / "services" / "simulator" / "markets" / "figures.py"
REACHES = (0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Ends of the bands, basis points."""
FIRST_DECAYS = (3000.0, 60.0, 1.0)
"""Where the search for the kernels' decays begins, 1/s: within a message, within a reaction, within a mood."""
ROUNDS = 40
"""Of that search; the figures stand still after about 30."""
SHORTEST = 1e-5
"""Seconds; the recorder's clock is no finer where messages came together."""
WIDTH = 116
"""Of the lines written."""
BESIDE = 0.002
"""Seconds within which a trade counts as beside an update."""


@dataclass
class Flow:
    """One recording, sorted by kind."""

    tops: list[Top] = field(default_factory=list)
    trades: list[Printed] = field(default_factory=list)
    books: list[Levels | Snapshot] = field(default_factory=list)

    @classmethod
    def read(cls, recording: Recording) -> Flow:
        flow, splice = cls(), Splice()
        for event in recording.events():
            match event:
                case Top():
                    flow.tops.append(event)
                case Printed():
                    flow.trades.append(event)
                case Levels() | Snapshot():
                    flow.books.extend(splice.feed(event))
        return flow


def rounded(value: float) -> float:
    """Four digits: more would claim what ten minutes cannot know."""
    return float(f"{value:.4g}")


def share(condition: Sequence[bool] | np.ndarray) -> float:
    return rounded(float(np.mean(condition)))


def quantiles(values: Iterable[float]) -> Quantiles:
    return Quantiles(*(rounded(float(value)) for value in np.quantile(np.fromiter(values, float), PROBABILITIES)))


def kernels_of(times: Sequence[float]) -> tuple[float, tuple[Kernel, ...]]:
    """Background rate and kernels of a Hawkes process with exponential kernels, by expectation maximisation.

    Each event is shared out among the background and the kernels by what each gives to the intensity at its time.
    """
    span = times[-1] - times[0]
    background = 0.2 * len(times) / span
    found = [(0.8 / len(FIRST_DECAYS), decay) for decay in FIRST_DECAYS]
    for _ in range(ROUNDS):
        called = [0.0] * len(found)
        waited = [0.0] * len(found)
        weight = [0.0] * len(found)  # sum of exp(-decay * age) over the events before
        age = [0.0] * len(found)  # the same sum of age * exp(-decay * age)
        alone, before = 0.0, times[0]
        for time in times[1:]:
            gap, before = time - before, time
            intensities = []
            for at, (children, decay) in enumerate(found):
                fade = exp(-decay * gap)
                age[at] = (age[at] + (weight[at] + 1) * gap) * fade
                weight[at] = (weight[at] + 1) * fade
                intensities.append(children * decay * weight[at])
            total = background + sum(intensities)
            alone += background / total
            for at, intensity in enumerate(intensities):
                if weight[at] > 0:
                    called[at] += intensity / total
                    waited[at] += intensity / total * age[at] / weight[at]
        background = alone / span
        found = [(called[at] / len(times), called[at] / waited[at]) for at in range(len(found))]
    return rounded(background), tuple(Kernel(rounded(children), rounded(decay)) for children, decay in found)


@dataclass
class Takers:
    """Trades joined to the taker orders that made them: same millisecond, same side, one after the other."""

    times: list[float] = field(default_factory=list)
    buys: list[bool] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, trades: Sequence[Printed]) -> Takers:
        takers, before = cls(), None
        for trade in trades:
            key = (trade.time_ms, trade.taker)
            if key == before:
                takers.sizes[-1] += float(trade.amount)
            else:
                takers.times.append(trade.received / 1e9)
                takers.buys.append(trade.taker == "buy")
                takers.sizes.append(float(trade.amount))
            before = key
        return takers


@dataclass
class Touch:
    """The best bid and ask as columns, and what their spread does."""

    flow: Flow
    tick: float

    def __post_init__(self) -> None:
        tops = self.flow.tops
        self.time = np.array([top.received / 1e9 for top in tops])
        self.bid, self.bid_size = np.array([[float(part) for part in top.bid] for top in tops]).T
        self.ask, self.ask_size = np.array([[float(part) for part in top.ask] for top in tops]).T
        self.mid = (self.bid + self.ask) / 2
        self.width = np.round((self.ask - self.bid) / self.tick).astype(int)
        self.narrow = self.width == 1
        opening = np.flatnonzero(self.narrow[:-1] & ~self.narrow[1:])
        closing = np.flatnonzero(~self.narrow[:-1] & self.narrow[1:])
        closing = closing[closing > opening[0]]
        self.opening = opening[: len(closing)]
        self.closed = closing + 1
        self.up = self.ask[self.opening + 1] > self.ask[self.opening]

    def moved(self) -> np.ndarray:
        """Of each opening: how far the mid price had gone when the spread was closed, basis points, up if positive."""
        return (self.mid[self.closed] / self.mid[self.opening] - 1) * 1e4

    def follows(self) -> np.ndarray:
        """Of each opening: whether the mid price went where the opening had pointed."""
        moved = self.moved()
        return (moved != 0) & ((moved > 0) == self.up)

    def spells(self) -> np.ndarray:
        """Of each opening: seconds until the spread was closed."""
        return np.maximum(self.time[self.closed] - self.time[self.opening + 1], SHORTEST)

    def narrow_share(self) -> float:
        """Share of the time with a spread of one tick."""
        return rounded(float(np.diff(self.time)[self.narrow[:-1]].sum() / (self.time[-1] - self.time[0])))

    def changes(self) -> np.ndarray:
        still_bid, still_ask = np.diff(self.bid) == 0, np.diff(self.ask) == 0
        changes = np.concatenate([np.diff(self.bid_size)[still_bid], np.diff(self.ask_size)[still_ask]])
        return np.abs(changes[changes != 0])

    def swept(self, trades: Sequence[Printed]) -> np.ndarray:
        """Of each opening: whether a trade was printed beside it."""
        times = np.array([trade.received / 1e9 for trade in trades])
        at = self.time[self.opening + 1]
        return np.searchsorted(times, at + BESIDE) > np.searchsorted(times, at - BESIDE)

    def busy(self) -> float:
        """Milliseconds in a second at whose end the best prices or amounts are not what they were before."""
        grid = np.arange(self.time[0], self.time[-1], 0.001)
        at = np.searchsorted(self.time, grid, side="right") - 1
        columns = np.stack([column[at] for column in (self.bid, self.bid_size, self.ask, self.ask_size)])
        changed = (np.diff(columns) != 0).any(axis=0)
        return rounded(float(changed.sum() / (self.time[-1] - self.time[0])))

    def volatility(self, seconds: float) -> float:
        grid = np.arange(self.time[0], self.time[-1], seconds)
        mid = self.mid[np.searchsorted(self.time, grid, side="right") - 1]
        return rounded(float(np.std(np.diff(np.log(mid)))) * 1e4)


@dataclass
class Depth:
    """What happens to levels behind the best price, by band."""

    adds: Counter[int] = field(default_factory=Counter)
    joins: Counter[int] = field(default_factory=Counter)
    levels: Counter[int] = field(default_factory=Counter)
    lives: dict[int, list[float]] = field(default_factory=dict)
    sizes: dict[int, list[float]] = field(default_factory=dict)
    appeared: int = 0
    ended: int = 0
    changed: int = 0

    @classmethod
    def of(cls, flow: Flow, touch: Touch) -> Depth:
        depth = cls()
        books: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        born: tuple[dict[Decimal, tuple[float, int]], dict[Decimal, tuple[float, int]]] = ({}, {})
        for event in flow.books:
            now = event.received / 1e9
            at = max(0, int(np.searchsorted(touch.time, now, side="right")) - 1)
            bests = (float(touch.bid[at]), float(touch.ask[at]))
            for side, levels in enumerate((event.bids, event.asks)):
                for price, amount in levels:
                    distance = abs(float(price) - bests[side]) / bests[side] * 1e4
                    band = bisect_right(REACHES, distance)
                    if isinstance(event, Snapshot):
                        books[side][price] = amount
                        depth.levels[band] += 1
                    else:
                        depth._changed(books[side], born[side], price, amount, band, now)
        return depth

    def _changed(
        self,
        book: dict[Decimal, Decimal],
        born: dict[Decimal, tuple[float, int]],
        price: Decimal,
        amount: Decimal,
        band: int,
        now: float,
    ) -> None:
        self.changed += 1
        before = book.pop(price, None)
        if not amount:
            self.ended += before is not None
            if price in born:
                since, band = born.pop(price)
                self.lives.setdefault(band, []).append(now - since)
            return
        book[price] = amount
        if before is None:
            self.appeared += 1
            self.adds[band] += 1
            born[price] = (now, band)
            self.sizes.setdefault(band, []).append(float(amount))
        else:
            self.joins[band] += amount > before

    def bands(self, seconds: float) -> tuple[Band, ...]:
        return tuple(
            Band(
                reach,
                self.levels[band] // 2,
                rounded(self.adds[band] / seconds),
                rounded(self.joins[band] / seconds),
                quantiles(self.lives[band]),
                quantiles(self.sizes[band]),
            )
            for band, reach in enumerate(REACHES)
        )


def scale_of(values: Iterable[Decimal]) -> int:
    """Decimals of the finest value."""
    return max(-int(value.as_tuple().exponent) for value in values)


def measure(recording: Recording) -> tuple[Shape, Seen]:
    """All figures of one recording."""
    flow = Flow.read(recording)
    price_scale = scale_of(top.bid[0] for top in flow.tops)
    touch = Touch(flow, 10.0**-price_scale)
    takers = Takers.of(flow.trades)
    depth = Depth.of(flow, touch)
    seconds = float(touch.time[-1] - touch.time[0])
    background, kernels = kernels_of(touch.time.tolist())
    updates = len(flow.tops)
    gaps = np.diff(touch.time)
    counts = np.bincount(((touch.time - touch.time[0]) / 0.1).astype(int))
    sizes = np.log([float(trade.amount) for trade in flow.trades])
    shape = Shape(
        mid=rounded(float(touch.mid.mean())),
        price_scale=price_scale,
        amount_scale=scale_of(trade.amount for trade in flow.trades),
        background=background,
        kernels=kernels,
        takes=rounded(len(takers.times) / updates),
        taker_repeats=share(np.diff(takers.buys) == 0),
        taker_size=quantiles(takers.sizes),
        opens=rounded(len(touch.opening) / int(touch.narrow.sum())),
        open_step=quantiles(np.abs(touch.moved()[touch.follows()])),
        open_life=quantiles(touch.spells()),
        open_repeats=share(np.diff(touch.up) == 0),
        open_sweeps=share(touch.swept(flow.trades)),
        follows=share(touch.follows()),
        touch_size=quantiles(np.concatenate([touch.bid_size, touch.ask_size])),
        touch_change=quantiles(touch.changes()),
        bands=depth.bands(seconds),
    )
    seen = Seen(
        seconds=rounded(seconds),
        updates=rounded(updates / seconds),
        trades=rounded(len(flow.trades) / seconds),
        takers=rounded(len(takers.times) / seconds),
        level_changes=rounded(depth.changed / seconds),
        gaps=tuple(share(gaps <= within) for within in (1e-4, 1e-3, 1e-2, 1e-1)),
        per_100ms=(
            rounded(float(np.median(counts))),
            rounded(float(np.quantile(counts, 0.99))),
            float(counts.max()),
            rounded(float(counts.var() / counts.mean())),
        ),
        taker_buys=share(takers.buys),
        busy=touch.busy(),
        narrow=touch.narrow_share(),
        spread=rounded(float((touch.width[~touch.narrow] * touch.tick / touch.mid[~touch.narrow]).mean() * 1e4)),
        volatility=(touch.volatility(1.0), touch.volatility(10.0)),
        removes=rounded(depth.ended / depth.appeared),
        trade_size_log=(rounded(float(sizes.mean())), rounded(float(sizes.std()))),
    )
    return shape, seen


def source_of(name: str, value: object) -> str:
    """A keyword argument, in lines that fit."""
    if isinstance(value, tuple) and value and isinstance(value[0], Kernel | Band):
        parts = "\n".join(wrapped(f"{part!r},", 8) for part in value)
        return f"    {name}=(\n{parts}\n    ),\n"
    return wrapped(f"{name}={value!r},", 4) + "\n"


def wrapped(text: str, indent: int) -> str:
    pad = " " * indent
    return fill(text, WIDTH, initial_indent=pad, subsequent_indent=pad + "    ", break_long_words=False)


def constant(name: str, kind: str, value: Shape | Seen) -> str:
    lines = "".join(source_of(part.name, getattr(value, part.name)) for part in fields(value))
    return f"{name}: Final = {kind}(\n{lines})\n"


def figures_source(results: dict[str, tuple[Shape, Seen]], files: Sequence[str]) -> str:
    """Text of figures.py."""
    head = (
        '"""Figures of real order flow, about 650 s of Binance spot across midnight UTC, 2024-08-08 to 09.\n\n'
        "Measured on the recordings of repository nkaz001/hftbacktest (examples/spot), joined by day:\n"
        + "".join(f"{file}\n" for file in files)
        + "with `python benchmarks/measure_flow.py --write`, which writes this file; do not edit it by hand.\n"
        '"""\n\nfrom __future__ import annotations\n\nfrom typing import Final\n\n'
        "from .shape import Band, Kernel, Quantiles, Seen, Shape\n\n# fmt: off\n"
    )
    body = []
    for symbol, (shape, seen) in results.items():
        body += [constant(symbol, "Shape", shape), constant(f"{symbol}_SEEN", "Seen", seen)]
    return head + "\n".join(body)


def recordings_in(folder: Path) -> list[Path]:
    """The recorded files of a folder, or of its folder `data`."""
    return sorted(folder.glob("*.raw.gz")) or sorted((folder / "data").glob("*.raw.gz"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure recorded order flow.")
    parser.add_argument("folder", nargs="?", default=os.environ.get("TICKROUTER_REFERENCE", ""))
    parser.add_argument("--write", action="store_true", help=f"rewrite {FIGURES.name}")
    chosen = parser.parse_args(arguments)
    paths = recordings_in(Path(chosen.folder)) if chosen.folder else []
    if not paths:
        parser.error("no recorded files: name their folder, or set TICKROUTER_REFERENCE")
    recordings = [Recording.open(path) for path in paths]
    results = {recording.symbol: measure(recording) for recording in recordings}
    text = figures_source(results, [path.name for path in paths])
    print(text)
    if chosen.write:
        FIGURES.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
