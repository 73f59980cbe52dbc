"""Removing for good what is kept no longer, and saying so in the ledger before."""

from __future__ import annotations

from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.core.entry_ids import LAST_SESSION, EntryId
from tickrouter.errors import StorageError
from tickrouter.history.connection import Document
from tickrouter.history.coverage import CoverageWriter, claim_id
from tickrouter.history.documents import COLLECTIONS
from tickrouter.history.names import EXPIRED
from tickrouter.history.series import Series
from tickrouter.model.coverage import Claim

CAUSE: Final = "kept no longer"
_ABOVE_ALL: Final = LAST_SESSION + 1
"""The session of these claims: they hold over what any collector claims."""


def remove_before(db: Database[Document], series: Series, time: int) -> int:
    """Remove the records before a time (ns), whole chunks at a time; returns how many there were.

    A chunk that reaches beyond the time stays until all of it is older, and so do documents that are no older than its
    beginning. The ledger says that they are missing before the first one goes, up to behind the last one: an answer
    that lacks them never passes for a whole one.

    Raises:
        StorageError: MongoDB did not answer; may be repeated.
    """
    mine = {"contract": series.contract}
    documents = db[COLLECTIONS[series.kind]]
    whole = mine | {"kind": series.kind, "state": "live"}
    chunks = whole | {"settled": True, "end": {"$lt": time}}
    try:
        stays = db["chunks"].find_one(
            whole | {"end": {"$gte": time}, "start": {"$lt": time}}, {"start": 1}, sort=[("start", ASCENDING)]
        )
        end = time if stays is None else int(stays["start"])
        old = mine | {"time": {"$lt": end}}
        latest = db["chunks"].find_one(chunks, {"end": 1}, sort=[("end", DESCENDING)])
        if latest is None and documents.find_one(old, {"_id": 1}) is None:
            return 0
        last = max(_last(documents, old, "ms", "n"), _last(db["chunks"], chunks, "last_ms", "last_n"))
        # Chunks may overlap: what goes may reach into the one that stays.
        _tell(db, series, end if latest is None else max(end, int(latest["end"]) + 1), last)
        removed = documents.delete_many(old).deleted_count
        for found in db["chunks"].find(chunks, {"rows": 1}).sort("end", 1):
            removed += found["rows"] * db["chunks"].delete_one({"_id": found["_id"]}).deleted_count
    except PyMongoError as error:
        raise StorageError(f"MongoDB: retention: {error}") from error
    return removed


def _last(collection: Any, query: Document, ms: str, n: str) -> EntryId:
    """The highest entry among those that go, (0, 0) where none has one."""
    placed = query | {ms: {"$ne": None}}
    found = collection.find_one(placed, {ms: 1, n: 1}, sort=[(ms, DESCENDING), (n, DESCENDING)])
    return (0, 0) if found is None else (int(found[ms]), int(found[n]))


def _tell(db: Database[Document], series: Series, end: int, last: EntryId) -> None:
    claim = Claim(end, *series, _ABOVE_ALL, EXPIRED, "missing", 0, end, CAUSE, (0, 1), last)
    before = db["coverage"].find_one({"_id": claim_id(claim)})
    if before is not None:
        claim = Claim.from_dict(claim.to_dict() | {"last": max(last, tuple(before["last"]))})
    CoverageWriter(db).tell([claim])
