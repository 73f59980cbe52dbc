"""Hot documents and archived chunks as one sequence, each record once.

A stretch is read in this order: first the documents, then the list of chunks. The packer removes a document only when
its chunk is live, so a record that has left the documents by the first look stands in a chunk by the second; one that
is found in both is told once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Generator, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.chunk_reader import Chunk, ChunkReader
from tickrouter.history.connection import Document
from tickrouter.history.documents import ARCHIVED_PERIOD, COLLECTIONS
from tickrouter.history.names import PLACE
from tickrouter.history.superseded import Superseded

if TYPE_CHECKING:
    from tickrouter.history.columns import Columns

EntryId = tuple[int, int]
Position = Any
"""A time in ns or an entry id: where a stretch begins."""
Page = tuple[list[Document], Position | None]
"""Documents from a position on, in order, and the position behind them (None: there are no more)."""

PAGE = 5_000
"""Documents fetched at once: a reader may take its time between two pages without losing a cursor."""
_FIRST_PAGE = 500
_MS_MAX = 2**63 - 1


class Order(Protocol):
    """By what records are put in order."""

    def page(self, start: Position, size: int) -> Page: ...
    def chunks(self, start: Position, end: Position | None) -> list[Chunk]: ...
    def begins(self, chunk: Chunk) -> Position: ...
    def key(self, document: Document) -> Position: ...
    def sorted(self, columns: Columns) -> Columns: ...
    def until(self, columns: Columns, position: Position) -> int: ...


class ByTime:
    """By time, records of one moment by their entry id, those without one first; start <= time < end."""

    def __init__(
        self,
        db: Database[Document],
        kind: str,
        contract: str,
        end: int | None,
        fields: Document | None = None,
        period: str | None = None,
    ) -> None:
        """Args: fields: projection of the documents, None for all; period: of bars, None for any."""
        self._collection = db[COLLECTIONS[kind]]
        self._reader = ChunkReader(db, kind, contract)
        self._mine = {"contract": contract} | ({} if period is None else {"period": period})
        self._is_archived = period in (None, ARCHIVED_PERIOD)
        self._end = end
        self._fields = fields

    def page(self, start: int, size: int) -> Page:
        while True:
            moment: Document = {"$gte": start} if self._end is None else {"$gte": start, "$lt": self._end}
            query = self._mine | {"time": moment}
            try:
                found = list(self._collection.find(query, self._fields).sort("time", ASCENDING).limit(size))
            except PyMongoError as error:
                raise StorageError(f"MongoDB: {self._collection.name}: {error}") from error
            if len(found) < size:
                return sorted(found, key=_by_time), None
            last = found[-1]["time"]
            if found[0]["time"] < last:
                # The last moment may go on behind the page: it is fetched again, whole.
                return sorted((one for one in found if one["time"] < last), key=_by_time), last
            size *= 2  # more records of one moment than a page holds

    def chunks(self, start: int, end: int | None) -> list[Chunk]:
        return self._reader.by_time(start, self._end if end is None else end) if self._is_archived else []

    def begins(self, chunk: Chunk) -> int:
        return chunk.start

    def key(self, document: Document) -> int:
        return int(document["time"])

    def sorted(self, columns: Columns) -> Columns:
        return columns

    def until(self, columns: Columns, position: int | None) -> int:
        end = self._end if position is None else position
        return columns.rows if end is None else int(columns["time"].values.searchsorted(end))


class ByPlace:
    """By the place in the stream, first <= id <= last; what never stood in it is left out."""

    def __init__(self, db: Database[Document], kind: str, contract: str, last: EntryId) -> None:
        self._collection = db[COLLECTIONS[kind]]
        self._reader = ChunkReader(db, kind, contract)
        self._contract = contract
        self._last = last

    def page(self, start: EntryId, size: int) -> Page:
        (ms, n), last = start, self._last
        behind = [{"ms": ms, "n": {"$gte": n}}, {"ms": {"$gt": ms}}]
        before = [{"ms": last[0], "n": {"$lte": last[1]}}, {"ms": {"$lt": last[0]}}]
        bounds = {"$gte": ms, "$lte": last[0]}
        query = {"contract": self._contract, "ms": bounds, "$and": [{"$or": behind}, {"$or": before}]}
        try:
            order = [("ms", ASCENDING), ("n", ASCENDING)]
            found = list(self._collection.find(query).sort(order).limit(size))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {self._collection.name}: {error}") from error
        return found, None if len(found) < size else (found[-1]["ms"], found[-1]["n"] + 1)

    def chunks(self, start: EntryId, end: EntryId | None) -> list[Chunk]:
        return self._reader.by_place(start, self._behind(end))

    def begins(self, chunk: Chunk) -> EntryId:
        return chunk.first or (0, 0)

    def key(self, document: Document) -> EntryId:
        return document["ms"], document["n"]

    def sorted(self, columns: Columns) -> Columns:
        from numpy import flatnonzero, lexsort

        valid = columns["ms"].valid
        if valid is not None:
            columns = columns.take(flatnonzero(valid))
        return columns.take(lexsort((columns["n"].values, columns["ms"].values)))

    def until(self, columns: Columns, position: EntryId | None) -> int:
        ms, n = self._behind(position)
        below = (columns["ms"].values < ms) | ((columns["ms"].values == ms) & (columns["n"].values < n))
        return int(below.sum())

    def _behind(self, end: EntryId | None) -> EntryId:
        return (self._last[0], min(self._last[1] + 1, _MS_MAX)) if end is None else end


class Merged:
    """A sequence of stretches, each a list of documents or `Columns`, whichever it was read from."""

    def __init__(
        self,
        reader: ChunkReader,
        order: Order,
        kind: str,
        contract: str,
        names: Collection[str] | None = None,
        page: int = PAGE,
        *,
        whole: bool = False,
    ) -> None:
        """Nothing is read yet.

        Args:
            reader: of the same kind and contract.
            order: how to go, and where to end.
            kind: `tick`, `trade`, `book` or `bar`.
            contract: canonical name.
            names: stored columns that are needed, `time` among them; None for all.
            page: documents fetched at once.
            whole: somebody joins all of it: arrays of many chunks at once are welcome.
        """
        self._reader = reader
        self._order = order
        self._kind = kind
        self._contract = contract
        self._names = names
        self._page = page
        self._whole = whole
        # What has no place in the stream is told by time alone.
        self._superseded = Superseded(reader) if kind == "trade" and isinstance(order, ByTime) else None

    def stretches(self, start: Position) -> Iterator[list[Document] | Columns]:
        """All records from a position on.

        Raises:
            StorageError: MongoDB did not answer.
            TickrouterError: a part is archived, and pyarrow is not installed.
        """
        position: Position | None = start
        size = min(_FIRST_PAGE, self._page)
        while position is not None:
            documents, behind = self._order.page(position, size)
            size = self._page
            if self._superseded is not None:
                documents = self._superseded.documents(documents)
            chunks = self._order.chunks(position, behind)
            if chunks:
                position = yield from self._merge(position, behind, documents, chunks)
            else:
                if documents:
                    yield documents
                position = behind

    def _merge(
        self, start: Position, behind: Position | None, documents: list[Document], chunks: list[Chunk]
    ) -> Generator[list[Document] | Columns, None, Position | None]:
        """One stretch; returns where to go on: behind it, or where a chunk was gone when it was its turn."""
        order = self._order
        keys = [order.key(document) for document in documents]
        parts: list[Columns] = []
        told = 0
        names = self._stored(chunks, is_alone=not documents and _apart(chunks))
        loading = self._reader.loading(chunks, names, whole=self._whole)
        for chunk, loaded in zip(chunks, loading, strict=True):
            bound = max(start, order.begins(chunk))
            upto = bisect_left(keys, bound)
            yield from self._told(documents[told:upto], parts, bound)
            told = upto
            columns = loaded
            if loaded is not None and chunk.backfilled and self._superseded is not None:
                columns = self._superseded.rows(chunk, loaded)
            if columns is None:
                return bound
            fresh = order.sorted(columns)
            before = order.until(fresh, start)
            parts.append(fresh.take(slice(before, None)) if before else fresh)
        yield from self._told(documents[told:], parts, behind)
        return behind

    def _stored(self, chunks: list[Chunk], *, is_alone: bool) -> Collection[str] | None:
        """The columns to be read: with the place where rows of several sources have to be told apart."""
        has_doubles = self._kind == "trade" and any(chunk.backfilled for chunk in chunks)
        if self._names is None or (is_alone and not has_doubles):
            return self._names
        more = {"period"} if self._kind == "bar" else {"trade_id"} if has_doubles else set()
        return {*self._names, *PLACE, *more}

    def _told(self, documents: list[Document], parts: list[Columns], bound: Position | None) -> Iterator[Any]:
        """What comes before a bound out of documents and loaded chunks; the rest of the chunks stays in `parts`."""
        ready: list[Columns] = []
        left: list[Columns] = []
        for part in parts:
            if not part.rows:
                continue
            upto = self._order.until(part, bound)
            if upto == part.rows:
                ready.append(part)
                continue
            if upto:
                ready.append(part.take(slice(0, upto)))
            left.append(part.take(slice(upto, None)) if upto else part)
        parts[:] = left
        if documents and ready:
            from tickrouter.history.columns import from_documents

            names = list(dict.fromkeys(name for part in ready for name in part.columns))
            ready.insert(0, from_documents(self._kind, self._contract, documents, names))
        elif documents:
            yield documents
        if len(ready) == 1:
            yield ready[0]
        elif ready:
            from tickrouter.history.columns import joined, once

            yield self._order.sorted(once(joined(ready)))


def _by_time(document: Document) -> tuple[int, int, int]:
    return document["time"], document["ms"] or 0, document["n"] or 0


def _apart(chunks: list[Chunk]) -> bool:
    """True if no moment stands in two of them."""
    return all(one.end < other.start for one, other in pairwise(chunks))
