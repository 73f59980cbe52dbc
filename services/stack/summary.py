"""What a run came to: counted in Redis and MongoDB after its services have ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tickrouter.bus import inspect as bus_inspect
from tickrouter.bus.connection import Redis
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.keys import AccountKeys, MarketKeys
from tickrouter.config import Config
from tickrouter.history import inspect as history_inspect
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database

COLLECTIONS = {"tick": "ticks", "trade": "trades", "book": "books"}
TIMEOUT = 2.0


@dataclass(slots=True)
class KindSummary:
    """One kind of record in this run.

    Attributes:
        redis: entries compared, the newest of this run.
        mongo: documents that have the same ids.
        missing: ids in Redis without a document.
        extra: documents without an entry.
    """

    redis: int = 0
    mongo: int = 0
    missing: int = 0
    extra: int = 0

    @property
    def same(self) -> bool:
        return self.missing == self.extra == 0

    def add(self, redis: set[tuple[int, int]], mongo: set[tuple[int, int]]) -> None:
        """Count one contract."""
        self.redis += len(redis)
        self.mongo += len(redis & mongo)
        self.missing += len(redis - mongo)
        self.extra += len(mongo - redis)


@dataclass(slots=True)
class Summary:
    """A run.

    Attributes:
        seconds: how long it ran.
        records: by kind.
        documents: in MongoDB, of all runs, by collection.
        fills: published in this run.
        orders: in MongoDB, of all runs, by status.
        restarts: by process; those that were never started again are left out.
        errors: what could not be counted, and why.
    """

    seconds: float = 0.0
    records: dict[str, KindSummary] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    orders: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """True if every entry compared is in MongoDB too, and nothing else."""
        return not self.errors and all(kind.same for kind in self.records.values())

    def to_json(self) -> dict[str, Any]:
        """For `--summary FILE`."""
        fields = asdict(self)
        for kind, counted in self.records.items():
            fields["records"][kind]["same"] = counted.same
        return {"same": self.same, "ticks": self.records.get("tick", KindSummary()).redis, **fields}


def count_records(summary: Summary, config: Config, since_ms: int, newest: int) -> None:
    """Compare the newest entries of this run, at most so many a stream, with their documents.

    Raises:
        StorageError: a server does not answer.
    """
    with (
        connect_redis(config.redis_url, timeout=TIMEOUT) as redis,
        connect_mongo(config.mongo_url, timeout=TIMEOUT) as client,
    ):
        db = database(client, config.servers.mongo_database)
        for kind in config.record.kinds:
            counted = summary.records[kind] = KindSummary()
            for contract in config.record.contracts:
                key = MarketKeys(contract).stream(kind)
                ids = bus_inspect.entry_ids(redis, key, since_ms=since_ms, limit=newest)
                if ids:
                    collection = COLLECTIONS[kind]
                    found = history_inspect.entry_ids(db, collection, contract, ids[0], ids[-1])
                    counted.add(set(ids), set(found))
        summary.documents = history_inspect.collection_sizes(db)
        summary.orders = history_inspect.orders_by_status(db)


def fills_published(redis: Redis, config: Config) -> int:
    """Fills ever published, of all accounts.

    Raises:
        StorageError: Redis does not answer.
    """
    sizes = [bus_inspect.stream_size(redis, AccountKeys(account).fills) for account in config.accounts]
    return sum(size.added or 0 for size in sizes)
