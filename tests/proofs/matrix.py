"""The cells of the matrix, enumerated from recorded runs, and the lanes that run them side by side."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.proofs.cell import OF_THE_PROOF, Cell, Result
from tests.proofs.faulty import FAULTS, KINDS
from tests.proofs.forgets import COLUMNS as FORGETS
from tests.proofs.forgets import UNCOPIED, prove_forget
from tests.proofs.gate import PHASES, Gate, Phase, Point
from tests.proofs.run import prove
from tests.proofs.stops import prove_stop
from tests.proofs.world import World, world
from tests.simulation import ROOT

LANES = 32
"""Runs side by side: each waits most of its time, for leases, windows and looks."""
RUNS_A_WORLD = 700
"""Runs after which the servers are started afresh: the venue's listings get slower with each order it has seen."""
BUILD = ROOT / "build" / "proofs"
CODE = (
    "shared/tickrouter",
    "services/router",
    "services/archiver",
    "services/simulator",
    "services/stack",
    "configs/venues",
    "tests/proofs",
)
"""Folders that a result speaks of."""
WRITERS = frozenset(
    {
        "redis:admit",
        "redis:step",
        "redis:adopt",
        "redis:tell",
        "redis:bury",
        "redis:epoch",
        "redis:mark",
        "redis:SET",
        "redis:HSET",
        "redis:XGROUP CREATE",
        "http:POST order",
        "http:DELETE order",
    }
)
"""Messages that change something in Redis or at the venue. A kill at any other leaves what a kill before the next of
these leaves, so pairs are made of these."""
VENUE = ("http:", "socket:")
MOST_WRITERS, MOST_OTHERS = 16, 1
"""How many messages of one name are points: what repeats in the background for ever has to end somewhere."""
PAIR_FAULTS = ("none", "reply lost")
CLAIM = "redis:XREADGROUP"
MOST_CLAIMS = 8
"""How many of the messages that take from the queue are points of a stop: a stopped router has what they took."""
MOST_TRIES = 24
"""Cells that may try to catch a twin."""


def points_of(
    seen: Mapping[str, int], incarnation: int = 1, *, writers_only: bool = False, with_fault: bool = False
) -> list[Point]:
    """Every point at the messages of a recorded run.

    Half a command is no command to Redis: `middle` of what only reads is `before` of it, and left out. Under a fault of
    the venue, points are the messages that speak with it and those that change something: a question to Redis or
    MongoDB is answered the same whatever the venue does, and a kill at it leaves what a kill before the next of those
    leaves. Without a fault all of them are points.
    """
    found = []
    for name, times in seen.items():
        is_writer = name in WRITERS
        if (writers_only and not is_writer) or (with_fault and not (is_writer or name.startswith(VENUE))):
            continue
        phases: Sequence[Phase] = PHASES if is_writer or not name.startswith("redis:") else ("before", "after")
        if (writers_only or with_fault) and name.startswith("redis:"):
            phases = ("before", "after")
        for number in range(1, min(times, MOST_WRITERS if is_writer else MOST_OTHERS) + 1):
            found += [Point(name, number, phase, incarnation) for phase in phases]
    return found


@dataclass
class Store:
    """Results kept on disk, so that a matrix that was broken off goes on; those of other code are not taken."""

    folder: Path = BUILD
    results: dict[str, Result] = field(default_factory=dict)
    traces: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path = BUILD, *, fresh: bool = False) -> Store:
        """Read what there is for the code as it is now."""
        folder.mkdir(parents=True, exist_ok=True)
        store = cls(folder)
        mark = folder / "code"
        if fresh or not mark.exists() or mark.read_text() != fingerprint():
            for name in ("cells.jsonl", "traces.json"):
                (folder / name).unlink(missing_ok=True)
            mark.write_text(fingerprint())
        if (folder / "cells.jsonl").exists():
            for line in (folder / "cells.jsonl").read_text().splitlines():
                with suppress(json.JSONDecodeError):
                    result = Result.from_json(json.loads(line))
                    store.results[result.cell.key] = result
        if (folder / "traces.json").exists():
            store.traces = json.loads((folder / "traces.json").read_text())
        return store

    def add(self, result: Result) -> None:
        """Keep a result."""
        self.results[result.cell.key] = result
        with (self.folder / "cells.jsonl").open("a") as out:
            out.write(json.dumps(result.to_json()) + "\n")

    def keep_trace(self, kind: str, fault: str, seen: Mapping[str, int]) -> None:
        """Keep how many messages of each name a run without a kill had."""
        self.traces[f"{kind} | {fault}"] = dict(seen)
        (self.folder / "traces.json").write_text(json.dumps(self.traces))


