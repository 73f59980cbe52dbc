"""A router as a real process at a simulated venue, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.simulation import ROOT, Simulation
from tests.waiting import until
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.order_store import read_order
from tickrouter.model.event import Event
from tickrouter.model.order import Order

CONTRACT = "btcturk/btc.usdt"


@dataclass
class Routing:
    """One account, its router, and what a strategy sees of both.

    Attributes:
        account: `btcturk/<unique name>`.
        folder: for configuration, key file, log and state.
        config: of the router.
        redis: a client of the orders Redis.
        processes: routers started, the last one last.
    """

    account: str
    folder: Path
    config: dict[str, Any]
    redis: Redis
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def keys(self) -> AccountKeys:
        return AccountKeys(self.account)

    @property
    def log(self) -> str:
        file = self.folder / "router.log"
        return file.read_text() if file.exists() else ""

    def start(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start a router, and wait until it routes."""
        file = self.folder / "tickrouter.yaml"
        file.write_text(yaml.safe_dump(self.config))
        before = self.log.count('"routing"')
        command = [sys.executable, "-m", "tickrouter", "route", "--config", str(file)]
        command += ["--log-file", str(self.folder / "router.log")]
        with (self.folder / "router.out").open("ab") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=self.environment)
        self.processes.append(process)
        if ready:
            until(lambda: self.log.count('"routing"') > before or process.poll() is not None, 20)
            assert process.poll() is None, (self.folder / "router.out").read_text() + self.log
        return process

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the last router a signal; -9 unless said."""
        process = self.processes[-1]
        os.kill(process.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            process.wait(10)

    def stop(self) -> None:
        """End all routers."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(8)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def send(self, **fields: Any) -> str:
        """Put a command onto the queue as any program would; returns its id."""
        command = {"id": uuid.uuid4().hex, "account": self.account} | fields
        self.redis.xadd(self.keys.orders, {"d": pack_map({k: v for k, v in command.items() if v is not None})})
        return str(command["id"])

    def place(self, side: str = "b", price: str | None = "100", amount: str | None = "1", **fields: Any) -> str:
        """Queue a limit order, unless `type` says otherwise; returns its client id."""
        client_oid = fields.pop("client_oid", uuid.uuid4().hex)
        defaults = {"contract": CONTRACT, "type": "limit", "side": side, "price": price, "amount": amount}
        self.send(**({"action": "place", "client_oid": client_oid} | defaults | fields))
        return str(client_oid)

    def order(self, client_oid: str) -> Order | None:
        """The order in the journal."""
        return read_order(self.redis, self.account, client_oid)

    def events(self) -> list[Event]:
        """All events, oldest first."""
        return [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in self.redis.xrange(self.keys.events)]

    def fills(self) -> list[Event]:
        """All fills, oldest first."""
        return [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in self.redis.xrange(self.keys.fills)]

    def wait(self, client_oid: str, *statuses: str, timeout: float = 10.0) -> Order:
        """The order, once it has one of the statuses and every fill."""

        def reached() -> Order | None:
            order = self.order(client_oid)
            return order if order is not None and order.status in statuses and not order.fills_pending else None

        try:
            return until(reached, timeout)
        except AssertionError:
            raise AssertionError(f"{self.order(client_oid)} is none of {statuses}\n{self.log[-3000:]}") from None

    def wait_event(self, command: str, timeout: float = 10.0) -> Event:
        """The outcome of a command that is no place, or a denial."""
        kinds = ("command_done", "command_denied", "cancel_rejected", "amend_rejected")

        def found() -> Event | None:
            return next((event for event in self.events() if event.command == command and event.type in kinds), None)

        return until(found, timeout)


@contextmanager
def routing(
    venue: Simulation,
    folder: Path,
    name: str,
    *,
    redis_url: str,
    mongo_url: str,
    socket_key: bool = True,
    longest_window: float | None = None,
    **config: Any,
) -> Iterator[Routing]:
    """A configuration and a router's ways; `start` starts it. Everything ends with the block.

    Args:
        venue: the simulator.
        folder: for its files.
        name: of the account, new for each test.
        redis_url: of the orders Redis, which here holds the ticks as well.
        mongo_url: of MongoDB.
        socket_key: False leaves the account without a key for the private socket.
        longest_window: seconds that no window of the card's limits exceeds, where a test waits for one.
        config: entries of the configuration, merged over the defaults here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    account = f"btcturk/{name}"
    card = yaml.safe_load((ROOT / "configs/venues/btcturk.yaml").read_text())
    card["capabilities"] |= config.pop("capabilities", {})
    for rule in card["limits"]:
        rule["interval"] = min(rule["interval"], longest_window or rule["interval"])
    (folder / "btcturk.yaml").write_text(yaml.safe_dump(card))
    keys = {"public_key": venue.keys.public_key, "private_key": venue.keys.private_key}
    if socket_key:
        keys |= {
            "socket_public_key": venue.keys.socket_public_key,
            "socket_private_key": venue.keys.socket_private_key,
        }
    key_file = folder / "keys.yaml"
    key_file.touch(mode=0o600)
    key_file.write_text(yaml.safe_dump({account: keys}))
    hosts = {"public": venue.base, "private": venue.base, "graph": venue.base, "socket": venue.socket}
    settings: dict[str, Any] = {
        "data": str(folder / "data"),
        "servers": {"redis_url": redis_url, "mongo_url": mongo_url, "mongo_database": name},
        "venues": {"btcturk": {"card": str(folder / "btcturk.yaml"), "hosts": hosts}},
        "accounts": {account: {"mode": "paper", "risk": {"contracts": [CONTRACT, "btcturk/eth.usdt"]}}},
        "router": {"lease_ms": 600, "request_timeout": 2.0, "poll_interval": 1.0, "egress": name},
        "key_file": str(key_file),
    }
    for part, fields in config.items():
        settings[part] = settings.get(part, {}) | fields
    environment = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "ORDERS_REDIS_URL", "MONGO_URL")}
    environment["PYTHONPATH"] = f"{ROOT / 'shared'}{os.pathsep}{ROOT}"
    client = connect(redis_url)
    routed = Routing(account, folder, settings, client, environment)
    try:
        yield routed
    finally:
        routed.stop()
        client.close()


def now_ms() -> int:
    """Wall clock."""
    return time.time_ns() // 1_000_000
