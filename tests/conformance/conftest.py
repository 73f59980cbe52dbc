"""A simulated venue, a process of its own, whose book and trades the test knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.simulation import Simulation, start_simulator

BIDS = [("60000.50", "0.50000000"), ("60000.00", "2"), ("59990.00", "5")]
ASKS = [("60001.00", "0.40000000"), ("60002.00", "3"), ("60010.00", "5")]
TRADES = [("60000.75", "0.25", "buy"), ("60000.50", "0.125", "sell"), ("60001.00", "0.5", "buy")]


@contextmanager
def known(folder: Path) -> Iterator[Simulation]:
    with start_simulator(folder) as simulation:
        simulation.book("BTCUSDT", BIDS, ASKS)
        for price, amount, side in TRADES:
            simulation.trade("BTCUSDT", price, amount, side)
        yield simulation


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    """For a test that trades."""
    with known(tmp_path) as simulation:
        yield simulation


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """For all tests that only read."""
    with known(tmp_path_factory.mktemp("shown")) as simulation:
        yield simulation
