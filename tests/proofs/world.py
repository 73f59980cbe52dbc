"""The servers of the proofs: Valkey, mongod and the simulated venue for many runs side by side, and the nursery."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError

from services.simulator.accounts import Keys
from services.simulator.settings import demo_account, demo_keys
from services.stack.servers import Server, mongo_server, redis_server
from tests.proofs.faulty import TOLERANCE
from tests.proofs.nursery import Nursery
from tests.proofs.proxy import Address
from tests.simulation import Simulation, start_simulator
from tickrouter.history.connection import initiate

ROOMS = 48
"""Databases of a Redis server: one for each run that goes on, and some that are being emptied."""
BIDS = [["99.00", "100000"], ["98.00", "100000"]]
ASKS = [["101.00", "1"], ["102.00", "100000"]]


class Control:
    """Control calls of the simulator, over one connection that is kept."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One call.

        Raises:
            AssertionError: the simulator refused it.
        """
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: simulator\r\nContent-Length: {len(data)}\r\n\r\n"
        async with self._lock:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._address.host, self._address.port, limit=1 << 24)
            reader, writer = self._streams
            writer.write(head.encode() + data)
            try:
                answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
                content = await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError):
                self.close()
                raise
        assert answer.startswith("http/1.1 200"), f"{method} {path}: {content!r}"
        return json.loads(content)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def patient(url: str) -> AsyncRedis:
    """A client that asks again while its server is down: a command queued twice by that has one id."""
    patience = Retry(ConstantBackoff(0.1), 100)
    client: AsyncRedis = AsyncRedis.from_url(
        url, retry=patience, retry_on_error=[RedisConnectionError, BusyLoadingError]
    )
    return client


class OwnRedis:
    """A server for one run, whose append-only file can be taken back to an earlier moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copy = folder.with_name(f"{folder.name}-copy")
        self.server = redis_server(folder, appendfsync="always")
        self.client = patient(self.server.url)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.server.port)

    @property
    def _files(self) -> Path:
        return self._folder / "appendonlydir"

    def snapshot(self) -> None:
        """Keep what is on disk now."""
        if not self._copy.exists():
            shutil.copytree(self._files, self._copy)

    async def forget(self) -> None:
        """Kill the server and start it again with what `snapshot` kept, or with nothing."""
        self.server.kill()
        shutil.rmtree(self._files)
        if self._copy.exists():
            shutil.copytree(self._copy, self._files)
        await asyncio.to_thread(self.server.start)

    async def close(self) -> None:
        """Stop the server and remove its files."""
        await self.client.aclose()
        await asyncio.to_thread(self.server.stop)
        for folder in (self._folder, self._copy):
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class World:
    """What all runs share.

    Attributes:
        folder: for logs and data.
        redis: a client of the orders Redis.
        venue: the simulator.
        copies: a client of MongoDB.
        rooms: numbers of Redis databases that no run uses: what one run makes all routers of a server respect, a
            cooldown, is to leave the others alone.
    """

    folder: Path
    redis_server: Server
    mongo: Server
    venue: Simulation
    redis: AsyncRedis
    nursery: Nursery
    control: Control
    copies: MongoClient[dict[str, Any]]
    rooms: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    _names: count[int] = field(default_factory=count)
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    def name(self) -> str:
        """A name for an account that no other run has."""
        return f"p{self._mark}{next(self._names)}"

    @property
    def redis_address(self) -> Address:
        return Address("127.0.0.1", self.redis_server.port)

    @property
    def mongo_address(self) -> Address:
        return Address("127.0.0.1", self.mongo.port)

    @property
    def venue_address(self) -> Address:
        return Address("127.0.0.1", self.venue.settings.port)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[tuple[int, AsyncRedis]]:
        """A database for one run, empty afterwards."""
        number = await self.rooms.get()
        client: AsyncRedis = AsyncRedis.from_url(self.redis_server.url.replace("/0", f"/{number}"))
        try:
            yield number, client
        finally:
            await client.flushdb()
            await client.aclose()
            self.rooms.put_nowait(number)

    def patient(self) -> AsyncRedis:
        """A client of the orders Redis that outlives its restarts."""
        return patient(self.redis_server.url)

    async def furnish(self) -> None:
        """Give the house its book, and the pair a last price."""
        await self.control.call("POST", "/book", {"pair": "BTCUSDT", "bids": BIDS, "asks": ASKS})
        trade = {"pair": "BTCUSDT", "price": "100.00", "amount": "0.1", "side": "buy"}
        await self.control.call("POST", "/trade", trade)

    async def open_account(self) -> Keys:
        """A new account at the venue, with money."""
        keys = demo_keys()
        body = {name: getattr(keys, name) for name in keys.__slots__ if name != "scopes"}
        await self.control.call("POST", "/account", body)
        return keys


@asynccontextmanager
async def world(folder: Path | None = None, *, redis_sync: str = "everysec", **settings: Any) -> AsyncIterator[World]:
    """Start everything; it ends with the block. `settings` are the simulator's."""
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickrouter-proofs-")))
        folder.mkdir(parents=True, exist_ok=True)
        redis = redis_server(folder / "redis", appendfsync=redis_sync)
        redis.command += ["--databases", str(ROOMS)]
        mongo = mongo_server(folder / "mongo")
        for server in (redis, mongo):
            await asyncio.to_thread(server.start)
            stack.callback(server.stop)
        await asyncio.to_thread(initiate, mongo.url)
        wanted: dict[str, Any] = {
            "limits": False,
            "stamp_tolerance_ms": int(TOLERANCE * 1000),
            "accounts": (demo_account(),),
            "cancel_latency_ms": 5.0,
        }
        venue = stack.enter_context(start_simulator(folder, **(wanted | settings)))
        control = Control(Address("127.0.0.1", int(urlsplit(venue.control).port or 0)))
        copies: MongoClient[dict[str, Any]] = MongoClient(mongo.url)
        stack.callback(copies.close)
        nursery = Nursery()
        await nursery.open()
        client: AsyncRedis = AsyncRedis.from_url(redis.url)
        made = World(folder, redis, mongo, venue, client, nursery, control, copies)
        for number in range(1, ROOMS):
            made.rooms.put_nowait(number)
        await made.furnish()
        try:
            yield made
        finally:
            control.close()
            await nursery.close()
            await client.aclose()
