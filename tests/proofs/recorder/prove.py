"""The proofs of the recorder as lines of the one table: kills, stops, bad moments of servers, full disks, books.

Results are kept in build/proofs/recorder.jsonl: what was broken off goes on where it was, unless the code has changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.proofs.matrix import BUILD, CODE, fingerprint
from tests.proofs.recorder import archiving, books, matrix
from tests.proofs.recorder.archiving import Packing, run_packing
from tests.proofs.recorder.judge import Verdict
from tests.proofs.recorder.run import Case, Outcome, run_case
from tests.proofs.report import Line
from tests.proofs.world import World, world

VENUE: dict[str, Any] = {"market": "generated", "seed": 7, "waits": False, "record_frames": True}
"""A venue that sends at its own pace, whoever is stopped or behind."""
FULL, USUAL = VENUE | {"speed": 20.0}, VENUE | {"speed": 1.0}
"""How much quicker than recorded. Full load takes up two cores: venue, servers, and as many collectors as there are
lanes at 8,000 frames a second each."""
LANES, USUAL_LANES = 2, 4
FLOWS, SECONDS = 20, 120.0
"""Generated flows for the proof of books, and how long each is."""
REFERENCE = "TICKROUTER_REFERENCE"
AnyCase = Case | Packing


@dataclass
class Kept:
    """Verdicts by column and case, on disk; those of other code are not taken."""

    file: Path = BUILD / "recorder.jsonl"
    verdicts: dict[str, tuple[bool, Verdict]] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path = BUILD / "recorder.jsonl", *, fresh: bool = False) -> Kept:
        """Read what there is for the code as it is now."""
        file.parent.mkdir(parents=True, exist_ok=True)
        kept, mark = cls(file), json.dumps(fingerprint((*CODE, "services/collector")))
        lines = file.read_text().splitlines() if file.exists() and not fresh else []
        if lines[:1] != [mark]:
            file.write_text(mark + "\n")
        for line in lines[1:] if lines[:1] == [mark] else ():
            key, reached, verdict = json.loads(line)
            kept.verdicts[key] = reached, Verdict(**verdict)
        return kept

    def add(self, key: str, reached: bool, verdict: Verdict) -> None:
        """Keep one."""
        self.verdicts[key] = reached, verdict
        fields = {name: getattr(verdict, name) for name in Verdict.__slots__}
        with self.file.open("a") as out:
            out.write(json.dumps([key, reached, fields]) + "\n")


@dataclass
class Lanes:
    """Runs cases side by side."""

    place: World
    kept: Kept
    said: Callable[[str], None]
    lanes: int = LANES
    deadline: float | None = None

    async def run(self, name: str, cases: Sequence[AnyCase]) -> list[tuple[str, bool, Verdict]]:
        """Run those that are not kept; case, whether it reached its points, and verdict of all there are."""
        # An archiver has nothing to do with how much the venue sends.
        no_load = all(isinstance(case, Packing) for case in cases)
        turn = asyncio.Semaphore(max(self.lanes, USUAL_LANES) if no_load else self.lanes)
        done = 0

        async def one(case: AnyCase) -> None:
            nonlocal done
            async with turn:
                if f"{name}: {case}" not in self.kept.verdicts and not self.is_late():
                    outcome = await outcome_of(self.place, case)
                    self.kept.add(f"{name}: {case}", outcome.reached, outcome.verdict)
                done += 1
                self.said(f"recorder: {name}: {done} of {len(cases)}")

        await asyncio.gather(*(one(case) for case in cases))
        keys = {f"{name}: {case}": str(case) for case in cases}
        return [(text, *self.kept.verdicts[key]) for key, text in keys.items() if key in self.kept.verdicts]

    def is_late(self) -> bool:
        """True if no run is to begin any more."""
        return self.deadline is not None and time.monotonic() >= self.deadline


async def outcome_of(place: World, case: AnyCase) -> Outcome:
    """Run one case; what it did not get through is wrong too."""
    try:
        return await (run_packing(place, case) if isinstance(case, Packing) else run_case(place, case))
    except Exception as error:
        return Outcome(case, Verdict([f"the run broke off: {type(error).__name__}: {error}"]))


async def prove(
    said: Callable[[str], None],
    *,
    cells: int | None = None,
    seed: int = 1,
    lanes: int = LANES,
    deadline: float | None = None,
    fresh: bool = False,
) -> list[Line]:
    """The recorder's columns, all of them or so many cases of each, and its twins."""
    kept, lines = Kept.open(fresh=fresh), list[Line]()
    async with world(**FULL) as place:
        said("recorder: clean")
        clean, packed = await outcome_of(place, Case()), await outcome_of(place, Packing())
        work = Lanes(place, kept, said, lanes, deadline)
        for name, cases in columns(clean, packed).items():
            done = await work.run(name, matrix.sample(cases, cells, seed))
            lines.append(line_of(f"recorder: {name}", len(cases), done))
        for name, cases in twins(packed).items():
            if work.is_late():
                break
            said(f"recorder: twin: {name}")
            lines.append(await twin_line(place, name, cases))
    return lines


