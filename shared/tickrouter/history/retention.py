"""Removing for good what is kept no longer."""

from __future__ import annotations

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.connection import Document
from tickrouter.history.documents import COLLECTIONS
from tickrouter.history.series import Series


def remove_before(db: Database[Document], series: Series, time: int) -> int:
    """Remove the records before a time (ns), whole chunks at a time; returns how many there were.

    A chunk that reaches beyond the time stays until all of it is older.

    Raises:
        StorageError: MongoDB did not answer; may be repeated.
    """
    mine = {"contract": series.contract}
    try:
        removed = db[COLLECTIONS[series.kind]].delete_many(mine | {"time": {"$lt": time}}).deleted_count
        chunks = mine | {"kind": series.kind, "state": "live", "settled": True, "end": {"$lt": time}}
        for found in db["chunks"].find(chunks, {"rows": 1}).sort("end", 1):
            removed += found["rows"] * db["chunks"].delete_one({"_id": found["_id"]}).deleted_count
    except PyMongoError as error:
        raise StorageError(f"MongoDB: retention: {error}") from error
    return removed
