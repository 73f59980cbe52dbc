"""Socket to Redis, and to Redis and MongoDB: the collector against cryptofeed, the same messages in each one's words.

Both read from a local socket that sends as fast as it is read, and write to the same servers. A run counts from the
first byte sent to the last record found in them; the CPU is that of the recording process alone, all of its threads.
Which of the two is faster for what a core costs is said by their CPU: it does not depend on what the servers, the
sender and other programs take of the machine at the same time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import peers
from benchmarks.feeder import Feeder, packed
from benchmarks.frames import Dialect, Kind, frame, start, walk
from benchmarks.processes import process
from benchmarks.recorder_ours import CONTRACT, DATABASE
from benchmarks.report import Figure, ratios
from services.stack.servers import Server
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import MarketKeys
from tickrouter.history.connection import connect as connect_mongo

COUNTS: dict[Kind, tuple[int, int]] = {
    "ticker": (120_000, 30_000),
    "trade": (60_000, 30_000),
    "book": (60_000, 20_000),
    "whole": (20_000, 8_000),
}
"""Messages a run, by kind, ours and cryptofeed's: about a second's worth of each."""
BOTH_COUNTS = (60_000, 20_000)
BOUNDS: dict[Kind, tuple[float, float]] = {"ticker": (8.0, 5.0), "whole": (8.0, 5.0)}
"""Target and floor of ticks a core against cryptofeed."""
BOTH_BOUNDS = 2.0, 1.5
"""With MongoDB, of the rate as well: there the work is shared with servers that do the same for both."""
WARM = 1_000
"""Messages before a run, uncounted."""
PATIENCE = 30.0
"""Seconds without a new record after which a run has failed."""
LOOK_EVERY = 0.01

Found = Callable[[], int]
"""How many records there are by now."""


@dataclass(slots=True)
class Recorder:
    """One program that records, and what it is given.

    Attributes:
        name: of the program.
        dialect: in which it is spoken to.
        command: starts it; `FOLDER` stands for a folder of its own.
        stream: where its records are.
        flow: what is sent to it before the measurement, and during it.
        before: records that the first part makes.
        count: messages of the second part.
        found: counts the records that it made.
    """

    name: str
    dialect: Dialect
    command: list[str]
    stream: str
    flow: tuple[bytes, bytes]
    before: int
    count: int
    found: Found
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def started_in(self, folder: Path) -> list[str]:
        """The command, with a folder that no run before has used."""
        own = tempfile.mkdtemp(dir=folder)
        return [part.replace("FOLDER", own) for part in self.command]

    def run(self, feeder: Feeder, folder: Path) -> None:
        """One run: messages a second, and CPU microseconds a message."""
        warm, counted = self.flow
        with process(self.started_in(folder), folder / f"{self.name}.log") as running:
            feeder.accept()
            running.ready()
            feeder.send(warm)
            wait(self.found, self.before)
            cpu, began = running.cpu(), time.perf_counter()
            feeder.send(counted)
            wait(self.found, self.before + self.count)
            seconds, used = time.perf_counter() - began, running.cpu() - cpu
            feeder.hang_up()
        self.rates.append(self.count / seconds)
        self.costs.append(used / self.count * 1e6)


def measure(redis: Server, folder: Path, rounds: int) -> Iterator[Figure]:
    """Socket to Redis, kind by kind."""
    client: Any = connect(redis.url)
    with Feeder() as feeder:
        for kind, counts in COUNTS.items():
            recorders = _recorders(feeder, redis, None, folder, kind, counts, _in_redis(client))
            _take_turns(recorders, feeder, folder, rounds, client.flushall)
            yield from _figures(f"collector.{kind}", *recorders, *BOUNDS.get(kind, (None, None)))
    client.flushall()
    client.close()


def measure_both(redis: Server, mongo_url: str, folder: Path, rounds: int) -> Iterator[Figure]:
    """Socket to Redis and to MongoDB, a document a tick, with the same durability."""
    client: Any = connect(redis.url)
    mongo: Any = connect_mongo(mongo_url)
    in_redis = _in_redis(client)
    collections = {"tickrouter": mongo[DATABASE].ticks, "cryptofeed": mongo.cryptofeed.ticker}

    def clear() -> None:
        client.flushall()
        for name in (DATABASE, "cryptofeed"):
            mongo.drop_database(name)

    def found(program: str, stream: str) -> Found:
        seen = in_redis(program, stream)
        return lambda: min(seen(), collections[program].estimated_document_count())

    with Feeder() as feeder:
        recorders = _recorders(feeder, redis, mongo_url, folder, "ticker", BOTH_COUNTS, found)
        _take_turns(recorders, feeder, folder, rounds, clear)
        yield from _figures("collector_mongo.ticker", *recorders, *BOTH_BOUNDS, BOTH_BOUNDS)
    clear()
    client.close()
    mongo.close()


def recorders(feeder: Feeder, redis: Server, folder: Path, client: Any) -> list[Recorder]:
    """Both programs, of tickers into Redis, with nothing to send."""
    return _recorders(feeder, redis, None, folder, "ticker", (0, 0), _in_redis(client))


def wait(found: Found, count: int) -> None:
    """Until there are so many records.

    Raises:
        RuntimeError: no more of them come, or there are more than were sent.
    """
    seen, since = 0, time.monotonic()
    while seen < count:
        time.sleep(LOOK_EVERY)
        before, seen = seen, found()
        if seen != before:
            since = time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise RuntimeError(f"{seen} of {count} records, and no more come")
    if seen > count:
        raise RuntimeError(f"{seen} records of {count} messages")


def _take_turns(
    recorders: list[Recorder], feeder: Feeder, folder: Path, rounds: int, clear: Callable[[], object]
) -> None:
    """Within a round one after the other, the first one last in every second round."""
    for number in range(rounds):
        for recorder in recorders if number % 2 else reversed(recorders):
            clear()
            recorder.run(feeder, folder)


_CRYPTOFEED_KEYS: dict[Kind, str] = {
    "ticker": "ticker-BINANCE-BTC-USDT",
    "trade": "trades-BINANCE-BTC-USDT",
    "book": "book-BINANCE-BTC-USDT",
    "whole": "book-CRYPTO.COM-BTC-USDT",
}


def _recorders(
    feeder: Feeder,
    redis: Server,
    mongo_url: str | None,
    folder: Path,
    kind: Kind,
    counts: tuple[int, int],
    found: Callable[[str, str], Found],
) -> list[Recorder]:
    dialect: Dialect = "cryptodotcom" if kind == "whole" else "binance"
    book = folder / "book.json"
    book.write_text(start("binance"), encoding="utf-8")
    script = str(Path(__file__).parent / "recorder_cryptofeed.py")
    theirs = [str(peers.python()), script, feeder.url, str(redis.port), dialect, str(book)]
    own = ours(feeder, redis)
    if mongo_url is not None:
        own += ["--mongo", mongo_url]
        theirs.append(str(urlsplit(mongo_url).port))
    # The start makes a record of its own, here as there.
    first = [start("btcturk")] if kind == "book" else []
    stream = MarketKeys(CONTRACT).stream("trade" if kind == "trade" else "tick")
    return [
        Recorder(
            "tickrouter",
            "btcturk",
            own,
            stream,
            _flow("btcturk", kind, counts[0], first),
            WARM + len(first),
            counts[0],
            found("tickrouter", stream),
        ),
        Recorder(
            "cryptofeed",
            dialect,
            theirs,
            _CRYPTOFEED_KEYS[kind],
            _flow(dialect, kind, counts[1], []),
            WARM + len(first),
            counts[1],
            found("cryptofeed", _CRYPTOFEED_KEYS[kind]),
        ),
    ]


def ours(feeder: Feeder, redis: Server) -> list[str]:
    """The command of our recorder."""
    return [sys.executable, "-m", "benchmarks.recorder_ours", feeder.url, redis.url, "FOLDER"]


def _flow(dialect: Dialect, kind: Kind, count: int, first: list[str]) -> tuple[bytes, bytes]:
    frames = [frame(dialect, kind, message) for message in walk(kind, WARM + count)]
    return packed(first + frames[:WARM]), packed(frames[WARM:])


def _in_redis(client: Any) -> Callable[[str, str], Found]:
    return lambda _program, stream: lambda: length(client, [stream])


def length(client: Any, streams: list[str]) -> int:
    """Entries of streams together."""
    pipe = client.pipeline(transaction=False)
    for stream in streams:
        pipe.xlen(stream)
    return sum(pipe.execute())


def _figures(
    name: str,
    ours: Recorder,
    theirs: Recorder,
    target: float | None,
    floor: float | None,
    rate: tuple[float | None, float | None] = (None, None),
) -> Iterator[Figure]:
    """Rates, costs and their ratios; the bounds are those of a core, `rate` is those of the rate."""
    rates = [Figure(f"{name}.{one.name}", "1/s", "higher", tuple(one.rates)) for one in (ours, theirs)]
    costs = [Figure(f"{name}.{one.name}.cpu", "us", "lower", tuple(one.costs)) for one in (ours, theirs)]
    yield from (*rates, *costs)
    yield ratios(f"{name}.against_cryptofeed", *rates, "higher", *rate)
    yield ratios(f"{name}.per_core_against_cryptofeed", costs[1], costs[0], "higher", target, floor)
