"""Reading archived chunks: which there are, their columns by two threads, and single records out of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError, TickrouterError
from tickrouter.history.connection import SAID_OF_A_CHUNK, Document

if TYPE_CHECKING:
    from tickrouter.history.columns import Columns
    from tickrouter.history.slots import Slots
    from tickrouter.model.record import Record

EntryId = tuple[int, int]
_Parts = list[Callable[[], "Columns"]]
"""What gives a chunk's columns, one call a payload."""

LIVE: Final = "live"
DECODERS: Final = 2
"""Threads that fetch and decode; the work is mostly outside of Python's lock."""
_TOGETHER = 4
"""Chunks of one call at most."""
_AHEAD = 3
"""Calls under way."""
_BEFORE_ALL: EntryId = (-1, -1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a chunk says of itself, without its payloads.

    Attributes:
        id: its `_id`.
        start: time of its first row, ns.
        end: time of its last row, ns.
        first: lowest entry id in it, or None where all rows were read after the fact.
        last: highest entry id in it, likewise.
        rows: how many.
        backfilled: how many of them never stood in a stream.
        digest: of its content, see `tickrouter.history.columns.digest`.
        has_depth: True if there is a second payload.
        replaces: id of a chunk whose rows stand in this one, or None.
    """

    id: str
    start: int
    end: int
    first: EntryId | None
    last: EntryId | None
    rows: int
    backfilled: int
    digest: str
    has_depth: bool
    replaces: str | None

    @classmethod
    def from_document(cls, found: Document) -> Chunk:
        """Out of a document of `chunks`, with or without its payloads."""
        first = None if found["first_ms"] is None else (found["first_ms"], found["first_n"])
        last = None if found["last_ms"] is None else (found["last_ms"], found["last_n"])
        more = (found[name] for name in ("rows", "backfilled", "digest", "has_depth", "replaces"))
        return cls(found["_id"], found["start"], found["end"], first, last, *more)


_WITHOUT_PAYLOADS = dict.fromkeys(SAID_OF_A_CHUNK, 1)


class ChunkReader:
    """The live chunks of one contract and kind."""

    def __init__(self, db: Database[Document], kind: str, contract: str) -> None:
        """Nothing is read yet."""
        self.db = db
        self._chunks = db["chunks"]
        self._kind = kind
        self._contract = contract

    def by_time(self, start: int, end: int | None) -> list[Chunk]:
        """Chunks with a row in start <= time < end, as far as their bounds tell, by start.

        Raises:
            StorageError: MongoDB did not answer.
        """
        # A chunk that reaches into the range may begin before it, but no earlier than the longest one could.
        mine = {"contract": self._contract, "kind": self._kind, "state": LIVE}
        try:
            longest = self._chunks.find_one(mine, {"_id": 0, "span": 1}, sort=[("span", DESCENDING)])
        except PyMongoError as error:
            raise StorageError(f"MongoDB: chunks: {error}") from error
        if longest is None:
            return []
        bounds: Document = {"$gte": start - longest["span"]}
        if end is not None:
            bounds["$lt"] = end
        return self._find({"start": bounds, "end": {"$gte": start}}, [("start", ASCENDING)])

    def by_place(self, first: EntryId, end: EntryId) -> list[Chunk]:
        """Chunks with an entry in first <= id < end, as far as their bounds tell, by their first entry.

        Raises:
            StorageError: MongoDB did not answer.
        """
        query = {"last_ms": {"$gte": first[0]}, "first_ms": {"$lte": end[0]}}
        return sorted(self._find(query, [("last_ms", ASCENDING)]), key=lambda chunk: chunk.first or _BEFORE_ALL)

    def by_trade(self, numbers: Collection[str]) -> set[str]:
        """Those of some trades' numbers that are archived.

        Raises:
            StorageError: MongoDB did not answer.
            TickrouterError: pyarrow is not installed.
        """
        keys = [trade_key(number) for number in numbers]
        query = {"low": {"$lte": max(keys)}, "high": {"$gte": min(keys)}}
        found: set[str] = set()
        for chunk in self._find(query, [("start", ASCENDING)]):
            columns = self.load(chunk, ("time", "trade_id"))
            if columns is None:
                return self.by_trade(numbers)
            found.update(columns["trade_id"].values.tolist())
        return found & set(numbers)

    def load(self, chunk: Chunk, names: Collection[str] | None) -> Columns | None:
        """The columns wanted (None: all), or None if the chunk was replaced and removed in the meantime.

        Raises:
            StorageError: MongoDB did not answer.
            TickrouterError: pyarrow is not installed.
            Unreadable: the payload is damaged.
        """
        return next(_decoded(self._fetch([(0, chunk)], names)))

    def loading(
        self,
        chunks: Sequence[Chunk],
        names: Collection[str] | None,
        decoders: int = DECODERS,
        *,
        whole: bool = False,
    ) -> Iterator[Columns | None]:
        """`load` of each in turn, the next ones under way meanwhile in so many threads; in this one if it is one.

        With `whole` their numbers stand side by side in one array a column: for who wants all of them at once.
        """
        slots = _slots([chunk.rows for chunk in chunks], names) if whole and names is not None else None
        numbered = list(enumerate(chunks))
        if whole:
            # As many calls for each thread, none of which is much longer than another: they end together.
            calls = decoders * -(-len(chunks) // (decoders * _TOGETHER))
            bounds = [len(chunks) * number // calls for number in range(calls + 1)] if calls else []
            groups = [numbered[start:end] for start, end in pairwise(bounds) if start < end]
        else:
            # The first one is fetched alone: somebody waits for it.
            rest = range(1, len(chunks), _TOGETHER)
            groups = [numbered[:1], *(numbered[start : start + _TOGETHER] for start in rest)]
        if len(groups) == 1 or decoders == 1:
            for alone in groups:
                yield from _decoded(self._fetch(alone, names, slots))
            return
        pool = ThreadPoolExecutor(decoders, thread_name_prefix="decoder")
        waiting = iter(groups)
        under_way: deque[Future[list[_Parts | None]]] = deque()
        try:
            while True:
                while len(under_way) < _AHEAD and (group := next(waiting, None)) is not None:
                    under_way.append(pool.submit(self._fetch, group, names, slots, pool))
                if not under_way:
                    return
                yield from _decoded(under_way.popleft().result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(
        self,
        chunks: Sequence[tuple[int, Chunk]],
        names: Collection[str] | None,
        slots: Slots | None = None,
        pool: ThreadPoolExecutor | None = None,
    ) -> list[_Parts | None]:
        """Payloads of chunks, each with its number among all that are read; the pool's threads share the decoding."""
        codec = _codec()
        deep = names is None or any(codec.is_deep(name) for name in names)
        ids = [chunk.id for _, chunk in chunks]
        query = {"_id": {"$in": ids}} if len(ids) > 1 else {"_id": ids[0]}
        # A whole document costs the server less than one without a few small fields.
        is_whole = deep or not any(chunk.has_depth for _, chunk in chunks)
        try:
            found = {one["_id"]: one for one in self._chunks.find(query, None if is_whole else {"top": 1})}
        except PyMongoError as error:
            raise StorageError(f"MongoDB: chunks: {error}") from error
        fetched: list[_Parts | None] = []
        for number, chunk in chunks:
            document = found.get(chunk.id)
            if document is None:
                fetched.append(None)
                continue
            into = None if slots is None else slots.of(number)
            payloads = [document["top"], document["depth"]] if deep and chunk.has_depth else [document["top"]]
            work: _Parts = [partial(codec.decode, payload, names, into) for payload in payloads]
            fetched.append(work if pool is None else [pool.submit(one).result for one in work])
        return fetched

    def last_until(self, time: int | None = None) -> tuple[EntryId | None, Record] | None:
        """The last archived record with its time <= `time` (None: of all), or None.

        Raises:
            StorageError: MongoDB did not answer.
        """
        if time is None:
            candidates = self._find({}, [("end", DESCENDING)], 1)
        else:
            candidates = self._find({"end": {"$lte": time}}, [("end", DESCENDING)], 1)
            candidates += [chunk for chunk in self.by_time(time, time + 1) if chunk.end > time]
        best: tuple[tuple[int, EntryId], EntryId | None, Record] | None = None
        for chunk in candidates:
            columns = self.load(chunk, None)
            if columns is None:
                return self.last_until(time)
            times = columns["time"].values
            row = (len(times) if time is None else int(times.searchsorted(time, "right"))) - 1
            if row >= 0:
                one = columns.take(slice(row, row + 1))
                entry = one.ids()[0]
                key = (int(times[row]), entry or _BEFORE_ALL)
                if best is None or key > best[0]:
                    best = (key, entry, one.records()[0])
        return best and best[1:]

    def last_before(self, entry_id: EntryId) -> EntryId | None:
        """The highest archived entry id below another, or None.

        Raises:
            StorageError: MongoDB did not answer.
        """
        ms, n = entry_id
        below = {"$or": [{"last_ms": {"$lt": ms}}, {"last_ms": ms, "last_n": {"$lt": n}}]}
        whole = self._find({"last_ms": {"$lte": ms}} | below, [("last_ms", DESCENDING), ("last_n", DESCENDING)], 1)
        found = [chunk.last for chunk in whole if chunk.last is not None]
        for chunk in self.by_place(entry_id, entry_id):
            columns = self.load(chunk, ("ms", "n"))
            if columns is None:
                return self.last_before(entry_id)
            found += [entry for entry in columns.ids() if entry is not None and entry < entry_id]
        return max(found, default=None)

    def _find(self, query: dict[str, Any], order: list[tuple[str, int]], limit: int = 0) -> list[Chunk]:
        mine = {"contract": self._contract, "kind": self._kind, "state": LIVE}
        try:
            found = list(self._chunks.find(mine | query, _WITHOUT_PAYLOADS).sort(order).limit(limit))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: chunks: {error}") from error
        chunks = [Chunk.from_document(document) for document in found]
        gone = {chunk.replaces for chunk in chunks} - {None}
        return [chunk for chunk in chunks if chunk.id not in gone] if gone else chunks


def trade_key(number: str) -> str:
    """A trade's number as a text that sorts like it: a chunk's `low` and `high`."""
    return number.zfill(20) if number.isdecimal() else number


def _decoded(fetched: Iterable[_Parts | None]) -> Iterator[Columns | None]:
    """The columns of each chunk; None for one that is gone."""
    for parts in fetched:
        if parts is None:
            yield None
            continue
        columns, *more = (part() for part in parts)
        for one in more:
            columns.columns.update(one.columns)
        yield columns


def _codec() -> Any:
    try:
        from tickrouter.history import chunks
    except ImportError as error:
        raise TickrouterError("archived records need pyarrow: pip install 'tickrouter[archive]'") from error
    return chunks


def _slots(rows: Sequence[int], names: Collection[str]) -> Slots:
    from tickrouter.history.slots import Slots

    return Slots(rows, names)
