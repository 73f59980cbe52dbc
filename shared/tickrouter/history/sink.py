"""Writing market records to MongoDB: durable, in unordered batches, and harmless to repeat."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pymongo
from pymongo import DESCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from tickrouter.core.entry_ids import SESSION_BITS, EntryId, session_of
from tickrouter.errors import StorageError
from tickrouter.history.connection import Document, ensure_indexes
from tickrouter.history.documents import (
    COLLECTIONS,
    MarketRecord,
    from_document,
    replaces,
    same_content,
    to_document,
)
from tickrouter.model.book import Book
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

_DUPLICATE = 11000


class Row(NamedTuple):
    """One record on its way: kind, its entry id (None where it was read after the fact), the record."""

    kind: str
    id: EntryId | None
    record: MarketRecord


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch.

    Attributes:
        stored: rows that stand in their collections, those that stood there before included.
        repeated: those of them that stood there before.
        replaced: live trades that took the place of a backfilled copy.
        conflicts: rows whose key holds something else, which was kept.
        doubles: trades among the repeated ones that stand under another entry id.
    """

    stored: int
    repeated: int = 0
    replaced: int = 0
    conflicts: tuple[tuple[Row, str], ...] = ()
    doubles: tuple[Row, ...] = ()


class MarketWriter:
    """Writes the market records of any contracts."""

    def __init__(self, db: Database[Document], timeout: float = 5.0) -> None:
        """Set up; nothing is sent.

        Args:
            db: with durable writes, see `history.connection.database`.
            timeout: seconds after which a call counts as unanswered.
        """
        self._db = db
        self._timeout = timeout

    def prepare(self) -> None:
        """Make the indexes where they are missing.

        Raises:
            StorageError: MongoDB did not answer.
        """
        try:
            with pymongo.timeout(self._timeout):
                ensure_indexes(self._db)
        except PyMongoError as error:
            raise StorageError(f"MongoDB: indexes: {_short(error)}") from error

    def write(self, rows: Sequence[Row]) -> Written:
        """Write a batch.

        Raises:
            StorageError: MongoDB did not confirm all of it; writing the same batch again is harmless.
        """
        batches: dict[str, list[tuple[Row, Document]]] = defaultdict(list)
        for row in rows:
            ms, n = row.id or (None, None)
            batches[row.kind].append((row, to_document(row.record, ms, n)))
        repeated = replaced = 0
        conflicts: list[tuple[Row, str]] = []
        doubles: list[Row] = []
        try:
            with pymongo.timeout(self._timeout):
                for kind, batch in batches.items():
                    duplicates = self._insert(kind, [document for _, document in batch])
                    standing = self._standing(kind, [batch[index][1]["_id"] for index in duplicates])
                    for index in duplicates:
                        outcome = self._settle(kind, batch[index][1], standing)
                        if outcome == "conflict":
                            conflicts.append((batch[index][0], str(batch[index][1]["_id"])))
                        if outcome == "double":
                            doubles.append(batch[index][0])
                        repeated += outcome in ("repeated", "double")
                        replaced += outcome == "replaced"
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {_short(error)}") from error
        return Written(len(rows) - len(conflicts), repeated, replaced, tuple(conflicts), tuple(doubles))

    def _insert(self, kind: str, documents: list[Document]) -> list[int]:
        """Insert all; positions of those whose key is taken."""
        try:
            self._db[COLLECTIONS[kind]].insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failed: list[dict[str, Any]] = (error.details or {}).get("writeErrors", [])
            others = [entry for entry in failed if entry["code"] != _DUPLICATE]
            if others or not failed or (error.details or {}).get("writeConcernErrors"):
                raise
            return [entry["index"] for entry in failed]
        return []

    def _standing(self, kind: str, keys: list[str]) -> dict[str, Document]:
        """What stands under keys that are taken."""
        if not keys:
            return {}
        return {found["_id"]: found for found in self._db[COLLECTIONS[kind]].find({"_id": {"$in": keys}})}

    def _settle(self, kind: str, document: Document, standing: dict[str, Document]) -> str:
        found = standing.get(document["_id"])
        if found is None or not same_content(kind, document, found):
            return "conflict"
        if replaces(kind, document, found):
            query = {"_id": document["_id"], "source": "backfill"}
            self._db[COLLECTIONS[kind]].replace_one(query, document)
            standing[document["_id"]] = document
            return "replaced"
        if document["ms"] is not None and (document["ms"], document["n"]) != (found["ms"], found["n"]):
            return "double"
        return "repeated"

    def tell_through(self, through: Mapping[tuple[str, str], EntryId]) -> None:
        """Keep the ids up to which everything is stored, by (contract, kind): collection `through`.

        Raises:
            StorageError: MongoDB did not confirm.
        """
        if not through:
            return
        updates = [
            UpdateOne(
                {"_id": f"{contract}#{kind}"},
                {"$set": {"contract": contract, "kind": kind, "ms": ms, "n": n}},
                upsert=True,
            )
            for (contract, kind), (ms, n) in through.items()
        ]
        try:
            with pymongo.timeout(self._timeout):
                self._db.through.bulk_write(updates, ordered=False)
        except PyMongoError as error:
            raise StorageError(f"MongoDB: through: {_short(error)}") from error

    def through(self, contract: str, kinds: Sequence[str]) -> dict[str, EntryId]:
        """The ids up to which everything is stored, by kind; kinds never stored are left out.

        Raises:
            StorageError: MongoDB did not answer.
        """
        names = {f"{contract}#{kind}": kind for kind in kinds}
        try:
            with pymongo.timeout(self._timeout):
                found = list(self._db.through.find({"_id": {"$in": list(names)}}))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: through: {_short(error)}") from error
        return {names[entry["_id"]]: (int(entry["ms"]), int(entry["n"])) for entry in found}

    def open_session(self, contract: str, session: int, now: int) -> None:
        """Write down that a session began (collection `sessions`).

        Raises:
            StorageError: MongoDB did not confirm.
        """
        document = {"contract": contract, "session": session, "started": now, "pid": os.getpid()}
        try:
            with pymongo.timeout(self._timeout):
                self._db.sessions.update_one(
                    {"_id": f"{contract}#{session:07d}"},
                    {"$setOnInsert": document | {"host": socket.gethostname()}},
                    upsert=True,
                )
        except PyMongoError as error:
            raise StorageError(f"MongoDB: sessions: {_short(error)}") from error

    def highest(self, contract: str, kinds: Sequence[str]) -> tuple[int, int]:
        """The highest session and the highest ms that MongoDB knows of a contract, 0 where none.

        Raises:
            StorageError: MongoDB did not answer.
        """
        key_range = {"$gte": f"{contract}#", "$lt": f"{contract}$"}
        session, ms = 0, 0
        try:
            with pymongo.timeout(self._timeout):
                opened = self._db.sessions.find_one({"_id": key_range}, sort=[("_id", DESCENDING)])
                session = int(opened["session"]) if opened else 0
                for kind in kinds:
                    last = self._db[COLLECTIONS[kind]].find_one(
                        {"contract": contract, "ms": {"$ne": None}}, sort=[("ms", DESCENDING), ("n", DESCENDING)]
                    )
                    if last is not None:
                        session = max(session, session_of((last["ms"], last["n"])))
                        ms = max(ms, last["ms"])
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {_short(error)}") from error
        return session, ms


Stored = tuple[EntryId, Tick | Trade | Book]
"""A record that stands in a stream, with its entry id."""


def behind(
    db: Database[Document], kind: str, contract: str, after: EntryId, below: int, count: int, timeout: float = 1.0
) -> list[Stored]:
    """Documents of a stream behind an entry, in its order, of sessions below one, `count` at most.

    Raises:
        StorageError: MongoDB did not answer.
    """
    ms, n = after
    query = {
        "contract": contract,
        "ms": {"$gte": ms},
        "n": {"$lt": below << SESSION_BITS},
        "$or": [{"ms": {"$gt": ms}}, {"n": {"$gt": n}}],
    }
    rows: list[Stored] = []
    try:
        with pymongo.timeout(timeout):
            for found in db[COLLECTIONS[kind]].find(query).sort([("ms", 1), ("n", 1)]).limit(count):
                record = from_document(kind, found)
                if isinstance(record, Tick | Trade | Book):
                    rows.append(((int(found["ms"]), int(found["n"])), record))
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {COLLECTIONS[kind]}: {_short(error)}") from error
    return rows


def _short(error: PyMongoError) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