def fingerprint(folders: Sequence[str] = CODE) -> str:
    """Of the code that the results speak of."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".lua", ".yaml"):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def clean_cells() -> list[Cell]:
    """One run of every kind under every fault that applies, without a kill."""
    return [Cell("clean", kind, fault.name) for fault in FAULTS.values() for kind in KINDS if kind in fault.kinds]


def singles(traces: Mapping[str, Mapping[str, int]]) -> list[Cell]:
    """Every point of every recorded run."""
    return [
        Cell("singles", kind, fault, (point,))
        for (kind, fault), seen in _by_run(traces)
        for point in points_of(seen, with_fault=fault != "none")
    ]


def pairs(results: Iterable[Result]) -> list[Cell]:
    """After each single kill, a second one at each message of the recovery."""
    found = []
    for result in results:
        cell = result.cell
        if cell.column != "singles" or cell.fault not in PAIR_FAULTS or not result.reached or cell.twin:
            continue
        (first,) = cell.points
        if first not in points_of({first.name: MOST_WRITERS}, writers_only=True):
            continue
        for second in points_of(result.recovery, 2, writers_only=True):
            found.append(Cell("pairs", cell.kind, cell.fault, (first, second)))
    return found


def stops(traces: Mapping[str, Mapping[str, int]]) -> list[Cell]:
    """A stop at every message that changes something or takes from the queue, and a second router that takes over."""
    return [
        Cell("stops", kind, "none", (point,))
        for (kind, fault), seen in _by_run(traces)
        if fault == "none"
        for point in (*points_of(seen, writers_only=True), *_claims(seen))
    ]


def _claims(seen: Mapping[str, int]) -> list[Point]:
    numbers = range(1, min(seen.get(CLAIM, 0), MOST_CLAIMS) + 1)
    return [Point(CLAIM, number, phase) for number in numbers for phase in ("before", "after")]


def forgets(traces: Mapping[str, Mapping[str, int]], distances: Sequence[int] = (2, 5)) -> list[Cell]:
    """Redis taken back over one or some writes of the journal, and emptied, at each of them."""
    found = []
    for (kind, fault), seen in _by_run(traces):
        if fault != "none":
            continue
        writes = [Point("redis:SET", 1, "before")]
        writes += [Point("redis:admit", n, "before") for n in range(1, seen.get("redis:admit", 0) + 1)]
        writes += [Point("redis:step", n, "before") for n in range(1, min(seen.get("redis:step", 0), MOST_WRITERS) + 1)]
        for column in FORGETS:
            for at, first in enumerate(writes):
                if column.startswith("wipes"):
                    found.append(Cell(column, kind, "none", (replace(first, phase="after"),)))
                    continue
                for later in distances:
                    last = writes[min(at + later - 1, len(writes) - 1)]
                    cell = Cell(column, kind, "none", (first, replace(last, phase="after")))
                    if cell not in found:
                        found.append(cell)
    return found


def twins(traces: Mapping[str, Mapping[str, int]], seed: int) -> dict[str, list[Cell]]:
    """For each broken router, cells of the columns that are to catch it, in the order in which they are tried."""
    alone, stopped, forgotten, clean = singles(traces), stops(traces), forgets(traces), clean_cells()
    pools = {
        "journal after sending": [cell for cell in alone if cell.fault == "none" and _is_at(cell, "http:POST order")],
        "sign again on waking": [cell for cell in stopped if _is_at(cell, "redis:admit", 4)],
        "resend on timeout": [cell for cell in clean if cell.fault in ("reply lost", "html, done", "late answer")],
        "absence believed at once": [cell for cell in clean if cell.fault in ("hidden by half", "late by half")],
        "no epoch": [cell for cell in forgotten if cell.column in ("rollbacks", "rollbacks, killed")],
        "fence by counter": held_fills(),
        "leave what another took": [cell for cell in stopped if _is_at(cell, CLAIM)],
    }
    return {
        name: [replace(cell, twin=name) for cell in random.Random(seed).sample(pool, min(len(pool), MOST_TRIES))]
        for name, pool in pools.items()
    }


def held_fills() -> list[Cell]:
    """A router is stopped with a fill that it is about to write, at a Redis that is taken back to before its lease.

    The write comes again when the router wakes. Meanwhile another one has found the order and its fill at the venue, in
    as many steps: nothing but the lease's token keeps the fill from being published twice. Elsewhere the number of the
    step does, or the connections that broke, for a router that wakes up without a write on its way begins anew. In this
    scenario a fill comes behind two answers, so the third step tells it, and nothing else happens to its order.
    """
    copies = [Point("redis:SET", 1, phase) for phase in PHASES]
    return [
        Cell(UNCOPIED, "amend", "none", (copy, Point("redis:step", 3, held)))
        for held in PHASES[:2]
        for copy in (*copies, Point("redis:SET", 2, "before"))
    ]


def _is_at(cell: Cell, name: str, highest: int = MOST_WRITERS) -> bool:
    """True if the last point is after one of the first messages of that name."""
    point = cell.points[-1]
    return (point.name, point.phase) == (name, "after") and point.number <= highest


def _by_run(traces: Mapping[str, Mapping[str, int]]) -> list[tuple[tuple[str, str], Mapping[str, int]]]:
    return [((key.partition(" | ")[0], key.partition(" | ")[2]), seen) for key, seen in traces.items()]


def sample(cells: Sequence[Cell], wanted: int | None, seed: int) -> list[Cell]:
    """So many of the cells, chosen by seed; all of them for None."""
    if wanted is None or wanted >= len(cells):
        return list(cells)
    return random.Random(seed).sample(list(cells), wanted)


async def prove_cell(made: World, cell: Cell, keep: Path | None) -> tuple[Result, Gate]:
    """Run a cell as its column says."""
    if cell.column == "stops":
        return await prove_stop(made, cell, keep=keep)
    if cell.column in (*FORGETS, UNCOPIED):
        return await prove_forget(made, cell, keep=keep)
    return await prove(made, cell, keep=keep)


class Lanes:
    """Runs cells side by side."""

    def __init__(self, store: Store, *, lanes: int = LANES, said: Callable[[str], None] = lambda _text: None) -> None:
        self._store = store
        self._lanes = lanes
        self._said = said

    async def run(self, cells: Sequence[Cell], *, deadline: float | None = None) -> list[Result]:
        """Run those that have no result yet; results of all that have one at the end.

        Args:
            cells: what to run.
            deadline: monotonic seconds after which no new run begins.
        """
        left = [cell for cell in cells if cell.key not in self._store.results]
        outcomes = {cell.key: self._store.results[cell.key] for cell in cells if cell.key in self._store.results}
        began, done, failed = time.monotonic(), 0, 0
        while left and (deadline is None or time.monotonic() < deadline):
            batch, left = left[:RUNS_A_WORLD], left[RUNS_A_WORLD:]
            async with world() as made:
                for next_done in asyncio.as_completed(self._start(made, batch, deadline)):
                    result = await next_done
                    if result is None:
                        continue
                    outcomes[result.cell.key] = result
                    done += 1
                    failed += bool(result.wrong)
                    rate = done / (time.monotonic() - began)
                    self._said(f"{done} of {len(cells)} runs, {failed} failed, {rate:.1f}/s")
        return [outcomes[cell.key] for cell in cells if cell.key in outcomes]

    def _start(self, made: World, batch: Sequence[Cell], deadline: float | None) -> list[Any]:
        free = asyncio.Semaphore(self._lanes)

        async def one(cell: Cell) -> Result | None:
            async with free:
                if deadline is not None and time.monotonic() > deadline:
                    return None
                keep = None if cell.twin else self._store.folder / "failed"
                try:
                    result, gate = await prove_cell(made, cell, keep)
                except Exception as error:
                    return Result(cell, (f"{OF_THE_PROOF}{error!r}",), False, 0.0)
                self._keep(result, gate)
                return result

        return [one(cell) for cell in batch]

    def _keep(self, result: Result, gate: Gate) -> None:
        cell = result.cell
        if cell.column == "clean" and not cell.twin:
            self._store.keep_trace(cell.kind, cell.fault, Counter(name for name, _ in gate.traces[0]))
        self._store.add(result)
