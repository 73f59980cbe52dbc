"""Reading market records out of MongoDB: by time for people, by entry id for whoever goes on in the stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import InvalidValue, StorageError, TickrouterError
from tickrouter.history.connection import Document
from tickrouter.history.documents import COLLECTIONS, KINDS, from_document
from tickrouter.model.record import Record

if TYPE_CHECKING:
    import pandas as pd

R_co = TypeVar("R_co", bound=Record, covariant=True)

EntryId = tuple[int, int]
"""(ms, n), the record's place in its stream."""

PAGE = 5_000
"""Documents fetched at once: a reader may take its time between two pages without losing a cursor."""

_LEVEL = re.compile(r"(bid|ask)([1-9][0-9]?)(_size)?\Z")
_PLACE = ("ms", "n")
_TOP = ("bid1", "bid1_size", "ask1", "ask1_size")
_DEFAULT_COLUMNS: dict[str, tuple[str, ...]] = {
    "tick": ("price", *_TOP, "volume", "amount", "exchange_time"),
    "trade": ("price", "size", "side", "trade_id", "exchange_time"),
    "book": (*_TOP, "bids", "asks", "sequence", "exchange_time"),
    "bar": ("period", "open", "high", "low", "close", "volume", "amount", "trades"),
}
_WHOLE = frozenset({"time", "exchange_time", "sequence", "trades", "flags", *_PLACE})
_OBJECTS = frozenset({"bids", "asks", "side", "trade_id", "source", "contract", "period"})


