"""Taking permits against PING, round trip by round trip: the client's own `ping()`, and a bare one.

The bare one is packed beforehand and read from a connection that nobody shares: the round trip itself, and no Python.

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

import hiredis

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
    """All medians and their ratios; permits and pings take turns within a round."""
    client: Any = connect(redis.url)
    bare = client.connection_pool.get_connection()
    packed = hiredis.pack_command(("PING",))
    rules = load_card(CARD).rules
    name = f"b{uuid.uuid4().hex[:8]}"
    permits = Permits(client, "btcturk", rules, account=f"btcturk/{name}", ip=name, unused=lambda: True)
    wanted = claims(rules, ENDPOINT, account=f"btcturk/{name}", ip=name)
    keys = [permit("btcturk", claim.rule.name, claim.scope_value) for claim in wanted]

    def take() -> None:
        match permits.take(ENDPOINT):
            case float(seconds):
                raise RuntimeError(f"no permit for {seconds} s")

    def ping() -> None:
        bare.send_packed_command([packed])
        bare.read_response()

    permits.prepare()
    ways: dict[str, Callable[[], object]] = {"take": take, "ping": client.ping, "bare_ping": ping}
    medians: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        series: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(CALLS // TURN):
            client.delete(*keys)
            for way, call in ways.items():
                series[way].extend(_timed(call))
        if number:
            for way, times in series.items():
                medians[way].append(median(times) * 1e6)
    client.delete(*keys)
    bare.disconnect()
    client.close()
    figures = {way: Figure(f"limiter.{way}", "us", "lower", tuple(runs)) for way, runs in medians.items()}
    yield from figures.values()
    for way in ("ping", "bare_ping"):
        yield ratios(f"limiter.against_{way}", figures["take"], figures[way], "lower")


def _timed(call: Callable[[], object]) -> Iterator[float]:
    """Seconds of each of some calls."""
    for _ in range(TURN):
        began = time.perf_counter()
        call()
        yield time.perf_counter() - began
