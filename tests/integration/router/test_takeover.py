"""Two routers for one account, with the lease as it comes: the other one routes within 5 s of a kill, and of a stop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.routing import Routing, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.config import RouterConfig

WITHIN = 5.0


@pytest.fixture
def two(venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str) -> Iterator[Routing]:
    """A router, and one that waits for its lease."""
    lease = {"router": {"lease_ms": RouterConfig().lease_ms, "egress": unique}}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, **lease) as router:
        router.start()
        router.start(ready=False)
        until(lambda: "another router holds the lease" in router.log)
        yield router


@pytest.mark.parametrize("strike", [signal.SIGKILL, signal.SIGSTOP])
def test_the_second_router_takes_over_in_time(two: Routing, venue: Simulation, strike: signal.Signals) -> None:
    two.wait(two.place("b", "90", "1"), "New")
    first = two.processes[0]
    first.send_signal(strike)
    struck = time.time_ns()
    # What it does until the signal arrives is its own: it may have taken the next order, and not have sent it.
    until(lambda: os.waitid(os.P_PID, first.pid, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT))
    order = two.wait(two.place("b", "91", "1"), "New", timeout=20)
    assert order.stamp is not None
    assert (order.stamp - struck) / 1e9 < WITHIN
    assert len(venue.ledger()["orders"]) == 2
