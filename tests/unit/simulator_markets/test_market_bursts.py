from __future__ import annotations

import itertools
from random import Random

import pytest

from services.simulator.markets.bursts import Bursts
from services.simulator.markets.shape import Kernel

KERNELS = (Kernel(0.4, 5000.0), Kernel(0.3, 20.0))


def times(seed: int, count: int, kernels: tuple[Kernel, ...] = KERNELS) -> list[float]:
    bursts = Bursts(Random(seed), 10.0, kernels)
    return [bursts.next() for _ in range(count)]


def test_the_same_seed_gives_the_same_times() -> None:
    assert times(1, 500) == times(1, 500)
    assert times(1, 500) != times(2, 500)


def test_times_rise() -> None:
    found = times(3, 5000)
    assert all(one < other for one, other in itertools.pairwise(found))


def test_the_rate_is_the_background_and_what_it_calls() -> None:
    found = times(4, 60_000)
    assert len(found) / found[-1] == pytest.approx(10.0 / (1 - 0.7), rel=0.05)


def test_called_events_follow_close_behind() -> None:
    """Of a call by the first kernel, 1 - exp(-5) comes within 1 ms: about 0.4 of all events have one so near."""
    found = times(5, 30_000)
    near = sum(later - earlier < 0.001 for earlier, later in itertools.pairwise(found)) / len(found)
    assert 0.30 < near < 0.45


def test_without_kernels_nothing_is_called() -> None:
    found = times(6, 30_000, ())
    assert len(found) / found[-1] == pytest.approx(10.0, rel=0.03)
    near = sum(later - earlier < 0.001 for earlier, later in itertools.pairwise(found)) / len(found)
    assert near == pytest.approx(0.01, abs=0.003)
