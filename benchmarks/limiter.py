"""Taking permits against PING, round trip by round trip on one connection.

What is taken is an order's permits at BTCTurk, all of its windows; they are wiped now and then, unmeasured, so that the
windows are as full as they are in use and are never found full.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Figure, ratios
from services.stack.servers import Server
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import permit
from tickrouter.bus.permits import Permits
from tickrouter.core.permits import claims
from tickrouter.venues.card import load_card

ENDPOINT = "POST /api/v1/order"
CARD = Path(__file__).resolve().parents[1] / "configs/venues/btcturk.yaml"
CALLS = 2_000
"""Round trips a series."""
TURN = 8
"""Permits between two wipes: what the narrowest window grants in a second."""


def measure(redis: Server, rounds: int) -> Iterator[Figure]:
    """Both medians and their ratio; permits and pings take turns within a round."""
    client: Any = connect(redis.url, connections=1)
    rules = load_card(CARD).rules
    name = f"b{uuid.uuid4().hex[:8]}"
    permits = Permits(client, "btcturk", rules, account=f"btcturk/{name}", ip=name)
    wanted = claims(rules, ENDPOINT, account=f"btcturk/{name}", ip=name)
    keys = [permit("btcturk", claim.rule.name, claim.scope_value) for claim in wanted]

    def take() -> None:
        match permits.take(ENDPOINT):
            case float(seconds):
                raise RuntimeError(f"no permit for {seconds} s")

    takes: list[float] = []
    pings: list[float] = []
    for number in range(rounds + 1):
        series: tuple[list[float], list[float]] = ([], [])
        for _ in range(CALLS // TURN):
            client.delete(*keys)
            series[0].extend(_timed(take))
            series[1].extend(_timed(client.ping))
        if number:
            takes.append(median(series[0]) * 1e6)
            pings.append(median(series[1]) * 1e6)
    client.delete(*keys)
    client.close()
    figures = [Figure(f"limiter.{way}", "us", "lower", tuple(runs)) for way, runs in (("take", takes), ("ping", pings))]
    yield from figures
    yield ratios("limiter.against_ping", *figures, "lower")


def _timed(call: Callable[[], object]) -> Iterator[float]:
    """Seconds of each of some calls."""
    for _ in range(TURN):
        began = time.perf_counter()
        call()
        yield time.perf_counter() - began
