"""What may be packed: documents older than the hot window and below `through`, as columns in the order of a chunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from tickrouter.errors import InvalidValue
from tickrouter.history import chunks as codec
from tickrouter.history.chunk_reader import trade_key
from tickrouter.history.columns import Columns, EntryId, from_records
from tickrouter.history.connection import Document
from tickrouter.history.documents import ARCHIVED_PERIOD, COLLECTIONS, KINDS, document_id, from_document

_MOST_REFUSED = 1_000
_HEAD = frozenset({"_id", "contract", "time", "at", "ms", "n", "exchange_time"})
_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Selection:
    """Documents of one chunk, by time.

    Attributes:
        documents: fit to be packed.
        is_full: True if there would have been no room for more.
        refused: documents that were left out, in all so far.
    """

    documents: list[Document] = field(default_factory=list)
    is_full: bool = False
    refused: int = 0


class Packable:
    """The documents of one contract and kind that may be packed."""

    def __init__(self, db: Database[Document], kind: str, contract: str, rows: int) -> None:
        """Args: rows: of a full chunk."""
        self._db = db
        self._kind = kind
        self._contract = contract
        self._rows = rows
        self._known = _HEAD | set(KINDS[kind].__struct_fields__)
        self._refused: dict[Any, str] = {}

    def select(self, before: int) -> Selection:
        """The oldest ones before a time (ns), as many as a chunk takes.

        Raises:
            PyMongoError: MongoDB did not answer.
        """
        through = self._through()
        if through is None:
            return Selection(refused=len(self._refused))
        selection = Selection()
        cells = 0
        query: Document = {"contract": self._contract, "time": {"$lt": before}}
        if self._kind == "bar":
            query["period"] = ARCHIVED_PERIOD
        if self._refused:
            query["_id"] = {"$nin": list(self._refused)}
        with self._db[COLLECTIONS[self._kind]].find(query).sort("time", ASCENDING) as found:
            for document in found:
                cells += codec.cells(len(document.get("bids", ())) + len(document.get("asks", ())))
                if len(selection.documents) == self._rows or (cells > codec.CELLS and selection.documents):
                    selection.is_full = True
                    break
                if self._is_through(document, through) and self._is_fit(document):
                    selection.documents.append(document)
        selection.is_full |= len(selection.documents) == self._rows
        selection.refused = len(self._refused)
        return selection

    def _through(self) -> EntryId | None:
        """Up to where everything is stored; bars are whole when they are written."""
        if self._kind == "bar":
            return (2**63 - 1, 0)
        found = self._db["through"].find_one({"_id": f"{self._contract}#{self._kind}"})
        return (found["ms"], found["n"]) if found else None

    def _is_through(self, document: Document, through: EntryId) -> bool:
        ms, n = document.get("ms"), document.get("n")
        if ms is None or n is None:
            return bool(document["time"] // _NS_PER_MS < through[0])
        return (ms, n) <= through

    def _is_fit(self, document: Document) -> bool:
        """True if a record holds all that the document says; others stay documents and are counted."""
        try:
            record: Any = from_document(self._kind, document)
            extra = document.keys() - self._known
            if extra:
                raise InvalidValue(self._kind, f"unknown fields: {', '.join(sorted(extra))}")
            if document["_id"] != document_id(record, document.get("ms"), document.get("n")):
                raise InvalidValue("_id", f"{document['_id']!r} is not made of the record")
        except InvalidValue as error:
            if len(self._refused) < _MOST_REFUSED:
                self._refused[document["_id"]] = str(error)
            return False
        return True


def columns_of(kind: str, contract: str, documents: list[Document]) -> Columns:
    """Documents as columns in the order of a chunk."""
    records: list[Any] = [from_document(kind, document) for document in documents]
    entries = [None if one["n"] is None else (one["ms"], one["n"]) for one in documents]
    return in_order(from_records(kind, contract, records, entries))


def in_order(columns: Columns) -> Columns:
    """Rows by time, those of one moment by their entry id, those without one first."""
    times = columns["time"].values.tolist()
    entries = [entry or (0, 0) for entry in columns.ids()]
    order = sorted(range(columns.rows), key=lambda row: (times[row], entries[row]))
    return columns.take(order)


def id_range(columns: Columns) -> tuple[str | None, str | None]:
    """Lowest and highest natural key, as texts that sort like them; None where records have none."""
    if columns.kind == "trade":
        names = [trade_key(number) for number in columns["trade_id"].values.tolist()]
    elif columns.kind == "bar":
        names = [f"{time:020d}" for time in columns["time"].values.tolist()]
    else:
        return None, None
    return min(names), max(names)
