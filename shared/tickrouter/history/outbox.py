"""Copies of events, fills and orders: written so that a repeat changes nothing, read where Redis has trimmed.

Each event is a document of its fields, for queries, with the bytes as they stood in Redis (`d`), for reading back:
the same bytes under the same number are the same event, anything else is a conflict, which is kept apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from bson.decimal128 import Decimal128, create_decimal128_context
from pymongo import ASCENDING, DESCENDING, ReplaceOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from tickrouter.errors import StorageError
from tickrouter.history.connection import Document
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.fill import Fill
from tickrouter.model.moment import utc
from tickrouter.model.order import Order, Status

Numbered = Literal["events", "fills"]
Number = tuple[int, int]
"""(epoch, seq)."""

_DUPLICATE_KEY = 11000
_DECIMAL = create_decimal128_context()
_INT64 = 1 << 63


class Published(NamedTuple):
    """One entry of `events:{<account>}`: its number, its bytes, and what they say."""

    number: Number
    data: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another content under a number that is taken: never taken for success."""

    collection: str
    number: Number
    text: str


def store_events(db: Database[Document], account: Account, entries: list[Published], now: int) -> list[Conflict]:
    """Copy events, and the fills among them. Returns when a majority has all of them on disk.

    Args:
        db: where to.
        account: whose.
        entries: in any order; those stored already change nothing.
        now: written to conflicts, ns since 1970 UTC.

    Returns:
        What was there already with another content; kept in `conflicts`.

    Raises:
        StorageError: not all are stored, as far as known; the same call may be repeated.
    """
    events = [_event_document(account, entry) for entry in entries]
    fills = [_fill_document(account, entry, entry.event.fill) for entry in entries if entry.event.fill is not None]
    return [*_insert(db, "events", account, events, now), *_insert(db, "fills", account, fills, now)]


def keep_aside(
    db: Database[Document], account: Account, collection: str, number: Number, data: bytes, text: str, now: int
) -> Conflict:
    """Keep what cannot be stored where it belongs, with its bytes and why.

    Raises:
        StorageError: MongoDB did not confirm; may be repeated.
    """
    digest = hashlib.sha256(data).hexdigest()
    document = {
        "_id": f"{account}#{collection}#{number[0]}-{number[1]}#{digest[:16]}",
        "account": str(account),
        "collection": collection,
        "epoch": _stored(number[0]),
        "seq": _stored(number[1]),
        "at": utc(now),
        "text": text,
        "d": data,
    }
    try:
        db.conflicts.insert_one(document)
    except DuplicateKeyError:
        pass
    except PyMongoError as error:
        raise StorageError(f"MongoDB: conflicts: {error}") from error
    return Conflict(collection, number, text)


def store_orders(db: Database[Document], orders: list[tuple[int, Order]]) -> None:
    """Copy orders as last known; an older step never replaces a newer one.

    Args:
        db: where to.
        orders: each with the epoch in which it was read.

    Raises:
        StorageError: not all are stored, as far as known; the same call may be repeated.
    """
    if not orders:
        return
    writes = []
    for epoch, order in orders:
        document = order_document(order, epoch)
        older = [{"epoch": {"$lt": epoch}}, {"epoch": epoch, "step": {"$lte": order.step}}]
        writes.append(ReplaceOne({"_id": document["_id"], "$or": older}, document, upsert=True))
    try:
        db.orders.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        # A duplicate key means: the stored one is newer, so the filter missed it and the upsert met it.
        _only_duplicates("orders", error)
    except PyMongoError as error:
        raise StorageError(f"MongoDB: orders: {error}") from error


def entries_after(
    db: Database[Document], collection: Numbered, account: Account, after: Number, before: Number | None = None
) -> Iterator[tuple[Number, bytes]]:
    """Stored events or fills after a number and before another, in order, as the bytes that stood in Redis.

    Raises:
        StorageError: MongoDB did not answer.
    """
    query: Document = {"account": str(account), "$and": [_beyond("$gt", after)]}
    if before is not None:
        query["$and"].append(_beyond("$lt", before))
    try:
        for document in db[collection].find(query).sort([("epoch", ASCENDING), ("seq", ASCENDING)]):
            yield (document["epoch"], document["seq"]), document["d"]
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {collection}: {error}") from error


def final_event(db: Database[Document], account: Account, client_oid: str) -> bytes | None:
    """The bytes of the event that ended an order, or None.

    Raises:
        StorageError: MongoDB did not answer.
    """
    final = [str(status) for status in Status if status.is_final]
    query = {"type": {"$in": ["order", "settled"]}, "status": {"$in": final}, "fills_pending": {"$ne": True}}
    return _newest_of(db, account, client_oid, query)


def denial_event(db: Database[Document], account: Account, client_oid: str) -> bytes | None:
    """The bytes of the event that denied a command of this client id, or None.

    Raises:
        StorageError: MongoDB did not answer.
    """
    return _newest_of(db, account, client_oid, {"type": "command_denied"})


