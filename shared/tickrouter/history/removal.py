"""Removing documents whose records are archived: by their `_id`, never by a range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pymongo.collection import Collection
from pymongo.database import Database

from tickrouter.history.columns import Columns, EntryId
from tickrouter.history.connection import Document
from tickrouter.history.documents import COLLECTIONS, entry_key, from_document, same_content

T = TypeVar("T")

AT_ONCE = 2_000
"""Documents removed by one call."""


def document_names(columns: Columns) -> list[str]:
    """`_id` of each row's document."""
    contract = columns.contract
    if columns.kind == "trade":
        return [f"{contract}#t{number}" for number in columns["trade_id"].values.tolist()]
    if columns.kind == "bar":
        starts = zip(columns["period"].values.tolist(), columns["time"].values.tolist(), strict=True)
        return [f"{contract}#{period}#{start}" for period, start in starts]
    return [entry_key(contract, *entry) for entry in columns.ids() if entry is not None]


def remove_packed(documents: Collection[Document], columns: Columns) -> int:
    """Remove the documents whose records these rows hold, and no others; returns how many there were.

    A document without an entry id may have been written anew since it was packed: only what still says the same goes.

    Raises:
        PyMongoError: MongoDB did not confirm; may be repeated.
    """
    names, entries = document_names(columns), columns.ids()
    placed = [name for name, entry in zip(names, entries, strict=True) if entry is not None]
    removed = sum(documents.delete_many({"_id": {"$in": part}}).deleted_count for part in _parts(placed))
    rows = [row for row, entry in enumerate(entries) if entry is None]
    archived = dict(zip((names[row] for row in rows), columns.take(rows).records(), strict=True)) if rows else {}
    for part in _parts(list(archived)):
        found = documents.find({"_id": {"$in": part}, "n": None})
        same = [one["_id"] for one in found if from_document(columns.kind, one) == archived[one["_id"]]]
        removed += documents.delete_many({"_id": {"$in": same}, "n": None}).deleted_count
    return removed


def remove_known(db: Database[Document], fresh: Columns, archived: Columns) -> int:
    """Remove documents whose records stand, row by row, in a live chunk already; returns how many there were.

    One that says something else than the archive goes to `conflicts`, where a person finds it.

    Raises:
        PyMongoError: MongoDB did not confirm; may be repeated.
    """
    collection = COLLECTIONS[fresh.kind]
    names, removed = document_names(fresh), 0
    for name, new, old in zip(names, _documents(fresh), _documents(archived), strict=True):
        if not same_content(fresh.kind, new, old):
            db["conflicts"].update_one(
                {"_id": f"{collection}#{name}"},
                {"$setOnInsert": {"collection": collection, "text": "archived with another content", "document": new}},
                upsert=True,
            )
        removed += db[collection].delete_one({"_id": name, "n": new["n"]}).deleted_count
    return removed


def _documents(columns: Columns) -> Iterator[Document]:
    records: list[Any] = columns.records()
    for record, entry in zip(records, columns.ids(), strict=True):
        place: EntryId | tuple[None, None] = entry or (None, None)
        yield record.to_dict() | {"ms": place[0], "n": place[1]}


def _parts(names: Sequence[T]) -> Iterator[Sequence[T]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))
