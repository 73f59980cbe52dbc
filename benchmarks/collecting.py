"""Socket to Redis: the collector against cryptofeed, the same messages in each one's exchange's words.

Both read from a local socket that sends as fast as it is read, and write to the same Redis. A run counts from the first
byte sent to the last record found in Redis; the CPU is that of the recording process alone, all of its threads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.feeder import Feeder, packed
from benchmarks.frames import Dialect, Kind, frame, start, walk
from benchmarks.processes import process
from benchmarks.recorder_ours import CONTRACT
from benchmarks.report import Figure, ratios
from services.stack.servers import Server
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import MarketKeys

COUNTS: dict[Kind, int] = {"ticker": 40_000, "trade": 40_000, "book": 20_000}
"""Messages a run, by kind: about two seconds' worth."""
WARM = 1_000
"""Messages before a run, uncounted."""
PATIENCE = 30.0
"""Seconds without a new record after which a run has failed."""
LOOK_EVERY = 0.01


@dataclass(slots=True)
class Recorder:
    """One program that records."""

    name: str
    dialect: Dialect
    command: list[str]
    streams: dict[Kind, str]
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Flow:
    """What one exchange sends of one kind: before the measurement, and during it."""

    warm: bytes
    counted: bytes


def measure(redis: Server, folder: Path, rounds: int) -> Iterator[Figure]:
    """All figures, kind by kind; the two programs take turns within a round."""
    peer = peers.python()
    client: Any = connect(redis.url)
    book = folder / "book.json"
    book.write_text(start("binance"), encoding="utf-8")
    with Feeder() as feeder:
        for kind, count in COUNTS.items():
            recorders = _recorders(feeder, redis, str(peer), folder, book)
            flows = {recorder.name: _flow(recorder.dialect, kind, count) for recorder in recorders}
            for number in range(rounds):
                for recorder in recorders if number % 2 else reversed(recorders):
                    client.flushall()
                    rate, cost = _run(client, feeder, recorder, flows[recorder.name], kind, folder)
                    recorder.rates.append(rate)
                    recorder.costs.append(cost)
            yield from _figures(kind, *recorders)
    client.flushall()
    client.close()


def _recorders(feeder: Feeder, redis: Server, peer: str, folder: Path, book: Path) -> list[Recorder]:
    here = Path(__file__).parent
    keys = MarketKeys(CONTRACT)
    ours = [sys.executable, "-m", "benchmarks.recorder_ours", feeder.url, redis.url, str(folder)]
    theirs = [peer, str(here / "recorder_cryptofeed.py"), feeder.url, str(redis.port), str(book)]
    return [
        Recorder(
            "tickrouter",
            "btcturk",
            ours,
            {"ticker": keys.stream("tick"), "trade": keys.stream("trade"), "book": keys.stream("tick")},
        ),
        Recorder(
            "cryptofeed",
            "binance",
            theirs,
            {kind: f"{word}-BINANCE-BTC-USDT" for kind, word in _CRYPTOFEED_KEYS.items()},
        ),
    ]


_CRYPTOFEED_KEYS: dict[Kind, str] = {"ticker": "ticker", "trade": "trades", "book": "book"}


def _flow(dialect: Dialect, kind: Kind, count: int) -> Flow:
    frames = [frame(dialect, kind, message) for message in walk(kind, WARM + count)]
    first = [start(dialect)] if kind == "book" and dialect == "btcturk" else []
    return Flow(packed(first + frames[:WARM]), packed(frames[WARM:]))


def _run(client: Any, feeder: Feeder, recorder: Recorder, flow: Flow, kind: Kind, folder: Path) -> tuple[float, float]:
    """Messages a second, and CPU microseconds a message."""
    stream = recorder.streams[kind]
    before = WARM + (kind == "book")
    with process(recorder.command, folder / f"{recorder.name}.log") as running:
        feeder.accept()
        running.ready()
        feeder.send(flow.warm)
        _wait(client, stream, before)
        cpu, began = running.cpu(), time.perf_counter()
        feeder.send(flow.counted)
        _wait(client, stream, before + COUNTS[kind])
        seconds, used = time.perf_counter() - began, running.cpu() - cpu
        feeder.hang_up()
    return COUNTS[kind] / seconds, used / COUNTS[kind] * 1e6


def _wait(client: Any, stream: str, count: int) -> None:
    """Until so many records are in Redis.

    Raises:
        RuntimeError: no more of them come, or there are more than were sent.
    """
    found, since = 0, time.monotonic()
    while found < count:
        time.sleep(LOOK_EVERY)
        before, found = found, client.xlen(stream)
        if found != before:
            since = time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise RuntimeError(f"{stream}: {found} of {count} records, and no more come")
    if found > count:
        raise RuntimeError(f"{stream}: {found} records of {count} messages")


def _figures(kind: Kind, ours: Recorder, theirs: Recorder) -> Iterator[Figure]:
    name = f"collector.{kind}"
    rates = [Figure(f"{name}.{one.name}", "1/s", "higher", tuple(one.rates)) for one in (ours, theirs)]
    costs = [Figure(f"{name}.{one.name}.cpu", "us", "lower", tuple(one.costs)) for one in (ours, theirs)]
    yield from (*rates, *costs)
    yield ratios(f"{name}.against_cryptofeed", *rates, "higher")
    yield ratios(f"{name}.cpu_against_cryptofeed", *costs, "lower")
