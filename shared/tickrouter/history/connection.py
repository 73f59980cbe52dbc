"""Connections to MongoDB, and the state that its collections must be in."""

from __future__ import annotations

import time
from typing import Any

from pymongo import ASCENDING, MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from tickrouter.errors import StorageError

Document = dict[str, Any]

MARKET_COLLECTIONS = ("ticks", "trades", "books", "bars")
DURABLE = WriteConcern(w="majority", j=True)
_NOT_YET_INITIALIZED = 94
_ALREADY_INITIALIZED = 23


def connect(url: str, *, timeout: float = 5.0) -> MongoClient[Document]:
    """A client whose calls fail with a clear error instead of waiting for ever.

    Args:
        url: of the server or servers. Options that it names are kept as they stand there.
        timeout: seconds to wait for a server that can be asked, unless `url` says how long.
    """
    options = {"serverSelectionTimeoutMS": int(timeout * 1000), "connectTimeoutMS": int(timeout * 1000)}
    named = {name.partition("=")[0].lower() for name in url.partition("?")[2].split("&")}
    ours: dict[str, Any] = {name: value for name, value in options.items() if name.lower() not in named}
    return MongoClient(url, appname="tickrouter", tz_aware=True, **ours)


def initiate(url: str, *, timeout: float = 30.0) -> None:
    """Make a fresh mongod the only member of its replica set, and wait until it takes writes. Idempotent.

    One that was the only member at another address (its port was taken in the meantime) is moved to this one.

    Raises:
        StorageError: it did not become primary in time.
    """
    client = connect(url)
    deadline = time.monotonic() + timeout
    try:
        host = url.removeprefix("mongodb://").partition("/")[0]
        while True:
            try:
                client.admin.command("replSetInitiate", {"_id": "tickrouter", "members": [{"_id": 0, "host": host}]})
            except OperationFailure as error:
                if error.code != _ALREADY_INITIALIZED and time.monotonic() > deadline:
                    raise
                if error.code == _ALREADY_INITIALIZED:
                    _move(client, host)
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return
            except PyMongoError:
                pass
            if time.monotonic() > deadline:
                raise StorageError(f"MongoDB at {host} did not become primary within {timeout:.0f} s")
            time.sleep(0.05)
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {error}") from error
    finally:
        client.close()


def _move(client: MongoClient[Document], host: str) -> None:
    try:
        known = client.admin.command("replSetGetConfig")["config"]
        if len(known["members"]) == 1 and known["members"][0]["host"] != host:
            known["members"][0]["host"] = host
            known["version"] += 1
            client.admin.command({"replSetReconfig": known, "force": True})
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise


def database(client: MongoClient[Document], name: str) -> Database[Document]:
    """The database, its collections with durable writes."""
    return client.get_database(name, write_concern=DURABLE)


SAID_OF_A_CHUNK = (
    *("_id", "start", "end", "first_ms", "first_n", "last_ms", "last_n"),
    *("rows", "backfilled", "digest", "has_depth", "replaces"),
)
"""Fields of `chunks` that tell of a chunk without its payloads."""


def ensure_indexes(db: Database[Document]) -> None:
    """Create the indexes of design section 7 where they are missing.

    Raises:
        StorageError: MongoDB did not answer; may be repeated.
    """
    try:
        for name in MARKET_COLLECTIONS:
            collection: Collection[Document] = db[name]
            collection.create_index([("contract", ASCENDING), ("time", ASCENDING)])
            collection.create_index([("contract", ASCENDING), ("ms", ASCENDING), ("n", ASCENDING)])
        db.bars.create_index([("contract", ASCENDING), ("period", ASCENDING), ("time", ASCENDING)])
        _ensure_chunk_indexes(db.chunks)
        for name in ("events", "fills"):
            db[name].create_index([("account", ASCENDING), ("epoch", ASCENDING), ("seq", ASCENDING)], unique=True)
            db[name].create_index([("account", ASCENDING), ("client_oid", ASCENDING)])
        # Operators' words are few among events, and each router asks for the last ones when it starts.
        said = {"type": {"$in": ["halt", "risk"]}}
        by_number = [("account", ASCENDING), ("type", ASCENDING), ("epoch", ASCENDING), ("seq", ASCENDING)]
        db.events.create_index(by_number, name="said", partialFilterExpression=said)
        db.orders.create_index([("account", ASCENDING), ("created", ASCENDING)])
    except PyMongoError as error:
        raise StorageError(f"MongoDB: making the indexes: {error}") from error


def _ensure_chunk_indexes(chunks: Collection[Document]) -> None:
    """By time, by place in the stream, by natural key; the longest one, and those that are not settled."""
    mine = [("contract", ASCENDING), ("kind", ASCENDING), ("state", ASCENDING)]
    for names in (("end",), ("span",), ("last_ms", "last_n", "first_ms"), ("low", "high")):
        chunks.create_index([*mine, *((name, ASCENDING) for name in names)])
    # With all that a chunk says of itself: to list some, their payloads need not be touched.
    said = (name for name in SAID_OF_A_CHUNK if name not in ("start", "end"))
    by_time = [("start", ASCENDING), ("end", ASCENDING), *((name, ASCENDING) for name in said)]
    chunks.create_index([*mine, *by_time], name="by_time")
    chunks.create_index(
        [("contract", ASCENDING), ("kind", ASCENDING)],
        name="unsettled",
        partialFilterExpression={"settled": False},
    )
