"""From a message's leaving the venue's socket to its record in the hands of a reader who waited for it in XREAD.

The venue sends tickers at a pace, each with a bid of its own by which its record is known again. Sender and reader are
processes of their own, so that neither waits for the other's interpreter; their clock is the machine's monotonic one.

    python -m benchmarks.latency REDIS_URL STREAM COUNT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.collecting import Recorder, recorders, wait
from benchmarks.feeder import Feeder, packed
from benchmarks.frames import Message, frame
from benchmarks.processes import process
from benchmarks.report import Figure, ratios
from services.stack.servers import Server
from tickrouter.bus.codec import unpack_record
from tickrouter.bus.connection import connect
from tickrouter.model.tick import Tick

RATES = (1_000, 5_000, 20_000)
"""Messages a second."""
SECONDS = 1.5
WARM_SECONDS = 0.3
"""At the same pace, before what counts."""
FIRST_BID = 1_000_000
"""In cents: one cent more a message."""
BOUND = 0.75, 1.0
"""Target and floor of the p50 against cryptofeed's."""
P99_RATE, P99_BOUND = 5_000, (1.0, 3.0)
PATIENCE_MS = 5_000
GROUP_SECONDS = 0.001
"""No sleep is shorter: what falls due in it leaves one by one, as fast as it can."""


Run = dict[int, tuple[float, float, float]]
"""By rate: p50 and p99 in ms, and CPU microseconds a message."""


def measure(redis: Server, folder: Path, rounds: int) -> Iterator[Figure]:
    """The two programs take turns; each is sent all rates, one after the other."""
    client: Any = connect(redis.url)
    runs: dict[str, list[Run]] = {"tickrouter": [], "cryptofeed": []}
    with Feeder() as feeder:
        for number in range(rounds):
            programs = recorders(feeder, redis, folder, client)
            for program in programs if number % 2 else reversed(programs):
                client.flushall()
                runs[program.name].append(_run(program, feeder, redis, folder, client))
    client.flushall()
    client.close()
    for rate in RATES:
        yield from _figures(rate, runs)
    costs = {}
    for rate in RATES:
        costs[rate] = _figure(f"{rate}.tickrouter.cpu", "us", [run[rate][2] for run in runs["tickrouter"]])
    # Linear is 1: ten times the messages for ten times the cost.
    for rate in RATES[1:]:
        name = f"latency.{rate}.cpu_against_{RATES[0]}"
        yield ratios(name, costs[rate], costs[RATES[0]], "lower", 1.0, 1.0)


def _figures(rate: int, runs: dict[str, list[Run]]) -> Iterator[Figure]:
    middles = []
    for name, found in runs.items():
        head = f"{rate}.{name}"
        middles.append(_figure(f"{head}.p50", "ms", [run[rate][0] for run in found]))
        is_bound = rate == P99_RATE and name == "tickrouter"
        yield middles[-1]
        yield _figure(f"{head}.p99", "ms", [run[rate][1] for run in found], *(P99_BOUND if is_bound else (None, None)))
        yield _figure(f"{head}.cpu", "us", [run[rate][2] for run in found])
    yield ratios(f"latency.{rate}.p50_against_cryptofeed", *middles, "lower", *BOUND)


def _figure(
    name: str, unit: str, runs: Sequence[float], target: float | None = None, floor: float | None = None
) -> Figure:
    return Figure(f"latency.{name}", unit, "lower", tuple(runs), target, floor)


def _run(program: Recorder, feeder: Feeder, redis: Server, folder: Path, client: Any) -> Run:
    counts = {rate: (int(rate * WARM_SECONDS), int(rate * SECONDS)) for rate in RATES}
    total = sum(map(sum, counts.values()))
    frames = [packed([_ticker(program, number)]) for number in range(total)]
    watch = [sys.executable, "-m", "benchmarks.latency", redis.url, program.stream, str(total)]
    sent: list[int] = []
    used: dict[int, float] = {}
    with (
        process(program.started_in(folder), folder / f"{program.name}.log") as running,
        process(watch, folder / "watcher.log") as watcher,
    ):
        feeder.accept()
        running.ready()
        watcher.ready()
        for rate, (warm, count) in counts.items():
            sent += pace(feeder, frames[len(sent) : len(sent) + warm], rate)
            cpu = running.cpu()
            sent += pace(feeder, frames[len(sent) : len(sent) + count], rate)
            wait(lambda: int(client.xlen(program.stream)), len(sent))
            used[rate] = running.cpu() - cpu
        seen = json.loads(watcher.line())
        feeder.hang_up()
    if len(seen) != total:
        raise RuntimeError(f"{program.name}: {len(seen)} of {total} records were seen")
    found: Run = {}
    first = 0
    for rate, (warm, count) in counts.items():
        numbers = range(first + warm, first + warm + count)
        first += warm + count
        cuts = quantiles([(seen[str(number)] - sent[number]) / 1e6 for number in numbers], n=100)
        found[rate] = cuts[49], cuts[98], used[rate] / count * 1e6
    return found


def _ticker(program: Recorder, number: int) -> str:
    bid = FIRST_BID + number
    return frame(program.dialect, "ticker", Message(number + 1, (bid, 10**8), (bid + 10**6, 10**8), True))


def pace(feeder: Feeder, frames: Sequence[bytes], rate: int) -> list[int]:
    """Send each when it is due; when they left, ns."""
    began = time.monotonic_ns()
    sent: list[int] = []
    for number, data in enumerate(frames):
        due = began + number * 1_000_000_000 // rate
        while (now := time.monotonic_ns()) < due:
            time.sleep(min((due - now) / 1e9, GROUP_SECONDS))
        sent.append(time.monotonic_ns())
        feeder.send_now(data)
    return sent


def main(redis_url: str, stream: str, count: int) -> None:
    """Follow a stream to its so many-th entry; then say when each was seen, by its number."""
    client: Any = connect(redis_url, timeout=None)
    print("ready", flush=True)
    after, found = "0", []
    while len(found) < count:
        rows = client.xread({stream: after}, block=PATIENCE_MS)
        now = time.monotonic_ns()
        if not rows:
            break
        entries = rows[0][1] if isinstance(rows, list) else next(iter(rows.values()))[0]
        found += [(now, fields) for _, fields in entries]
        after = entries[-1][0]
    print(json.dumps({_number(fields): now for now, fields in found}), flush=True)
    sys.stdin.read()


def _number(fields: dict[bytes, bytes]) -> int:
    bid = unpack_record(Tick, fields[b"d"]).bids[0][0] if b"d" in fields else float(fields[b"bid"])
    return round(bid * 100) - FIRST_BID


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
