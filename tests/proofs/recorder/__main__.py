"""`python -m tests.proofs.recorder`: the proof of the recorder; prints a table, writes build/proofs_recorder.json."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from tests.proofs.recorder import matrix
from tests.proofs.recorder.run import Case, Outcome, run_all, run_case
from tests.proofs.world import World, world

FILE = Path("build/proofs_recorder.json")
VENUE: dict[str, Any] = {"market": "generated", "seed": 7, "speed": 1.0, "record_frames": True}
LANES = 4


def main() -> int:
    """Exit status 0 if all holds and every twin is caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.recorder", description=__doc__)
    parser.add_argument("--cells", type=int, help="run so many cases of each column, chosen by seed; all if left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=LANES, help="runs side by side")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="run random cases for so long instead")
    return uvloop.run(_main(parser.parse_args(), Console()))


async def _main(arguments: argparse.Namespace, console: Console) -> int:
    rows: list[dict[str, Any]] = []
    with console.status("…") as status:
        async with world(**VENUE) as place:
            clean = await run_case(place, Case())
            rows.append(row("clean", [clean]))
            columns = {
                "kills": matrix.kills(clean.trace),
                "stops": matrix.stops(clean.trace),
                "troubles": matrix.troubles(),
                "pairs": matrix.pairs(),
            }
            if arguments.soak:
                columns = {"soak": [case for cases in columns.values() for case in cases]}
            for name, cases in columns.items():
                status.update(name)
                if arguments.soak:
                    rows.append(row(name, await _soak(place, cases, arguments)))
                else:
                    chosen = matrix.sample(cases, arguments.cells, arguments.seed)
                    rows.append(row(name, await run_all(place, chosen, arguments.lanes, lambda _: None)))
            for name, cases in matrix.twins().items() if not arguments.soak else ():
                status.update(f"twin: {name}")
                rows.append(twin_row(name, await caught(place, cases)))
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1))
    _show(rows, console)
    return 0 if all(one["holds"] for one in rows) else 1


async def caught(place: World, cases: Sequence[Case]) -> list[Outcome]:
    """Run a twin's cases until one catches it."""
    outcomes: list[Outcome] = []
    for case in cases:
        outcomes += await run_all(place, [case], 1, lambda _: None)
        if outcomes[-1].verdict.wrong:
            break
    return outcomes


async def _soak(place: World, cases: Sequence[Case], arguments: argparse.Namespace) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end, seed = time.monotonic() + arguments.soak * 60, arguments.seed
    while time.monotonic() < end:
        outcomes += await run_all(
            place, matrix.sample(cases, arguments.lanes * 2, seed), arguments.lanes, lambda _: None
        )
        seed += 1
    return outcomes


def row(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A line of the table."""
    failed = [{"case": str(one.case), "wrong": one.verdict.wrong} for one in outcomes if one.verdict.wrong]
    return {
        "name": name,
        "runs": len(outcomes),
        "reached": sum(one.reached for one in outcomes),
        "frames": sum(one.verdict.sent for one in outcomes),
        "excused": sum(one.verdict.excused for one in outcomes),
        "unknown": max((one.verdict.unknown for one in outcomes), default=0.0),
        "failed": failed,
        "holds": not failed,
    }


def twin_row(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A line for a broken recorder, which holds if it was caught."""
    found = row(f"twin: {name}", outcomes)
    return found | {"holds": bool(found["failed"])}


def _show(rows: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "runs", "reached", "frames", "in a hole", "most unknown s", "verdict"):
        table.add_column(heading, justify="left" if heading in ("column", "verdict") else "right")
    for one in rows:
        word = "caught" if one["name"].startswith("twin") and one["holds"] else "holds" if one["holds"] else "BROKEN"
        numbers = (f"{one['runs']:,}", f"{one['reached']:,}", f"{one['frames']:,}", f"{one['excused']:,}")
        table.add_row(one["name"], *numbers, f"{one['unknown']:.2f}", word)
    console.print(table)
    for one in rows:
        for failed in one["failed"] if not one["name"].startswith("twin") else ():
            console.print(
                f"{one['name']}: {failed['case']}: {'; '.join(failed['wrong'])}", soft_wrap=True, markup=False
            )


if __name__ == "__main__":
    sys.exit(main())
