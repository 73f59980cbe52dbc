"""Measure, print a table, write build/bench.json.

    python -m benchmarks [--only NAME ...] [--rounds N] [--json FILE]

`docs/performance.md` says what each figure means.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import archive, collecting, contracts, frame_reading, history, latency, limiter, order_path
from benchmarks.report import Figure, table, write_json
from services.stack.servers import Server, mongo_server, redis_server
from tickrouter.history.connection import initiate

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "build" / "bench.json"
ROUNDS = 3
"""Odd, so that the median is one of the runs."""
SLOW_VENUE_MS = 20.0


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers to measure with, new for each invocation, and a folder that goes with them."""

    redis: Server
    mongo_url: str
    folder: Path
    rounds: int

    def frames(self) -> Iterator[Figure]:
        return frame_reading.measure(self.folder, self.rounds)

    def latency(self) -> Iterator[Figure]:
        return latency.measure(self.redis, self.folder, self.rounds)

    def collector(self) -> Iterator[Figure]:
        return collecting.measure(self.redis, self.folder, self.rounds)

    def collector_mongo(self) -> Iterator[Figure]:
        return collecting.measure_both(self.redis, self.mongo_url, self.folder, self.rounds)

    def contracts(self) -> Iterator[Figure]:
        return contracts.measure(self.redis, self.folder, self.rounds)

    def order(self) -> Iterator[Figure]:
        bounds = {"target": 0.8, "floor": 1.0}
        return order_path.measure("order", self.redis, self.mongo_url, self.folder, self.rounds, **bounds)

    def order_private_feed(self) -> Iterator[Figure]:
        return order_path.measure(
            "order_private_feed", self.redis, self.mongo_url, self.folder, self.rounds, private_feed=True
        )

    def order_slow_venue(self) -> Iterator[Figure]:
        bounds = {"latency_ms": SLOW_VENUE_MS, "target": 1.02, "floor": 1.05}
        return order_path.measure("order_slow_venue", self.redis, self.mongo_url, self.folder, self.rounds, **bounds)

    def order_rate(self) -> Iterator[Figure]:
        return order_path.measure_rate(self.redis, self.mongo_url, self.folder, self.rounds, latency_ms=SLOW_VENUE_MS)

    def limiter(self) -> Iterator[Figure]:
        return limiter.measure(self.redis, self.rounds)

    def history(self) -> Iterator[Figure]:
        return history.measure(self.mongo_url, self.rounds)

    def archive(self) -> Iterator[Figure]:
        return archive.measure(self.mongo_url, self.rounds)


BENCHES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "limiter": Bench.limiter,
    "history": Bench.history,
    "archive": Bench.archive,
    "order": Bench.order,
    "order_private_feed": Bench.order_private_feed,
    "order_slow_venue": Bench.order_slow_venue,
    "frames": Bench.frames,
    "latency": Bench.latency,
    "order_rate": Bench.order_rate,
    "collector": Bench.collector,
    "collector_mongo": Bench.collector_mongo,
    "contracts": Bench.contracts,
}


def main(arguments: list[str]) -> int:
    """Measure what is asked for."""
    asked = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    began = time.monotonic()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        bench = _servers(Path(folder), stack, asked.rounds)
        for name in asked.only or BENCHES:
            console.print(f"measuring {name} ...", highlight=False)
            figures += BENCHES[name](bench)
    took = time.monotonic() - began
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {_load()}"
    console.print(table(figures, f"medians of {asked.rounds} rounds, {took:.0f} s; {machine}"))
    write_json(asked.json, figures)
    console.print(f"written to {asked.json}", highlight=False, soft_wrap=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), metavar="NAME", help=f"of: {', '.join(BENCHES)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, choices=range(1, 100), metavar="N")
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE")
    return parser


def _servers(folder: Path, stack: ExitStack, rounds: int) -> Bench:
    """Redis with AOF every second and a mongod, both empty, ended with the stack."""
    redis, mongo = redis_server(folder / "redis"), mongo_server(folder / "mongo")
    for server in (redis, mongo):
        stack.callback(server.stop)
        server.start()
    initiate(mongo.url)
    return Bench(redis, mongo.url, folder, rounds)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
