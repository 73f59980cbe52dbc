"""What the collector costs against the number of contracts, each at the same pace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.collecting import length, ours, wait
from benchmarks.feeder import Feeder, packed
from benchmarks.frames import frame, walk
from benchmarks.latency import pace
from benchmarks.processes import process
from benchmarks.recorder_ours import contracts
from benchmarks.report import Figure, ratios
from services.stack.servers import Server
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import MarketKeys
from tickrouter.model.contract import Contract

COUNTS = (1, 10, 100)
RATE = 100
"""Tickers a second of each contract."""
SECONDS = 1.5
WARM_SECONDS = 0.3


def measure(redis: Server, folder: Path, rounds: int) -> Iterator[Figure]:
    """CPU of a ticker, with so many contracts on one connection."""
    client: Any = connect(redis.url)
    costs = []
    with Feeder() as feeder:
        for count in COUNTS:
            runs = tuple(
                _run(redis, folder / f"contracts-{count}-{number}", client, feeder, count) for number in range(rounds)
            )
            costs.append(Figure(f"contracts.{count}.cpu", "us", "lower", runs))
            yield costs[-1]
    # Linear is 1: ten times the contracts, and with them the tickers, for ten times the cost.
    for count, cost in zip(COUNTS[1:], costs[1:], strict=True):
        yield ratios(f"contracts.{count}_against_1", cost, costs[0], "lower", 1.0, 1.0)
    client.flushall()
    client.close()


def _run(redis: Server, folder: Path, client: Any, feeder: Feeder, count: int) -> float:
    client.flushall()
    folder.mkdir()
    names = contracts(count)
    symbols = [Contract.parse(name).symbol for name in names]
    streams = [MarketKeys(name).stream("tick") for name in names]
    rate = RATE * count
    warm, counted = int(rate * WARM_SECONDS), int(rate * SECONDS)
    frames = [
        packed([frame("btcturk", "ticker", message).replace("BTCUSDT", symbols[message.number % count])])
        for message in walk("ticker", warm + counted)
    ]
    command = [*ours(feeder, redis), "--contracts", str(count)]
    with process([part.replace("FOLDER", str(folder)) for part in command], folder / "run.log") as running:
        feeder.accept()
        running.ready()
        pace(feeder, frames[:warm], rate)
        cpu = running.cpu()
        pace(feeder, frames[warm:], rate)
        wait(lambda: length(client, streams), warm + counted)
        used = running.cpu() - cpu
        feeder.hang_up()
    return used / counted * 1e6
