"""`tickrouter coverage`: a day of a contract as a line, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from tickrouter.clock import SystemClock
from tickrouter.core.coverage import holes
from tickrouter.history.connection import connect, database
from tickrouter.history.coverage import coverage as covered
from tickrouter.model.contract import Contract
from tickrouter.model.coverage import Interval, State
from tickrouter.model.moment import nanoseconds, utc

from .common import ConfigOption, ContractArgument, JsonOption, errors, out, print_json, reachable

CELLS = 96
"""Of a day's line: a quarter of an hour each."""
SHOWN = 5
"""Holes that are told beside an answer."""
DAY_NS = 86_400 * 1_000_000_000
MARKS: dict[State, str] = {
    "live": "[green]█[/green]",
    "backfilled": "[cyan]▓[/cyan]",
    "unknown": "[yellow]?[/yellow]",
    "missing": "[red]·[/red]",
}
_WORST: tuple[State, ...] = ("missing", "unknown", "backfilled", "live")

DayOption = Annotated[str | None, typer.Option("--day", help="e.g. 2026-08-01, in UTC.", show_default="today")]


def coverage(
    contract: ContractArgument, day: DayOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Draw what history has of a contract on a day, kind by kind, and list what it lacks and why."""
    settings = reachable(config)
    name, (start, end) = str(Contract.parse(contract)), day_of(day)
    with connect(settings.mongo_url) as client:
        db = database(client, settings.servers.mongo_database)
        found = {kind: covered(db, name, kind, start, end) for kind in settings.record.kinds}
    if as_json:
        for kind, intervals in found.items():
            for interval in intervals:
                print_json({"contract": name, "kind": kind, **asdict(interval)})
        return
    out.print(f"{name}  {utc(start):%Y-%m-%d} UTC", soft_wrap=True)
    out.print(" " * 7 + "".join(f"{hour:02d}".ljust(CELLS // 8) for hour in range(0, 24, 3)), soft_wrap=True)
    for kind, intervals in found.items():
        share = sum(i.end - i.start for i in intervals if not i.is_hole) / (end - start) if end > start else 0.0
        out.print(f"{kind:<7}{line(intervals, start)} {share:7.2%}", soft_wrap=True)
    out.print("[dim]" + " " * 7 + "█ live  ▓ backfilled  ? unknown  · missing; a cell shows the worst of it[/dim]")
    if start == end:
        out.print("that day has not begun")
    for kind, intervals in found.items():
        for interval in intervals:
            if interval.is_hole:
                out.print(f"{kind:<7}{escape(_told(interval))}", soft_wrap=True)


def print_holes(kind: str, intervals: Sequence[Interval]) -> None:
    """Say on stderr what an answer lacks: the first few, and how many more."""
    lacking = holes(intervals)
    if not intervals:
        errors.print(f"lacking: {kind}: nothing was recorded of that time", style="yellow", soft_wrap=True)
    for one in lacking[:SHOWN]:
        day = f"{utc(one.start):%Y-%m-%d} "
        errors.print(f"lacking: {kind} {day}{escape(_told(one))}", style="yellow", soft_wrap=True)
    if len(lacking) > SHOWN:
        errors.print(f"lacking: {len(lacking) - SHOWN} more; see tickrouter coverage", style="yellow", soft_wrap=True)


def day_of(day: str | None) -> tuple[int, int]:
    """A day's first moment, and its end or now, ns since 1970 UTC."""
    now = SystemClock().now()
    start = now - now % DAY_NS if day is None else nanoseconds("--day", day)
    return start, max(start, min(start + DAY_NS, now))


def line(intervals: Sequence[Interval], start: int) -> str:
    """A day as one mark a cell; blank where it has not come yet."""
    cell = DAY_NS // CELLS
    marks = []
    for first in range(start, start + DAY_NS, cell):
        states = {one.state for one in intervals if one.start < first + cell and one.end > first}
        marks.append(next((MARKS[state] for state in _WORST if state in states), " "))
    return "".join(marks)


def _told(interval: Interval) -> str:
    seconds = (interval.end - interval.start) / 1e9
    end = utc(interval.end)
    # The end of a day is its 24:00; of a longer hole the day is told too.
    last = _clock(end) if end - utc(interval.start) < timedelta(days=1) else f"{end:%Y-%m-%d} {_clock(end)}"
    span = f"{_clock(utc(interval.start))} to {last}"
    return f"{span} {interval.state} ({seconds:.3f} s): {interval.cause}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S.%f}"[:-3]
