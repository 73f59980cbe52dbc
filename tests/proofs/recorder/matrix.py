"""Which cases there are: kills at every kind of message, stops, bad moments of servers, and broken twins."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import product

from tests.proofs.gate import HANDSHAKES, PHASES, Point
from tests.proofs.recorder.run import TROUBLES, Case

NUMBERS = (1, 2, 3, 5, 8, 13, 20, 30)
"""Of the messages of one name, those at which a collector is struck; of a name with fewer, all."""
STOPS = (1.2, 3.0)
"""Seconds: within the lease, and beyond it."""


def kills(trace: Sequence[tuple[str, int]]) -> list[Case]:
    """Kills at the messages of a recorded clean run, before, in the middle of and after each."""
    counts = Counter(name for name, _ in trace if name not in HANDSHAKES)
    return [
        Case((Point(name, number, phase),))
        for name, count in sorted(counts.items())
        for number in NUMBERS
        if number <= count * 2 // 3 or number == 1
        for phase in PHASES
    ]


def stops(trace: Sequence[tuple[str, int]]) -> list[Case]:
    """The same points, the collector stopped for a while instead."""
    return [Case(case.points, stop) for case in kills(trace) for stop in STOPS if case.points[0].phase == "after"]


def troubles() -> list[Case]:
    """Each server's bad moment alone, and with the collector killed in it."""
    return [Case(troubles=(trouble,), kill=kill) for trouble in TROUBLES for kill in (False, True)]


def pairs() -> list[Case]:
    """Two bad moments in a row, of one server or both, and with the collector killed in the second."""
    return [Case(troubles=pair, kill=kill) for pair in product(TROUBLES, repeat=2) for kill in (False, True)]


def disks() -> list[Case]:
    """A disk that is full at once, or soon, while a server is away for so long that more waits than memory holds."""
    return [
        Case(troubles=(trouble,), file_size=size, lasting=lasting)
        for trouble in TROUBLES
        for size, lasting in ((2_000, 10.0), (20_000, 3.0))
    ]


def mongo_disks(trace: Sequence[tuple[str, int]]) -> list[Case]:
    """The disk under mongod is full from a message to it on, and with the collector killed in that."""
    points = [case.points for case in kills(trace) if case.points[0].name.startswith("mongo")]
    return [
        *(Case(own, full=True) for own in points),
        *(Case(own, full=True, kill=True) for own in points if own[0].phase == "before"),
    ]


def twins() -> dict[str, list[Case]]:
    """For each broken recorder, cases of which one at least has to catch it."""
    point = Point("mongo:insert", 8, "after")
    killed = [(point,), (Point("redis:publish", 20, "after"),), (Point("mongo:insert", 20, "before"),)]
    return {
        "acknowledge before storing": [Case(points, twin="acknowledge before storing") for points in killed],
        "close at the newest id": [Case(points, twin="close at the newest id") for points in killed],
        "equal or smaller is success": [Case(troubles=("stranger",), twin="equal or smaller is success")] * 2,
        "store without journal": [Case(troubles=("fill mongo",), twin="store without journal")] * 2,
    }


def sample(cases: Sequence[Case], count: int | None, seed: int) -> list[Case]:
    """So many of them, the same for the same seed; all for None."""
    if count is None or count >= len(cases):
        return list(cases)
    return random.Random(seed).sample(list(cases), count)
