"""The whole system on one machine: servers, simulator and services, in the order in which they need each other."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tickrouter import logs
from tickrouter.config import Config, key_variable
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect, database, ensure_indexes, initiate
from tickrouter.model.account import Account

from .effective import Addresses, Folders, write_effective
from .servers import START_TIMEOUT, Server, ServerError, mongo_server, redis_server
from .state import FolderLock, StackState, is_free
from .supervisor import Program, Supervisor

ENDING = (("collector", "router"), ("archiver",))
"""Which services end after which: the archiver copies the router's last events."""
SERVICES_GRACE = 2.8
REST_GRACE = 1.0
"""Seconds to end kindly: for the services together, then for the simulator and the servers. Below five in all."""
TRIES = 3
"""How often a server may die during the start before the stack gives up."""

_log = logs.get("stack")


@dataclass(frozen=True, slots=True)
class Market:
    """What the simulated venue plays: `generated`, `live`, or a recorded file, and how fast."""

    source: str = "generated"
    speed: float = 1.0


@dataclass(slots=True)
class Stack:
    """Everything that `tickrouter up` runs.

    Attributes:
        base: the user's configuration.
        folders: where to keep things.
        market: what the simulator plays.
        notices: what happened to the processes, newest last.
        said: takes each of these sentences at once.
    """

    base: Config
    folders: Folders
    market: Market
    said: Callable[[str], None]
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    supervisor: Supervisor = field(init=False)
    config: Config = field(init=False)
    _lock: FolderLock = field(init=False)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(StackState.load(self.folders.state), self._tell)
        self.config = self.base
        self._lock = self.folders.lock

    def start(self) -> None:
        """Start everything and return when the servers and the simulator answer.

        Raises:
            AlreadyRunning: another stack works in this data folder.
            ServerError: a server does not start here; the text says what to do.
        """
        self._lock.take()
        state = self.supervisor.state
        if leftovers := state.stop_leftovers():
            self._tell(f"stopped what an earlier run left behind: {', '.join(leftovers)}")
        servers = self._embedded(state)
        simulator = state.port("simulator")
        control = state.port("control")
        urls = {server.name: server.url for server in servers}
        self.config = write_effective(
            self.base,
            self.folders,
            Addresses(
                redis_url=urls.get("redis") or os.environ["REDIS_URL"],
                orders_redis_url=urls.get("orders") or os.environ["ORDERS_REDIS_URL"],
                mongo_url=urls.get("mongo") or os.environ["MONGO_URL"],
                simulator_port=simulator,
            ),
        )
        for server in servers:
            self.supervisor.start(Program(server.name, tuple(server.command), self.folders.logs / f"{server.name}.log"))
        self.supervisor.start(self._simulator(simulator, control))
        for name, port in [(server.name, server.port) for server in servers] + [("simulator", simulator)]:
            self._wait_for(name, port)
        self._prepare_mongo(embedded="mongo" in urls)
        for name, command in (("collector", "collect"), ("router", "route"), ("archiver", "archive")):
            self.supervisor.start(self._service(name, command))

    def restarts(self) -> dict[str, int]:
        """How often each process was started again; those that never were are left out."""
        return {name: child.restarts for name, child in self.supervisor.children.items() if child.restarts}

    def stop_services(self) -> None:
        """End the services; the servers still answer afterwards."""
        deadline = time.monotonic() + SERVICES_GRACE
        for names in ENDING:
            self.supervisor.stop(names, grace=deadline - time.monotonic())

    def stop(self) -> None:
        """End all that still runs."""
        self.stop_services()
        self.supervisor.stop(list(self.supervisor.children), grace=REST_GRACE)
        self.close()

    def close(self) -> None:
        """Leave nothing running, whatever became of the start. Harmless after `stop`."""
        self.supervisor.close()
        self._lock.release()

    def _embedded(self, state: StackState) -> list[Server]:
        """The servers that no variable of the environment replaces."""
        servers = []
        if not os.environ.get("REDIS_URL"):
            servers.append(redis_server(self.folders.data / "redis", port=state.port("redis"), name="redis"))
        if not os.environ.get("ORDERS_REDIS_URL"):
            folder = self.folders.data / "orders"
            servers.append(redis_server(folder, port=state.port("orders"), appendfsync="always", name="orders"))
        if not os.environ.get("MONGO_URL"):
            servers.append(mongo_server(self.folders.data / "mongo", port=state.port("mongo"), name="mongo"))
        return servers

    def _wait_for(self, name: str, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        child = self.supervisor.children[name]
        while is_free(port):
            self.supervisor.poll()
            if child.restarts >= TRIES or time.monotonic() > deadline:
                raise ServerError(f"{name} does not start; the end of {child.program.log}:\n{tail(child.program.log)}")
            time.sleep(0.02)

    def _prepare_mongo(self, *, embedded: bool) -> None:
        if embedded:
            initiate(self.config.mongo_url)
        with connect(self.config.mongo_url) as client:
            try:
                ensure_indexes(database(client, self.config.servers.mongo_database))
            except Exception as error:
                raise StorageError(f"MongoDB: {error}") from error

    def _simulator(self, port: int, control: int) -> Program:
        options = ["--port", str(port), "--control-port", str(control), "--market", self.market.source]
        options += ["--speed", str(self.market.speed), "--keys", str(self.folders.keys)]
        # The live market is the venue's own, whose address the effective configuration does not hold any more.
        options += ["--live-host", next((self.base.card(venue).hosts.socket for venue in self.base.venues), "")]
        return self._service("simulator", "simulate", *options)

    def _service(self, name: str, command: str, *options: str) -> Program:
        log = self.folders.logs / f"{name}.log"
        line = (sys.executable, "-m", "tickrouter", command, "--config", str(self.folders.config))
        return Program(name, (*line, "--log-file", str(log), *options), log, self._environment())

    def _environment(self) -> dict[str, str]:
        """Ours without the user's keys: the simulated accounts have their own."""
        environment = dict(os.environ)
        for account in self.base.accounts:
            for key in ("public_key", "private_key", "socket_public_key", "socket_private_key"):
                environment.pop(key_variable(Account.parse(account), key), None)
        return environment

    def _tell(self, sentence: str) -> None:
        _log.warning(sentence)
        self.notices.append(sentence)
        self.said(sentence)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
