"""The simulated BTCTurk as a real process on free loopback ports, for tests.

    with start_simulator(tmp_path, market="none") as venue:
        venue.book("BTCUSDT", bids=[("100.00", "1")], asks=[("101.00", "2")])
        requests.get(venue.base + "/api/v2/orderbook?pairSymbol=BTCUSDT")

`market` is `none` unless given: the test sets the house's book and prints trades itself. Any field of
`services.simulator.settings.Settings` may be given.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from services.simulator.accounts import Keys
from services.simulator.settings import Settings, demo_account

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 20.0


@dataclass
class Simulation:
    """A running simulator and its control calls.

    Attributes:
        base: address of REST, without a slash at the end; charts are there too.
        socket: address of the WebSocket.
        control: address of the control calls.
        keys: of the (first) account.
        settings: what it was started with, ports filled in.
    """

    settings: Settings
    base: str
    socket: str
    control: str
    keys: Keys
    process: subprocess.Popen[str]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A control call; an error status raises AssertionError with its text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def fault(self, kind: str, endpoint: str = "*", count: int | None = 1, **options: Any) -> Any:
        """Make a fault, e.g. `fault("lose_reply", "POST /api/v1/order")`."""
        return self.call("POST", "/fault", {"kind": kind, "endpoint": endpoint, "count": count, **options})

    def faults(self) -> Any:
        """Faults that have not struck yet."""
        return self.call("GET", "/faults")

    def ledger(self, client_id: str = "") -> Any:
        """Orders, fills, balances, requests: the truth."""
        return self.call("GET", f"/ledger?client_id={urllib.parse.quote(client_id)}")

    def counts(self) -> Any:
        """Requests by endpoint, refusals by limit, sockets, frames, trades."""
        return self.call("GET", "/counts")

    def trades(self, pair: str) -> list[dict[str, Any]]:
        """Trades sent, oldest first: all of them with `record_frames=True`."""
        found: list[dict[str, Any]] = self.call("GET", f"/trades?pair={pair}")["trades"]
        return found

    def published_book(self, pair: str) -> Any:
        """The book as published: bids, asks, number of the next difference."""
        return self.call("GET", f"/book?pair={pair}")

    def skew(self, skew_ms: int) -> None:
        """Set the venue's clock wrong."""
        self.call("POST", "/clock", {"skew_ms": skew_ms})

    def deposit(self, currency: str, amount: str) -> None:
        """Give the account money."""
        self.call("POST", "/deposit", {"currency": currency, "amount": amount})

    def start_market(self) -> None:
        """Let a market go that was started with `hold_market=True`."""
        self.call("POST", "/market", {"running": True})

    def book(self, pair: str, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]]) -> None:
        """Replace the house's book."""
        self.call("POST", "/book", {"pair": pair, "bids": list(bids), "asks": list(asks)})

    def levels(self, pair: str, bids: Iterable[tuple[str, str]] = (), asks: Iterable[tuple[str, str]] = ()) -> None:
        """Set absolute amounts of house liquidity; 0 deletes."""
        self.call("POST", "/levels", {"pair": pair, "bids": list(bids), "asks": list(asks)})

    def trade(self, pair: str, price: str, amount: str, side: str) -> None:
        """Print a trade of the outside market; `side` is the taker's."""
        self.call("POST", "/trade", {"pair": pair, "price": price, "amount": amount, "side": side})

    def headers(self, stamp_ms: int | None = None) -> dict[str, str]:
        """Signed headers for a private request."""
        stamp = str(time.time_ns() // 1_000_000 if stamp_ms is None else stamp_ms)
        key = base64.b64decode(self.keys.private_key)
        digest = hmac.digest(key, (self.keys.public_key + stamp).encode(), "sha256")
        return {
            "X-PCK": self.keys.public_key,
            "X-Stamp": stamp,
            "X-Signature": base64.b64encode(digest).decode(),
            "Content-Type": "application/json",
        }

    def kill(self) -> None:
        """Kill -9."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it kindly, and return its exit status; 0 is right."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def restart(self) -> None:
        """Start it again on the same folder and ports, after `kill` or `stop`."""
        self.process, _ = _start(self.settings)


@contextmanager
def start_simulator(tmp_path: Path, **settings: Any) -> Iterator[Simulation]:
    """A simulator with one demo account, its data below `tmp_path`; stopped at the end."""
    settings.setdefault("market", "none")
    settings.setdefault("accounts", (demo_account(),))
    wanted = Settings(data=tmp_path / "simulator", **settings)
    process, ready = _start(wanted)
    wanted = replace(wanted, port=ready["port"], control_port=ready["control_port"])
    simulation = Simulation(
        wanted,
        f"http://127.0.0.1:{wanted.port}",
        f"ws://127.0.0.1:{wanted.port}",
        f"http://127.0.0.1:{wanted.control_port}",
        wanted.accounts[0].keys,
        process,
    )
    try:
        yield simulation
    finally:
        simulation.stop()


def _start(settings: Settings) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    settings.data.mkdir(parents=True, exist_ok=True)
    file = settings.data / "settings.json"
    file.write_text(settings.to_json(), encoding="utf-8")
    log = settings.data / "simulator.log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
    with log.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.simulator.main", str(file)],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            cwd=ROOT,
            env=environment,
        )
    line = _first_line(process)
    if not line:
        process.kill()
        process.wait()
        raise AssertionError(f"the simulator did not start:\n{log.read_text()}")
    return process, json.loads(line)


def _first_line(process: subprocess.Popen[str]) -> str:
    """The ready line, or "" if none came in time."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
    return process.stdout.readline() if readable else ""
