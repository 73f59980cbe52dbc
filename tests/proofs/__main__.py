"""`python -m tests.proofs`: runs the proofs of router and recorder, prints one table, writes build/proofs.json.

Results are kept in build/proofs: what was broken off goes on where it was, unless the code has changed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence

import uvloop
from rich.console import Console

from tests.proofs import forgets, limits, matrix, peers, report, soak
from tests.proofs.cell import Cell
from tests.proofs.recorder import prove as recorder
from tests.proofs.report import Line

MATRIX = ("clean", "singles", "pairs", "stops", "forgets", "twins")
"""Parts that are made of recorded runs of routers."""
PARTS = (*MATRIX, "limits", "peer", "recorder", "books")
LIMITS_SECONDS = 75.0


def main() -> int:
    """Exit status 0 if all that was run holds."""
    arguments = _arguments()
    console = Console(width=160 if not sys.stdout.isatty() else None)
    return uvloop.run(_main(arguments, console))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"comma list of {', '.join(PARTS)}")
    parser.add_argument("--cells", type=int, help="run so many cells of each column, chosen by seed; all if left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin no run after so many minutes; the next call goes on")
    parser.add_argument("--lanes", type=int, default=matrix.LANES, help="runs side by side")
    parser.add_argument("--fresh", action="store_true", help="forget kept results")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="run each soak for so long instead")
    return parser.parse_args()


async def _main(arguments: argparse.Namespace, console: Console) -> int:
    with console.status("…") as status:
        if arguments.soak:
            lines = [await _soak(arguments, status.update)]
            if "recorder" in arguments.only.split(","):
                lines.append(await recorder.soak(arguments.soak, arguments.seed, status.update))
        else:
            lines = await _proofs(arguments, status.update)
    report.write(lines)
    report.show(lines, console)
    return 0 if all(line.holds or line.name.startswith("peer") for line in lines) else 1


async def _proofs(arguments: argparse.Namespace, said: Callable[[str], None]) -> list[Line]:
    only = arguments.only.split(",")
    store = matrix.Store.open(fresh=arguments.fresh)
    deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    lines: list[Line] = []

    async def column(name: str, cells: Sequence[Cell], *, sampled: bool = True) -> None:
        chosen = matrix.sample(cells, arguments.cells, arguments.seed) if sampled else list(cells)
        lanes = matrix.Lanes(store, lanes=arguments.lanes, said=lambda text: said(f"{name}: {text}"))
        lines.append(report.line_of(name, cells, await lanes.run(chosen, deadline=deadline)))

    if not set(MATRIX).isdisjoint(only):
        await column("clean", matrix.clean_cells(), sampled=False)
    if "singles" in only:
        await column("singles", matrix.singles(store.traces))
    if "pairs" in only:
        await column("pairs", matrix.pairs(store.results.values()))
    if "stops" in only:
        await column("stops", matrix.stops(store.traces))
    if "forgets" in only:
        found = matrix.forgets(store.traces)
        for name in forgets.COLUMNS:
            await column(name, [cell for cell in found if cell.column == name])
    if "twins" in only:
        lines += await _twins(store, arguments.seed, said)
    if "limits" in only:
        said("limits")
        lines.append(limits_line(await limits.prove_limits(LIMITS_SECONDS, arguments.seed)))
    if "peer" in only:
        said("peer")
        lines.append(_peer_line(await peers.prove_peer()))
    if "recorder" in only:
        wanted = {"cells": arguments.cells, "seed": arguments.seed, "deadline": deadline, "fresh": arguments.fresh}
        lines += await recorder.prove(said, **wanted)
    if "books" in only:
        lines += await asyncio.to_thread(recorder.prove_books, said)
    return lines


async def _twins(store: matrix.Store, seed: int, said: Callable[[str], None]) -> list[Line]:
    lines = []
    for twin, cells in matrix.twins(store.traces, seed).items():
        lanes = matrix.Lanes(store, lanes=4, said=lambda text, twin=twin: said(f"twin {twin}: {text}"))
        results = []
        for start in range(0, len(cells), 4):
            results += await lanes.run(cells[start : start + 4])
            if any(result.convicts for result in results):
                break
        lines.append(report.line_of_twin(twin, results))
    return lines


def limits_line(outcome: limits.Outcome) -> Line:
    """The limits proof as a line."""
    wrong = outcome.wrong()
    slowest = max(outcome.cancels, default=0.0)
    note = (
        f"{outcome.places} of {outcome.allowance} places used, {outcome.refused} refused; slowest cancel "
        f"{slowest:.2f} s with {outcome.waiting} places waiting"
    )
    details = {"cancels": list(outcome.cancels), "wrong": wrong}
    return Line("limits", 1, len(wrong), not wrong, note, details)


def _peer_line(outcome: peers.Outcome) -> Line:
    note = f"for comparison: {outcome.doubled} runs with an order doubled, {outcome.lost} called failed and placed"
    return Line("peer: ccxt with a retry loop", outcome.runs, outcome.failures, not outcome.failures, note)


async def _soak(arguments: argparse.Namespace, said: Callable[[str], None]) -> Line:
    outcome = await soak.soak(arguments.soak, arguments.seed, said)
    note = (
        f"{outcome.orders} orders, {outcome.commands} other commands, {outcome.troubles.total()} troubles, "
        f"{outcome.revised} revised with an alarm; seed {arguments.seed}, {arguments.soak:g} minutes"
    )
    details = {
        "troubles": dict(outcome.troubles),
        "failed": [{"cell": "soak", "wrong": [one]} for one in outcome.wrong[:100]],
    }
    return Line("soak", 1, len(outcome.wrong), not outcome.wrong, note, details)


if __name__ == "__main__":
    sys.exit(main())