class History(Generic[R_co]):
    """Records of one contract and kind with start <= time < end, as MongoDB holds them when they are read.

    Going through it yields the records by time, those of one moment in the order of the stream; it may be gone
    through again. Nothing is fetched before that.

    Raises:
        InvalidValue: no such kind or column.
        StorageError: while reading, MongoDB did not answer.
    """

    def __init__(
        self,
        db: Database[Document],
        kind: str,
        contract: str,
        start: int,
        end: int | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            db: where from.
            kind: `tick`, `trade`, `book` or `bar`.
            contract: canonical name.
            start: first moment, ns since 1970 UTC.
            end: first moment that is left out, ns, or None for all.
            columns: of `rows` and `to_pandas`; None takes the kind's usual ones. Besides the record's fields
                there are `ms`, `n`, and of ticks and books `bid1`, `bid1_size`, `ask1`, `ask1_size`, `bid2` ...
        """
        self.kind = _known_kind(kind)
        self.contract = contract
        self.start = start
        self.end = end
        self.columns = columns or _DEFAULT_COLUMNS[kind]
        self._collection = db[COLLECTIONS[kind]]
        self._readers = {name: _reader(kind, name) for name in self.columns}

    def __iter__(self) -> Iterator[R_co]:
        for document in self._documents(None):
            record: Any = from_document(self.kind, document)
            yield record

    def rows(self) -> Iterator[dict[str, Any]]:
        """The records as dictionaries of `time` and the columns; None where a level is not there."""
        for document in self._documents(self._projection()):
            yield {"time": document["time"]} | {name: read(document) for name, read in self._readers.items()}

    def to_pandas(self) -> pd.DataFrame:
        """The columns as a frame, indexed by `time` in UTC.

        Whole numbers (exchange_time in ns, sequence, ...) are nullable Int64, prices and sizes float64.

        Raises:
            TickrouterError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise TickrouterError("pandas is not installed: pip install 'tickrouter[frames]'") from error
        times: list[int] = []
        values: dict[str, list[Any]] = {name: [] for name in self.columns}
        for document in self._documents(self._projection()):
            times.append(document["time"])
            for name, read in self._readers.items():
                values[name].append(read(document))
        index = pd.DatetimeIndex(pd.array(times, dtype="int64"), name="time").tz_localize("UTC")
        return pd.DataFrame(
            {name: pd.Series(column, dtype=_dtype(name), index=index) for name, column in values.items()}, index=index
        )

    def _projection(self) -> dict[str, int]:
        fields = {"time", *_PLACE}
        for name in self.columns:
            level = _LEVEL.match(name)
            fields.add(f"{level[1]}s" if level else name)
        return dict.fromkeys(sorted(fields), 1)

    def _documents(self, projection: dict[str, int] | None) -> Iterator[Document]:
        start, size = self.start, PAGE
        while True:
            page = self._page(start, size, projection)
            if len(page) < size:
                yield from _in_stream_order(page)
                return
            last = page[-1]["time"]
            if page[0]["time"] == last:
                size *= 2  # more records of one moment than a page holds
                continue
            # The last moment may go on behind the page: it is fetched again, whole.
            yield from _in_stream_order([document for document in page if document["time"] < last])
            start = last

    def _page(self, start: int, size: int, projection: dict[str, int] | None) -> list[Document]:
        moment: Document = {"$gte": start} if self.end is None else {"$gte": start, "$lt": self.end}
        query = {"contract": self.contract, "time": moment}
        try:
            return list(self._collection.find(query, projection).sort("time", ASCENDING).limit(size))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {self._collection.name}: {error}") from error


def between(
    db: Database[Document], kind: str, contract: str, after: EntryId, up_to: EntryId
) -> Iterator[tuple[EntryId, Record]]:
    """Stored records by their place in the stream, after one id and up to another, this one included.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    collection = db[COLLECTIONS[_known_kind(kind)]]
    order = [("ms", ASCENDING), ("n", ASCENDING)]
    while after < up_to:
        behind = [{"ms": after[0], "n": {"$gt": after[1]}}, {"ms": {"$gt": after[0]}}]
        before = [{"ms": up_to[0], "n": {"$lte": up_to[1]}}, {"ms": {"$lt": up_to[0]}}]
        bounds = {"$gte": after[0], "$lte": up_to[0]}
        query = {"contract": contract, "ms": bounds, "$and": [{"$or": behind}, {"$or": before}]}
        try:
            page = list(collection.find(query).sort(order).limit(PAGE))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {collection.name}: {error}") from error
        for document in page:
            after = (document["ms"], document["n"])
            yield after, from_document(kind, document)
        if len(page) < PAGE:
            return


def through(db: Database[Document], kind: str, contract: str) -> EntryId | None:
    """The id up to which every record of the stream is stored here, or None where nothing is.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    try:
        found = db.through.find_one({"_id": f"{contract}#{_known_kind(kind)}"})
    except PyMongoError as error:
        raise StorageError(f"MongoDB: through: {error}") from error
    return (found["ms"], found["n"]) if found else None


def last_before(db: Database[Document], kind: str, contract: str, entry_id: EntryId) -> EntryId | None:
    """The highest id below another under which a record is stored, or None.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    collection = db[COLLECTIONS[_known_kind(kind)]]
    ms, n = entry_id
    query = {"contract": contract, "ms": {"$lte": ms}, "$or": [{"ms": {"$lt": ms}}, {"n": {"$lt": n}}]}
    try:
        found = collection.find_one(query, {"ms": 1, "n": 1}, sort=[("ms", DESCENDING), ("n", DESCENDING)])
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {collection.name}: {error}") from error
    return (found["ms"], found["n"]) if found else None


def newest(db: Database[Document], kind: str, contract: str) -> Record | None:
    """The newest stored record, or None.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    collection = db[COLLECTIONS[_known_kind(kind)]]
    try:
        found = collection.find_one({"contract": contract}, sort=[("time", DESCENDING)])
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {collection.name}: {error}") from error
    return from_document(kind, found) if found else None


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise InvalidValue("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    return kind


def _in_stream_order(documents: list[Document]) -> list[Document]:
    """Sorted by time already; records of one moment by their entry id, backfilled ones first."""
    return sorted(documents, key=lambda document: (document["time"], document["ms"] or 0, document["n"] or 0))


def _reader(kind: str, column: str) -> Callable[[Document], Any]:
    level = _LEVEL.match(column)
    if level and kind in ("tick", "book"):
        side, index, part = f"{level[1]}s", int(level[2]) - 1, 1 if level[3] else 0
        return lambda document: document[side][index][part] if len(document[side]) > index else None
    names = (*KINDS[kind].__struct_fields__, *_PLACE)
    if column in names:
        return lambda document: document.get(column)
    levels = ", bid1, bid1_size, ask1, ask1_size, bid2 ..." if kind in ("tick", "book") else ""
    raise InvalidValue("columns", f"{column!r} is not one of {', '.join(names)}{levels}")


def _dtype(column: str) -> Any:
    if column in _WHOLE:
        return "Int64"
    return object if column in _OBJECTS else "float64"
