"""A simulated venue with a small book, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.simulator.client import ASKS, BIDS, Client
from tests.simulation import Simulation, start_simulator


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    """BTCUSDT at 100.00 to 101.00 with a first trade at 100.50; the tests move it."""
    with start_simulator(tmp_path, limits=False, book_interval_ms=50.0) as simulation:
        simulation.book("BTCUSDT", bids=BIDS, asks=ASKS)
        simulation.trade("BTCUSDT", "100.5", "0.1", "buy")
        yield simulation


@pytest.fixture
def client(venue: Simulation) -> Client:
    return Client(venue)
