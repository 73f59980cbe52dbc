"""What the live view and the summary show, read from Redis and MongoDB at one moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tickrouter.bus import inspect as bus_inspect
from tickrouter.bus.codec import unpack_record
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.inspect import AccountSize, StreamSize
from tickrouter.bus.keys import AccountKeys, MarketKeys
from tickrouter.bus.subscribe import last_entry, read_before
from tickrouter.clock import Clock, SystemClock
from tickrouter.config import Config
from tickrouter.errors import StorageError, Unreadable
from tickrouter.history import inspect as history_inspect
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.model.feed import Feed
from tickrouter.model.tick import Tick

TIMEOUT = 1.0
"""Seconds for which a server that is being started again may hold the view up."""
STATES = ("collector", "router", "archiver")
SEVERITY = ("live", "resync", "stale", "gap", "down")
_FEED_ENTRIES = 20


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """One contract.

    Attributes:
        rate: ticks in a second since the last look.
        feed: the worst state among its kinds, "" before the first.
        cause: of that state.
        streams: entries by kind.
    """

    name: str
    price: float | None
    bid: float | None
    ask: float | None
    rate: float
    feed: str
    cause: str
    streams: dict[str, int]


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account: what its keys hold, and how many fills were ever published."""

    name: str
    size: AccountSize
    fills: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. What could not be read is missing, and `errors` says why.

    Attributes:
        collections: documents by collection.
        states: what each service says of itself in `<data>/state/<service>.json`.
    """

    contracts: tuple[ContractFacts, ...] = ()
    accounts: tuple[AccountFacts, ...] = ()
    collections: dict[str, int] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        return sum(contract.rate for contract in self.contracts)

    @property
    def ticks(self) -> int:
        return sum(contract.streams.get("tick", 0) for contract in self.contracts)

    @property
    def fills(self) -> int:
        return sum(account.fills for account in self.accounts)


class Reader:
    """Reads snapshots. Not for two threads at once."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._market = connect_redis(config.redis_url, timeout=TIMEOUT)
        self._orders = connect_redis(config.orders_redis_url, timeout=TIMEOUT)
        self._mongo = connect_mongo(config.mongo_url, timeout=TIMEOUT)
        self._db = database(self._mongo, config.servers.mongo_database)
        self._before: dict[str, tuple[float, int]] = {}
        self._errors: list[str] = []

    def read(self) -> Snapshot:
        """Look once; takes up to a few seconds when a server is away."""
        self._errors = []
        contracts: list[ContractFacts] = []
        accounts: list[AccountFacts] = []
        collections: dict[str, int] = {}
        with self._noting("market"):
            contracts += [self._contract(name) for name in self._config.record.contracts]
        with self._noting("orders"):
            accounts += [self._account(name) for name in self._config.accounts]
        with self._noting("history"):
            collections |= history_inspect.collection_sizes(self._db)
        states = {name: read_state(self._config.data_folder, name) for name in STATES}
        return Snapshot(tuple(contracts), tuple(accounts), collections, states, tuple(self._errors))

    def close(self) -> None:
        """Give the connections back."""
        self._market.close()
        self._orders.close()
        self._mongo.close()

    def _contract(self, name: str) -> ContractFacts:
        keys = MarketKeys(name)
        sizes = bus_inspect.market_sizes(self._market, [name], self._config.record.kinds)
        streams = {kind: size.length for (_, kind), size in sizes.items()}
        tick = None
        if entry := last_entry(self._market, keys.stream("tick")):
            with self._noting(name):
                tick = unpack_record(Tick, entry.data)
        feed, cause = self._feed(keys)
        return ContractFacts(
            name=name,
            price=tick.price if tick else None,
            bid=tick.bid1 if tick else None,
            ask=tick.ask1 if tick else None,
            rate=self._rate(name, sizes.get((name, "tick"))),
            feed=feed,
            cause=cause,
            streams=streams,
        )

    def _feed(self, keys: MarketKeys) -> tuple[str, str]:
        latest: dict[str, Feed] = {}
        for entry in read_before(self._market, keys.stream("feed"), count=_FEED_ENTRIES):
            with self._noting(keys.contract):
                feed = unpack_record(Feed, entry.data)
                latest.setdefault(feed.kind, feed)
        if not latest:
            return "", ""
        worst = max(latest.values(), key=lambda feed: SEVERITY.index(feed.state))
        return worst.state, "" if worst.state == "live" else worst.cause

    def _rate(self, name: str, size: StreamSize | None) -> float:
        if size is None or size.added is None:
            return 0.0
        now = self._clock.monotonic()
        then, added = self._before.get(name, (now, size.added))
        self._before[name] = now, size.added
        return max(0.0, (size.added - added) / (now - then)) if now > then else 0.0

    def _account(self, name: str) -> AccountFacts:
        keys = AccountKeys(name)
        fills = bus_inspect.stream_size(self._orders, keys.fills)
        return AccountFacts(name, bus_inspect.account_size(self._orders, name), fills.added or 0)

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (StorageError, Unreadable) as error:
            self._errors.append(f"{what}: {error}")


class Watch:
    """Reads a snapshot every second on a thread of its own, so that a server that is away does not stop the view."""

    def __init__(self, reader: Reader, interval: float = 1.0) -> None:
        self.latest = Snapshot()
        self._reader = reader
        self._interval = interval
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join(timeout=TIMEOUT / 2)
        self._reader.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            self.latest = self._reader.read()
            self._ending.wait(self._interval)


def read_state(data: Path, service: str) -> dict[str, Any]:
    """What a service says of itself; empty before it has said anything."""
    try:
        state = json.loads((data / "state" / f"{service}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