def columns(clean: Outcome, packed: Outcome) -> Mapping[str, Sequence[AnyCase]]:
    """All cases by their columns, out of what runs without a kill did."""
    return {
        "clean": [Case(), Packing()],
        "kills": matrix.kills(clean.trace),
        "stops": matrix.stops(clean.trace),
        "troubles": matrix.troubles(),
        "pairs": matrix.pairs(),
        "disks": matrix.disks(),
        "mongod's disk": [*matrix.mongo_disks(clean.trace), *archiving.full_disks(packed.trace)],
        "archiver": archiving.cases(packed.trace),
    }


def twins(packed: Outcome) -> Mapping[str, Sequence[AnyCase]]:
    """For each broken recorder or archiver, cases of which one at least has to catch it."""
    return {**matrix.twins(), "delete by range": archiving.twin_cases(packed.trace)}


async def twin_line(place: World, name: str, cases: Sequence[AnyCase]) -> Line:
    """Run a twin's cases until one catches it."""
    for runs, case in enumerate(cases, 1):
        outcome = await outcome_of(place, case)
        if wrong := outcome.verdict.wrong:
            return Line(f"recorder twin: {name}", runs, 1, True, f"caught by {case}", {"wrong": wrong})
    return Line(f"recorder twin: {name}", len(cases), 0, False, "not caught")


def line_of(name: str, total: int, done: Sequence[tuple[str, bool, Verdict]]) -> Line:
    """One column as a line; it holds when no run failed, whether all cases were run or a sample."""
    failed = [{"cell": case, "wrong": verdict.wrong} for case, _, verdict in done if verdict.wrong]
    loads = [verdict.load for *_, verdict in done if verdict.load]
    figures = {
        "cases": total,
        "reached": sum(reached for _, reached, _ in done),
        "frames": sum(verdict.sent for *_, verdict in done),
        "in_a_hole": sum(verdict.excused for *_, verdict in done),
        "most_unknown_s": max((verdict.unknown for *_, verdict in done), default=0.0),
        "longest_transit_s": max((verdict.transit for *_, verdict in done), default=0.0),
        "frames_a_second": [round(load) for load in (min(loads), median(loads), max(loads))] if loads else [],
    }
    note = (
        f"{len(done)} of {total} cases, {figures['reached']} reached their point; {figures['frames']:,} frames, "
        f"{figures['in_a_hole']:,} in a hole; at most {figures['most_unknown_s']:.2f} s unknown"
    )
    if loads:
        note += f"; {median(loads):,.0f} frames a second (median run; {min(loads):,.0f} at least)"
    return Line(name, len(done), len(failed), bool(done) and not failed, note, {**figures, "failed": failed[:100]})


def prove_books(said: Callable[[str], None], *, flows: int = FLOWS, seconds: float = SECONDS) -> list[Line]:
    """Generated flows, the recorded span where it is at hand, and a recorder that counts by itself."""
    found = []
    for seed in range(1, flows + 1):
        said(f"books: flow {seed} of {flows}")
        found.append(books.generated(seed, seconds))
    lines = [_books_line("books: generated flow", found)]
    if folder := os.environ.get(REFERENCE):
        said("books: the recorded span")
        lines.append(_books_line("books: recorded span", [books.recorded(Path(folder), 1)]))
    twin = books.generated(1, seconds / 4, books.CountAnew())
    note = f"caught: {len(twin.wrong):,} of {twin.good:,} books are not the venue's" if twin.wrong else "not caught"
    return [*lines, Line("books twin: counts anew", 1, int(bool(twin.wrong)), bool(twin.wrong), note)]


def _books_line(name: str, found: Sequence[books.Books]) -> Line:
    wrong = [text for one in found for text in one.wrong]
    good, disturbed = sum(one.good for one in found), sum(one.disturbed for one in found)
    note = (
        f"{sum(one.frames for one in found):,} frames, {disturbed:,} skipped, repeated or reordered; {good:,} good "
        f"books, {len(wrong)} wrong; {sum(one.invalid for one in found):,} times found invalid"
    )
    failed = [{"cell": name, "wrong": wrong[:20]}] if wrong else []
    return Line(name, len(found), len(failed), bool(good and disturbed) and not wrong, note, {"failed": failed})


async def soak(minutes: float, seed: int, said: Callable[[str], None], lanes: int = LANES) -> Line:
    """Cases of all columns as chance has it, for so long."""
    done: list[tuple[str, bool, Verdict]] = []
    end = time.monotonic() + minutes * 60
    async with world(**FULL) as place:
        clean, packed = await outcome_of(place, Case()), await outcome_of(place, Packing())
        pool = [case for cases in columns(clean, packed).values() for case in cases]
        while time.monotonic() < end:
            found = await asyncio.gather(*(outcome_of(place, case) for case in matrix.sample(pool, lanes, seed)))
            done += [(str(one.case), one.reached, one.verdict) for one in found]
            said(f"recorder: soak: {len(done)} runs, {sum(bool(verdict.wrong) for *_, verdict in done)} failed")
            seed += 1
    return line_of(f"recorder: soak, {minutes:g} minutes", len(done), done)
