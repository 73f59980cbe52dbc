"""Four routers behind one address, against the venue's fixed windows of unknown phase: no refusal, and nothing wasted.

Each account places one order at a random moment, which starts the venue's windows wherever it falls; then more places
are queued than the windows take, and cancels behind all of them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.simulator.accounts import Keys
from tests.proofs.desk import Desk
from tests.proofs.run import configuration, environment
from tests.proofs.world import World, world
from tickrouter.model.event import Event

PROCESSES = 4
PLACE, CANCEL = "POST /api/v1/order", "DELETE /api/v1/order"
PER_MINUTE, PER_SECOND = 300, 10
"""The venue's windows for places, counted for the address (BTCTurk reference, section 3)."""
CARD_MINUTE, CARD_SECOND = 0.95, 0.8
"""What our card uses of them."""
LOOK = 0.1
CANCEL_WITHIN = 1.5
"""Seconds from a cancel's entry in the queue to its leaving, while hundreds of places wait."""
STEADY = 0.85
"""Part of the second's share that must be used: a permit counts until its answer is back and a second has passed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the venue counted.

    Attributes:
        places: requests to place in the best minute, or in all the time if it was shorter.
        allowance: what the venue allows in that time.
        refused: requests that it refused.
        cancels: seconds until each cancel left.
        waiting: places still in the queues when the cancels came.
    """

    places: int
    allowance: int
    refused: int
    cancels: tuple[float, ...]
    waiting: int
    seconds: float

    def wrong(self) -> list[str]:
        """What does not hold."""
        found = []
        if self.refused:
            found.append(f"refused: {self.refused} requests")
        least = CARD_MINUTE if self.seconds >= 60 else STEADY * CARD_SECOND
        if self.places < least * self.allowance:
            found.append(f"wasted: {self.places} places of {self.allowance} allowed")
        if len(self.cancels) < PROCESSES or max(self.cancels, default=0.0) > CANCEL_WITHIN:
            found.append(f"cancels left after {self.cancels} s")
        return found


async def prove_limits(seconds: float, seed: int) -> Outcome:
    """Run it for so many seconds from the first order."""
    async with world(limits=True, stamp_tolerance_ms=5000, latency_ms=20) as made:
        choice = random.Random(seed)
        desks = [await _desk(made) for _ in range(PROCESSES)]
        pids = [await _start(made, desk, keys) for desk, keys in desks]
        accounts = [desk for desk, _ in desks]
        try:
            return await _measure(made, accounts, seconds, choice)
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def _desk(made: World) -> tuple[Desk, Keys]:
    keys = await made.open_account()
    return Desk(f"btcturk/{made.name()}", keys.public_key, made.redis, made.control), keys


async def _start(made: World, desk: Desk, keys: Keys) -> int:
    ports = {"redis": made.redis_address.port, "venue": made.venue_address.port, "mongo": made.mongo_address.port}
    name = desk.account.partition("/")[2]
    folder = made.folder / name
    folder.mkdir()
    config = configuration(desk.account, ports, folder, name)
    config["router"] = {"egress": "proofs", "workers": 16}
    return await made.nursery.birth(
        config, environment(desk.account, keys, private=True), folder / "router.log", limits=True
    )


async def _measure(made: World, desks: list[Desk], seconds: float, choice: random.Random) -> Outcome:
    early = []
    counted: list[tuple[float, int]] = [(time.monotonic(), 0)]
    for desk in desks:
        oid = desk.place("b", "90.00", "1", ttl_ms=600_000)
        await desk.send()
        early.append(oid)
        await asyncio.sleep(choice.uniform(0, min(3.0, seconds / 20)))
    for desk, oid in zip(desks, early, strict=True):
        await desk.settled(oid)
    for desk in desks:
        for _ in range(int(PER_MINUTE / PROCESSES * 1.5)):
            desk.place("b", "91.00", "0.2", ttl_ms=600_000)
        await desk.send()
    began, cancels_at, waiting = time.monotonic(), 0.0, 0
    while time.monotonic() - began < seconds:
        counts = await made.control.call("GET", "/counts")
        counted.append((time.monotonic(), int(counts["requests"].get(PLACE, 0))))
        if not cancels_at and time.monotonic() - began > min(3.0, seconds / 3):
            cancels_at = time.time()
            waiting = sum(len(desk.places) for desk in desks) - counted[-1][1]
            for desk, oid in zip(desks, early, strict=True):
                desk.cancel(client_oid=oid)
                await desk.send()
        await asyncio.sleep(LOOK)
    counts = await made.control.call("GET", "/counts")
    left = [await _left(desk, oid, cancels_at) for desk, oid in zip(desks, early, strict=True)]
    window = min(60.0, seconds)
    allowance = PER_MINUTE if window >= 60 else int(PER_SECOND * window)
    return Outcome(
        places=_best(counted, window),
        allowance=allowance,
        refused=int(counts["refused_total"]),
        cancels=tuple(round(one, 3) for one in left if one is not None),
        waiting=waiting,
        seconds=seconds,
    )


async def _left(desk: Desk, oid: str, asked: float) -> float | None:
    """Seconds from asking for a cancel to its leaving."""
    events: list[Any] = list((await desk.read()).events)
    sent: list[Event] = [event for event in events if event.client_oid == oid and event.fact == "cancel sent"]
    return sent[0].time / 1e9 - asked if sent else None


def _best(counted: list[tuple[float, int]], window: float) -> int:
    """Most requests in a window of that length, between two looks."""
    best = 0
    for at, (start, before) in enumerate(counted):
        inside = [after for when, after in counted[at:] if when - start <= window]
        best = max(best, inside[-1] - before)
    return best
