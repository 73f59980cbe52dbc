"""A simulated venue with a quiet book, and a router at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.stack.servers import Server, redis_server
from tests.routing import Routing, routing
from tests.simulation import Simulation, start_simulator

BIDS = [("99.00", "5"), ("98.00", "50")]
ASKS = [("101.00", "5"), ("102.00", "50")]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    """A venue whose house bids 99 and asks 101 for BTCUSDT."""
    with start_simulator(tmp_path) as simulation:
        simulation.book("BTCUSDT", BIDS, ASKS)
        simulation.trade("BTCUSDT", "100.00", "0.1", "buy")
        yield simulation


@pytest.fixture
def router(venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str) -> Iterator[Routing]:
    """A router that routes one account of that venue."""
    with routing(venue, tmp_path / "router", unique, redis_url=redis_url, mongo_url=mongo_url) as routed:
        routed.start()
        yield routed


@pytest.fixture
def orders_redis(tmp_path: Path) -> Iterator[Server]:
    """An orders Redis of its own, which keeps what it acknowledged, to be killed, emptied and taken back."""
    server = redis_server(tmp_path / "redis", appendfsync="always")
    server.start()
    yield server
    server.stop()
