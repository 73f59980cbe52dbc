"""Looking at MongoDB without changing it: sizes, and whether the server is fit for its work."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.connection import Document

COLLECTIONS = ("ticks", "trades", "books", "bars", "orders", "fills", "events")


@dataclass(frozen=True, slots=True)
class MongoFacts:
    """What a MongoDB says of itself.

    Attributes:
        version: e.g. `7.0.14`.
        replica_set: its name, or None for a single server or a router of a sharded cluster.
        sharded: True if this is a router of a sharded cluster.
        writable: True if it takes writes now.
        members: hosts that the server names, one for a single server.
    """

    version: str
    replica_set: str | None
    sharded: bool
    writable: bool
    members: int

    @property
    def is_durable(self) -> bool:
        """True if `majority` means something: a replica set or a sharded cluster."""
        return self.replica_set is not None or self.sharded


def server_facts(client: MongoClient[Document]) -> MongoFacts:
    """Ask the server.

    Raises:
        StorageError: it does not answer, or refuses this user.
    """
    try:
        hello = client.admin.command("hello")
        version = client.server_info()["version"]
    except PyMongoError as error:
        raise StorageError(f"MongoDB does not answer: {_first_line(error)}") from error
    return MongoFacts(
        version=str(version),
        replica_set=hello.get("setName"),
        sharded=hello.get("msg") == "isdbgrid",
        writable=bool(hello.get("isWritablePrimary")),
        members=len(hello.get("hosts", ())) or 1,
    )


def collection_sizes(db: Database[Document]) -> dict[str, int]:
    """Documents by collection, from the collections' own counters.

    Raises:
        StorageError: MongoDB does not answer.
    """
    try:
        return {name: db[name].estimated_document_count() for name in COLLECTIONS}
    except PyMongoError as error:
        raise StorageError(f"MongoDB does not answer: {_first_line(error)}") from error


def entry_ids(
    db: Database[Document], collection: str, contract: str, first: tuple[int, int], last: tuple[int, int]
) -> list[tuple[int, int]]:
    """The `(ms, n)` of a contract's live documents from `first` to `last`, both included, in rising order.

    Raises:
        StorageError: MongoDB does not answer.
    """
    try:
        found = db[collection].find(
            {"contract": contract, "ms": {"$gte": first[0], "$lte": last[0]}}, {"_id": 0, "ms": 1, "n": 1}
        )
        ids = [(entry["ms"], entry["n"]) for entry in found if entry["n"] is not None]
    except PyMongoError as error:
        raise StorageError(f"MongoDB does not answer: {_first_line(error)}") from error
    return sorted(entry for entry in ids if first <= entry <= last)


def orders_by_status(db: Database[Document]) -> dict[str, int]:
    """How many orders have each status, by the outbox's copy.

    Raises:
        StorageError: MongoDB does not answer.
    """
    try:
        rows = list(db.orders.aggregate([{"$group": {"_id": "$status", "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}]))
    except PyMongoError as error:
        raise StorageError(f"MongoDB does not answer: {_first_line(error)}") from error
    return {str(row["_id"]): int(row["count"]) for row in rows}


def _first_line(error: Exception) -> str:
    return str(error).partition(", Timeout:")[0].partition("\n")[0][:200]
