"""A collector as a real process at a simulated venue, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from services.stack.servers import Server
from tests.simulation import ROOT
from tests.waiting import until
from tickrouter.bus.codec import pack_record, unpack_record
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.subscribe import Entry, read_after
from tickrouter.history.audit import Audit, audit
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.coverage import coverage
from tickrouter.history.documents import COLLECTIONS, from_document
from tickrouter.model.coverage import Interval
from tickrouter.model.feed import Feed

KINDS = ("tick", "trade", "book")
PACE = 500
"""Records that wait at any moment in a collector that keeps pace, and that it stores within its last second."""
_RUN = """
import sys
from pathlib import Path
from services.collector.main import run
from tickrouter.config import load_config
from tickrouter.logs import configure
folder = Path(sys.argv[1])
configure("collector", level="debug", file=folder / "collector.log")
sys.exit(run(load_config(folder / "tickrouter.yaml")))
"""


@dataclass
class Collecting:
    """Where a collector records to, and what stands there."""

    folder: Path
    redis_server: Server
    mongo_url: str
    database: str
    contracts: list[str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        file = self.folder / "collector.log"
        return file.read_text() if file.exists() else ""

    def start(self) -> subprocess.Popen[bytes]:
        """Start a collector; it may not record yet."""
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
        for name in ("REDIS_URL", "MONGO_URL"):
            environment.pop(name, None)
        process = subprocess.Popen([sys.executable, "-c", _RUN, str(self.folder)], cwd=ROOT, env=environment)
        self.processes.append(process)
        return process

    def stop(self) -> int:
        """End the last one kindly, once it has nothing left that waits for a server; its exit status."""
        self.wait_drained()
        return self.end()

    def wait_drained(self) -> None:
        """Wait until both sinks keep pace again: all that was received by now is stored."""
        now = time.time_ns()
        try:
            until(lambda: not self._behind(now), 40)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._behind(now)}, {self.state()}") from error

    def _behind(self, moment: int) -> list[str]:
        """Claims that do not reach up to a moment yet, and records that wait."""
        told = {(kind, name): self.coverage(kind, name)[-1:] for name in self.contracts for kind in KINDS}
        found = [
            f"{kind} of {name}: {last}" for (kind, name), last in told.items() if not last or last[0].end <= moment
        ]
        waiting = self._waiting()
        return found + [f"{waiting} records wait"] * (waiting >= PACE)

    def _waiting(self) -> int:
        accounts = [account for kinds in self.state()["sinks"].values() for account in kinds.values()]
        return sum(account["queued"] + account["spilled"] for account in accounts)

    def end(self) -> int:
        """End the last one kindly; its exit status."""
        process = self.processes[-1]
        process.send_signal(signal.SIGTERM)
        return process.wait(10)

    def kill(self) -> None:
        """Kill -9 the last one."""
        process = self.processes[-1]
        process.kill()
        process.wait()

    def state(self) -> dict[str, Any]:
        """The state file; empty before it is written."""
        file = self.folder / "data/state/collector.json"
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def entries(self, kind: str, contract: str) -> list[Entry]:
        """All entries of a stream; none while Redis is away."""
        redis = connect(self.redis_server.url)
        try:
            return read_after(redis, MarketKeys(contract).stream(kind), (0, 0), count=1_000_000)
        finally:
            redis.close()

    def feed(self, contract: str) -> list[Feed]:
        """The feed stream."""
        return [unpack_record(Feed, entry.data) for entry in self.entries("feed", contract)]

    def through(self, contract: str) -> dict[str, str]:
        """The `through` hash."""
        redis = connect(self.redis_server.url)
        try:
            found: Any = redis.hgetall(MarketKeys(contract).through)
            return {name.decode(): value.decode() for name, value in found.items()}
        finally:
            redis.close()

    def documents(self, kind: str, contract: str) -> list[dict[str, Any]]:
        """All documents of a kind, in the order of their entries; backfilled ones first."""
        client = connect_mongo(self.mongo_url)
        try:
            found = client[self.database][COLLECTIONS[kind]].find({"contract": contract})
            return sorted(found, key=lambda entry: (entry["ms"] or 0, entry["n"] or 0))
        finally:
            client.close()

    def coverage(self, kind: str, contract: str, start: int = 0, end: int | None = None) -> list[Interval]:
        """What the ledger says."""
        with closing(connect_mongo(self.mongo_url)) as client:
            return coverage(client[self.database], contract, kind, start, end)

    def audit(self) -> list[Audit]:
        """Documents against the ledger, of all time."""
        with closing(connect_mongo(self.mongo_url)) as client:
            return [
                audit(client[self.database], contract, kind, 0, 2**62) for contract in self.contracts for kind in KINDS
            ]

    def stored(self, kind: str, contract: str) -> list[Entry]:
        """What MongoDB has of a stream, as the entries that Redis should hold."""
        return [
            Entry((entry["ms"], entry["n"]), pack_record(from_document(kind, entry)))
            for entry in self.documents(kind, contract)
            if entry["ms"] is not None
        ]

    def live(self, contract: str) -> bool:
        """True once ticks, trades and a good book are recorded."""
        return all(self.entries(kind, contract) for kind in ("tick", "trade")) and any(
            (feed.kind, feed.state) == ("book", "live") for feed in self.feed(contract)
        )

    def wait_live(self) -> None:
        """Wait until every contract is, and the ledger in MongoDB says so of every kind."""
        until(lambda: all(self.live(contract) for contract in self.contracts), 20)

        def is_told() -> bool:
            return all(
                "live" in {one.state for one in self.coverage(kind, contract)}
                for contract in self.contracts
                for kind in KINDS
            )

        until(is_told, 20)


@contextmanager
def collecting(
    folder: Path,
    redis_server: Server,
    mongo_url: str,
    database: str,
    socket: str,
    contracts: list[str],
    *,
    public: str = "http://127.0.0.1:1",
    recorder: dict[str, Any] | None = None,
    **record: Any,
) -> Iterator[Collecting]:
    """A configuration for a collector; every process that was started is ended.

    `public` is the address of the venue's REST; without it there is none, and nothing is read after the fact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hosts = {"socket": socket, "public": public, "private": public, "graph": public}
    config = {
        "data": "data",
        "servers": {"redis_url": redis_server.url, "mongo_url": mongo_url, "mongo_database": database},
        "venues": {"btcturk": {"card": str(ROOT / "configs/venues/btcturk.yaml"), "hosts": hosts}},
        "recorder": recorder or {},
        "record": {"contracts": contracts, **record},
        "streams": {"tick": 1_000_000, "trade": 1_000_000, "book": 1_000_000, "feed": 1_000_000},
    }
    (folder / "tickrouter.yaml").write_text(yaml.safe_dump(config))
    room = Collecting(folder, redis_server, mongo_url, database, contracts)
    try:
        yield room
    finally:
        for process in room.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        client = connect_mongo(mongo_url)
        client.drop_database(database)
        client.close()
