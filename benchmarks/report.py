"""What the benchmarks found: figures with their runs, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.table import Table

DIGITS = 4
"""Significant digits that are shown and kept: more would claim what a shared machine cannot know."""

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, measured several times.

    Attributes:
        name: unique, `<benchmark>.<what>`.
        unit: `1/s`, `us`, `ms`, or `x` for a ratio of two figures of the same round.
        better: which way is better.
        runs: one value a round, in the order of the rounds.
        target: what is aimed at, or None where nothing is set.
        floor: what it has to reach; None is the target.
    """

    name: str
    unit: str
    better: Better
    runs: tuple[float, ...]
    target: float | None = None
    floor: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError: there is no run."""
        if not self.runs:
            raise ValueError(f"{self.name}: not one run")

    @property
    def value(self) -> float:
        """Median of the runs."""
        return rounded(median(self.runs))

    @property
    def holds(self) -> bool | None:
        """Whether it is where it has to be; None where nothing is set."""
        bound = self.target if self.floor is None else self.floor
        if bound is None:
            return None
        return self.value >= bound if self.better == "higher" else self.value <= bound

    def to_json(self) -> dict[str, Any]:
        """The figure's entry in `bench.json`."""
        runs = [rounded(run) for run in self.runs]
        bounds = {"target": self.target, "floor": self.floor, "holds": self.holds}
        return {"value": self.value, "unit": self.unit, **bounds, "runs": runs}


def ratios(
    name: str,
    over: Figure,
    under: Figure,
    better: Better,
    target: float | None = None,
    floor: float | None = None,
) -> Figure:
    """One figure over another, round by round: what troubles a machine in a round troubles both.

    Raises:
        ValueError: they were not measured in the same rounds.
    """
    pairs = zip(over.runs, under.runs, strict=True)
    return Figure(name, "x", better, tuple(one / other for one, other in pairs), target, floor)


def write_json(file: Path, figures: Iterable[Figure]) -> None:
    """Write `{name: {value, unit, target, floor, holds, runs}}`, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    entries = {figure.name: figure.to_json() for figure in figures}
    fresh.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    fresh.replace(file)


def table(figures: Iterable[Figure], title: str) -> Table:
    """The figures as a table for people."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("figure")
    for column in ("value", "lowest run", "highest run", "target", "floor"):
        shown.add_column(column, justify="right")
    shown.add_column("holds")
    words = {None: "", True: "yes", False: "NO"}
    for figure in figures:
        numbers = [figure.value, min(figure.runs), max(figure.runs)]
        bounds = ["" if bound is None else text(bound, figure.unit) for bound in (figure.target, figure.floor)]
        shown.add_row(figure.name, *(text(number, figure.unit) for number in numbers), *bounds, words[figure.holds])
    return shown


def text(value: float, unit: str) -> str:
    """A number with its unit, as a person reads it."""
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{number}{unit}" if unit == "x" else f"{number} {unit}"


def rounded(value: float) -> float:
    """The value with as many digits as are meant."""
    return float(f"{value:.{DIGITS}g}")
