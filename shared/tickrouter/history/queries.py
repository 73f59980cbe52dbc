"""Reading market records out of MongoDB: by time for people, by entry id for whoever goes on in the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import InvalidValue, StorageError, TickrouterError
from tickrouter.history.chunk_reader import ChunkReader
from tickrouter.history.complete import require_whole
from tickrouter.history.connection import Document
from tickrouter.history.coverage import coverage
from tickrouter.history.documents import COLLECTIONS, KINDS, from_document
from tickrouter.history.merged import PAGE, ByPlace, ByTime, Merged
from tickrouter.history.names import LEVEL, PLACE
from tickrouter.model.coverage import Interval
from tickrouter.model.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from tickrouter.history.columns import Columns

R_co = TypeVar("R_co", bound=Record, covariant=True)

EntryId = tuple[int, int]
"""(ms, n), the record's place in its stream."""

_TOP = ("bid1", "bid1_size", "ask1", "ask1_size")
_DEFAULT_COLUMNS: dict[str, tuple[str, ...]] = {
    "tick": ("price", *_TOP, "volume", "amount", "exchange_time"),
    "trade": ("price", "size", "side", "trade_id", "exchange_time"),
    "book": (*_TOP, "bids", "asks", "sequence", "exchange_time"),
    "bar": ("period", "open", "high", "low", "close", "volume", "amount", "trades"),
}


class History(Generic[R_co]):
    """Records of one contract and kind with start <= time < end, as MongoDB holds them when they are read.

    Documents and archived chunks are one here. Going through it yields the records by time, those of one moment in
    the order of the stream; it may be gone through again. Nothing is fetched before that.

    Raises:
        InvalidValue: no such kind or column.
        StorageError: while reading, MongoDB did not answer.
        HistoryGap: while reading, with `complete`: something is missing or unknown.
    """

    def __init__(
        self,
        db: Database[Document],
        kind: str,
        contract: str,
        start: int,
        end: int | None = None,
        columns: tuple[str, ...] | None = None,
        period: str | None = None,
        complete: bool = False,
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
            period: of bars, None for those of any period.
            complete: read nothing where something is missing or unknown: `HistoryGap` says what.
        """
        self.kind = _known_kind(kind)
        self.contract = contract
        self.start = start
        self.end = end
        self.columns = columns or _DEFAULT_COLUMNS[kind]
        self._db = db
        self._period = period
        self._complete = complete
        self._readers = {name: _reader(kind, name) for name in self.columns}

    def __iter__(self) -> Iterator[R_co]:
        for stretch in self._stretches(None):
            record: Any
            if isinstance(stretch, list):
                for document in stretch:
                    record = from_document(self.kind, document)
                    yield record
            else:
                for record in chain.from_iterable(part.records() for part in stretch.parts()):
                    yield record

    @property
    def coverage(self) -> list[Interval]:
        """What is there of start <= time < end, interval by interval: live, backfilled, missing or unknown, and why.

        Asked anew each time. Without an end it goes as far as collectors have spoken.

        Raises:
            StorageError: MongoDB did not answer.
        """
        return coverage(self._db, self.contract, self.kind, self.start, self.end, made=True)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The records as dictionaries of `time` and the columns; None where a level is not there."""
        for stretch in self._stretches(self.columns):
            if isinstance(stretch, list):
                for document in stretch:
                    yield {"time": document["time"]} | {name: read(document) for name, read in self._readers.items()}
            else:
                frames, names = frames_module(), ("time", *self.columns)
                values = [frames.chosen(stretch, name).to_list() for name in names]
                yield from (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))

    def batches(self) -> Iterator[Columns]:
        """The columns as numpy arrays, some thousand rows at a time; memory stays bounded.

        Raises:
            TickrouterError: numpy is not installed, or a part is archived and pyarrow is not.
        """
        return self._arrays(whole=False)

    def _arrays(self, *, whole: bool) -> Iterator[Columns]:
        """The columns, stretch by stretch; with `whole` for somebody who joins them all."""
        frames_module()
        from tickrouter.history.columns import from_documents, stored_names

        for stretch in self._stretches(self.columns, whole=whole):
            if isinstance(stretch, list):
                names = stored_names(self.kind, self.columns)
                yield from_documents(self.kind, self.contract, stretch, names)
            else:
                yield stretch

    def to_numpy(self) -> dict[str, Any]:
        """The columns as arrays by name, `time` (int64, ns) first.

        Missing numbers are NaN; a column of whole numbers that lacks some is a masked array.

        Raises:
            TickrouterError: numpy is not installed, or a part is archived and pyarrow is not.
        """
        found: dict[str, Any] = frames_module().to_numpy(self._arrays(whole=True), self.columns)
        return found

    def to_pandas(self) -> pd.DataFrame:
        """The columns as a frame, indexed by `time` in UTC.

        Whole numbers (exchange_time in ns, sequence, ...) are nullable Int64, prices and sizes float64.

        Raises:
            TickrouterError: pandas is not installed.
        """
        frame: pd.DataFrame = frames_module().to_pandas(self._arrays(whole=True), self.columns)
        return frame

    def to_arrow(self) -> Any:
        """The columns as a `pyarrow.Table`, with `time` as timestamp[ns, UTC].

        Raises:
            TickrouterError: pyarrow is not installed.
        """
        return frames_module().to_arrow(self.batches(), self.columns)

    def to_polars(self) -> Any:
        """The columns as a `polars.DataFrame`, with `time` as Datetime[ns, UTC].

        Raises:
            TickrouterError: polars or pyarrow is not installed.
        """
        return frames_module().to_polars(self.batches(), self.columns)

    def _stretches(self, columns: tuple[str, ...] | None, *, whole: bool = False) -> Iterator[list[Document] | Columns]:
        """Records of some columns, None for all: documents, or arrays where they are archived."""
        if self._complete:
            require_whole(self._db, self.contract, self.kind, self.start, self.end, made=True)
        fields = names = None
        if columns is not None:
            levels = {name: match for name in columns if (match := LEVEL.match(name))}
            names = {"time", *columns} - {"contract"}
            asked = {f"{levels[name][1]}s" if name in levels else name for name in (*names, *PLACE)}
            fields = dict.fromkeys(sorted(asked), 1)
            if self.kind in ("trade", "bar"):
                fields["trade_id" if self.kind == "trade" else "period"] = 1
            if names & {"bids", "asks"}:
                fields = names = None  # however deep they are
        order = ByTime(self._db, self.kind, self.contract, self.end, fields, self._period)
        reader = ChunkReader(self._db, self.kind, self.contract)
        return Merged(reader, order, self.kind, self.contract, names, PAGE, whole=whole).stretches(self.start)