def events_of(db: Database[Document], account: Account, client_oid: str) -> list[tuple[Number, bytes]]:
    """Every stored event of an order, in order, as the bytes that stood in Redis.

    Raises:
        StorageError: MongoDB did not answer.
    """
    query = {"account": str(account), "client_oid": client_oid}
    try:
        found = db.events.find(query, {"epoch": 1, "seq": 1, "d": 1}).sort([("epoch", ASCENDING), ("seq", ASCENDING)])
        return [((document["epoch"], document["seq"]), document["d"]) for document in found]
    except PyMongoError as error:
        raise StorageError(f"MongoDB: events: {error}") from error


def _newest_of(db: Database[Document], account: Account, client_oid: str, query: Document) -> bytes | None:
    try:
        found = db.events.find_one(
            {"account": str(account), "client_oid": client_oid} | query,
            sort=[("epoch", DESCENDING), ("seq", DESCENDING)],
        )
    except PyMongoError as error:
        raise StorageError(f"MongoDB: events: {error}") from error
    return found["d"] if found else None


def order_document(order: Order, epoch: int) -> Document:
    """An order as a document: `_id` `<account>#<client_oid>`, its fields, money as Decimal128, `at` its creation."""
    document: Document = {"_id": f"{order.account}#{order.client_oid}", "epoch": epoch, "at": utc(order.created)}
    for name in order.__struct_fields__:
        document[name] = _stored(getattr(order, name))
    document["fills"] = [_fill_fields(fill) for fill in order.fills.values()]
    document["remaining"] = _stored(order.remaining)
    document["fills_pending"] = order.fills_pending
    return document


def _event_document(account: Account, entry: Published) -> Document:
    event, (epoch, seq) = entry.event, entry.number
    document: Document = {
        "_id": f"{account}#{epoch}-{seq}",
        "account": str(account),
        "epoch": epoch,
        "seq": seq,
        "time": event.time,
        "at": utc(event.time),
    }
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in document and name not in ("fill", "unknown") and value not in (None, {}):
            document[name] = _stored(value)
    if event.fill is not None:
        document["fill"] = _fill_fields(event.fill)
    return document | {"d": entry.data}


def _fill_document(account: Account, entry: Published, fill: Fill) -> Document:
    event, epoch = entry.event, entry.number[0]
    document: Document = {
        "_id": f"{account}#{epoch}-{fill.seq}",
        "account": str(account),
        "epoch": epoch,
        "seq": fill.seq,
        "event": entry.number[1],
        "at": utc(fill.time),
        "contract": event.contract,
        "client_oid": event.client_oid,
        "exchange_oid": event.exchange_oid,
        "command": event.command,
        "tags": _stored(event.tags),
    }
    return _fill_fields(fill) | document | {"d": entry.data}


def _fill_fields(fill: Fill) -> Document:
    return {name: _stored(getattr(fill, name)) for name in fill.__struct_fields__}


def _insert(
    db: Database[Document], name: Numbered, account: Account, documents: list[Document], now: int
) -> list[Conflict]:
    if not documents:
        return []
    try:
        db[name].insert_many(documents, ordered=False)
    except BulkWriteError as error:
        taken = _only_duplicates(name, error)
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {name}: {error}") from error
    else:
        return []
    given = [documents[index] for index in taken]
    stored = _stored_bytes(db, name, given)
    conflicts = []
    for document in given:
        key = document["_id"]
        if key not in stored:
            raise StorageError(f"MongoDB: {name}: {key} is not yet held by a majority")
        if stored[key] != document["d"]:
            number = (document["epoch"], document["seq"])
            text = "another content is stored under this number"
            conflicts.append(keep_aside(db, account, name, number, document["d"], text, now))
    return conflicts


def _stored_bytes(db: Database[Document], name: Numbered, documents: list[Document]) -> dict[str, bytes]:
    held = db[name].with_options(read_concern=ReadConcern("majority"))
    keys = [document["_id"] for document in documents]
    try:
        return {found["_id"]: found["d"] for found in held.find({"_id": {"$in": keys}}, {"d": 1})}
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {name}: {error}") from error


def _only_duplicates(name: str, error: BulkWriteError) -> list[int]:
    """Positions of the documents whose key is taken; any other failure is a StorageError."""
    details: Any = error.details
    failures = details.get("writeErrors", [])
    others = [failure for failure in failures if failure.get("code") != _DUPLICATE_KEY]
    others += details.get("writeConcernErrors", [])
    if others:
        raise StorageError(f"MongoDB: {name}: {others[0].get('errmsg', others[0])}") from error
    return [failure["index"] for failure in failures]


def _beyond(operator: str, number: Number) -> Document:
    epoch, seq = number
    return {"$or": [{"epoch": {operator: epoch}}, {"epoch": epoch, "seq": {operator: seq}}]}


def _stored(value: Any) -> Any:
    """A value as BSON can hold it: money as Decimal128, names as text, numbers beyond 64 bits as text."""
    if isinstance(value, Decimal):
        return Decimal128(_DECIMAL.create_decimal(value))
    if isinstance(value, dict):
        return {key.replace("\0", ""): _stored(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, float | bytes):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if hasattr(value, "to_wire"):
        return _stored(value.to_wire())
    return str(value)
