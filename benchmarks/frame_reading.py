"""The collector's socket against websocket-client's `WebSocketApp(skip_utf8_validation=True)`: reading alone.

Each runs in a process of its own, reads the same bytes from a local socket and counts messages; none is decoded.
Compared are messages a second of the reading process's CPU.

    python -m benchmarks.frame_reading ours|app URL COUNT
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import websocket

from benchmarks.feeder import Feeder, packed
from benchmarks.frames import Kind, frame, walk
from benchmarks.processes import process
from benchmarks.report import Figure, ratios
from tickrouter.transport.socket import Socket

COUNTS: dict[Kind, tuple[int, int]] = {"ticker": (400_000, 100_000), "whole": (100_000, 30_000)}
"""Messages a run, ours and theirs."""
BOUNDS: dict[Kind, tuple[float, float]] = {"ticker": (9.0, 5.0), "whole": (5.0, 3.0)}
"""Target and floor."""
SENT = 10_000
"""Different messages; they are sent again and again."""
TIMEOUT = 20.0


def measure(folder: Path, rounds: int) -> Iterator[Figure]:
    """Small frames and large ones."""
    with Feeder() as feeder:
        for kind, counts in COUNTS.items():
            bytes_of = packed([frame("btcturk", kind, message) for message in walk(kind, SENT)])
            rates: dict[str, list[float]] = {"ours": [], "app": []}
            for number in range(rounds):
                for name in rates if number % 2 else reversed(rates):
                    count = counts[name == "app"]
                    rates[name].append(_run(feeder, folder, name, bytes_of * (count // SENT), count))
            ours = Figure(f"frames.{kind}.tickrouter", "1/s", "higher", tuple(rates["ours"]))
            app = Figure(f"frames.{kind}.websocket_app", "1/s", "higher", tuple(rates["app"]))
            yield from (ours, app)
            yield ratios(f"frames.{kind}.against_websocket_app", ours, app, "higher", *BOUNDS[kind])


def _run(feeder: Feeder, folder: Path, name: str, sent: bytes, count: int) -> float:
    """Messages a second of CPU."""
    command = [sys.executable, "-m", "benchmarks.frame_reading", name, feeder.url, str(count)]
    with process(command, folder / f"{name}.log") as running:
        feeder.accept()
        running.ready()
        feeder.send(sent)
        used = running.number()
        feeder.hang_up()
    return count / used


def main(name: str, url: str, count: int) -> None:
    """Read so many messages, and say how many CPU seconds that took."""
    used = {"ours": _ours, "app": _app}[name](url, count)
    print(used, flush=True)
    sys.stdin.read()


def _ours(url: str, count: int) -> float:
    with Socket.connect(url, TIMEOUT) as socket:
        print("ready", flush=True)
        began, seen = 0.0, 0
        while seen < count:
            seen += len(socket.recv_all(TIMEOUT))
            began = began or time.process_time()
        return time.process_time() - began


def _app(url: str, count: int) -> float:
    began, ended, seen = 0.0, 0.0, 0

    def on_message(app: websocket.WebSocketApp, _message: object) -> None:
        nonlocal began, ended, seen
        seen += 1
        began = began or time.process_time()
        if seen == count:
            ended = time.process_time()
            app.close()

    app = websocket.WebSocketApp(url, on_open=lambda _: print("ready", flush=True), on_message=on_message)
    app.run_forever(skip_utf8_validation=True)
    return ended - began


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