def between(
    db: Database[Document], kind: str, contract: str, after: EntryId, up_to: EntryId
) -> Iterator[tuple[EntryId, Record]]:
    """Stored records by their place in the stream, after one id and up to another, this one included.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    if after >= up_to:
        return
    order = ByPlace(db, _known_kind(kind), contract, up_to)
    merged = Merged(ChunkReader(db, kind, contract), order, kind, contract, None, PAGE)
    for stretch in merged.stretches((after[0], after[1] + 1)):
        if isinstance(stretch, list):
            for document in stretch:
                yield (document["ms"], document["n"]), from_document(kind, document)
        else:
            for part in stretch.parts():
                for entry, record in zip(part.ids(), part.records(), strict=True):
                    if entry is not None:
                        yield entry, record


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
    archived = ChunkReader(db, kind, contract).last_before(entry_id)
    hot = (found["ms"], found["n"]) if found else None
    return hot if archived is None or (hot is not None and hot > archived) else archived


def newest(db: Database[Document], kind: str, contract: str, until: int | None = None) -> Record | None:
    """The newest stored record, or the newest with its time <= `until` (ns); None where there is none.

    Raises:
        InvalidValue: no such kind.
        StorageError: MongoDB did not answer.
    """
    collection = db[COLLECTIONS[_known_kind(kind)]]
    query: Document = {"contract": contract} if until is None else {"contract": contract, "time": {"$lte": until}}
    try:
        order = [("time", DESCENDING)]
        last = collection.find_one(query, {"time": 1}, sort=order)
        found = list(collection.find({"contract": contract, "time": last["time"]})) if last else []
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {collection.name}: {error}") from error
    # What was read after the fact came as a list, all of one moment: the venue's clock tells the last.
    found.sort(key=lambda one: (one.get("exchange_time") or 0, str(one.get("trade_id", "")).zfill(20)), reverse=True)
    stored: list[tuple[tuple[int, int, int], Record]] = [
        ((document["time"], document["ms"] or 0, document["n"] or 0), from_document(kind, document))
        for document in found
    ]
    if (archived := ChunkReader(db, kind, contract).last_until(until)) is not None:
        entry, record = archived
        stored.append(((int(record.to_dict()["time"]), *(entry or (0, 0))), record))
    return max(stored, key=lambda one: one[0])[1] if stored else None


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise InvalidValue("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    return kind


def _reader(kind: str, column: str) -> Callable[[Document], Any]:
    level = LEVEL.match(column)
    if level and kind in ("tick", "book"):
        side, index, part = f"{level[1]}s", int(level[2]) - 1, 1 if level[3] else 0
        return lambda document: document[side][index][part] if len(document[side]) > index else None
    names = (*KINDS[kind].__struct_fields__, *PLACE)
    if column in names:
        return lambda document: document.get(column)
    levels = ", bid1, bid1_size, ask1, ask1_size, bid2 ..." if kind in ("tick", "book") else ""
    raise InvalidValue("columns", f"{column!r} is not one of {', '.join(names)}{levels}")


def frames_module() -> Any:
    """The room of numpy and the frames, which are extras.

    Raises:
        TickrouterError: numpy is not installed.
    """
    try:
        from tickrouter.history import frames
    except ImportError as error:
        raise TickrouterError("numpy is not installed: pip install 'tickrouter[frames]'") from error
    return frames
