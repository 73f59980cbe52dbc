"""The tape of one contract: stored records up to where MongoDB is complete, then the stream from the same point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from tickrouter.bus.codec import unpack_record
from tickrouter.bus.subscribe import START, Entry, EntryId, id_text
from tickrouter.core.entry_ids import SESSION_BITS, session_of
from tickrouter.errors import StorageError, Unreadable
from tickrouter.model.book import Book
from tickrouter.model.feed import Feed
from tickrouter.model.record import Record
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

R = TypeVar("R", bound=Tick | Trade | Book)

_K = (1 << SESSION_BITS) - 1
_NS_PER_MS = 1_000_000


class Stream(Protocol):
    """The live end: see `tickrouter.tape.follower.Follower`."""

    def first(self) -> Entry | None: ...
    def last(self) -> Entry | None: ...
    def after(self, position: EntryId, block: float | None) -> list[Entry]: ...


class Store(Protocol):
    """The stored end.

    `through` is the id up to which everything is stored, None where nothing is; `last_before` the highest stored id
    below another; `between` yields what is stored after one id and up to another.
    """

    def through(self) -> EntryId | None: ...
    def last_before(self, entry_id: EntryId) -> EntryId | None: ...
    def between(self, after: EntryId, up_to: EntryId) -> Iterator[tuple[EntryId, Record]]: ...


def is_session_start(entry_id: EntryId) -> bool:
    """True for the first entry that a recording session wrote."""
    return entry_id[1] & _K <= 1


def lacking(before: EntryId, after: EntryId) -> int | None:
    """How many entries stood between the two, as far as their numbers tell; None if that is unknown but some did."""
    if session_of(before) == session_of(after):
        return after[1] - before[1] - 1
    return 0 if is_session_start(after) else None


class MarketTape(Generic[R]):
    """Ticks, trades or books of one contract.

    A jump in the stream's numbers (it was trimmed past the reader, or Redis lost entries) is looked up in MongoDB;
    what neither has is told by a `Feed` record with state `gap` in its place.
    """

    def __init__(self, record: type[R], contract: str, kind: str, stream: Stream, store: Callable[[], Store]) -> None:
        """Nothing is read yet.

        Args:
            record: class of the records.
            contract: canonical name.
            kind: `tick`, `trade` or `book`.
            stream: the live end.
            store: gives the stored end; called only when it is needed.
        """
        self._record = record
        self._contract = contract
        self._kind = kind
        self._stream = stream
        self._store = store

    def play(self, since: int | None, block: float | None) -> Iterator[R | Feed]:
        """Records from a moment on, in the order of the stream.

        Args:
            since: first receive time, ns since 1970 UTC; None for what comes from now on.
            block: end when nothing came for that many seconds; None never ends.

        Raises:
            StorageError: MongoDB did not answer at the beginning, or Redis did not for 30 s.
        """
        for record in self._everything(since, block):
            if since is None or isinstance(record, Feed) or record.time >= since:
                yield record

    def _everything(self, since: int | None, block: float | None) -> Iterator[R | Feed]:
        """The tape, with a few records of the same millisecond before its beginning."""
        anchor: EntryId | None
        if since is None:
            last = self._stream.last()
            anchor = last.id if last else None
            position = anchor or START
        else:
            position = (max(0, since // _NS_PER_MS), 0)
            anchor = self._store().through()
            if anchor is None or anchor <= position:
                anchor = None
            else:
                yield from self._stretch(position, anchor)
                position = anchor
        cut = since is not None and anchor is None and self._is_cut(position)
        while entries := self._stream.after(position, block):
            for entry in entries:
                if anchor is not None and entry.id[1] != anchor[1] + 1:
                    yield from self._missing(anchor, entry.id)
                elif cut:
                    yield from self._beginning(position, entry.id)
                cut = False
                yield self._decoded(entry)
                position = anchor = entry.id

    def _stretch(self, after: EntryId, up_to: EntryId) -> Iterator[R | Feed]:
        """What MongoDB has after one id and up to another; where it lacks some of it, what the stream still has."""
        last: EntryId | None = None
        of_session: dict[int, EntryId] = {}  # two collectors may have overlapped
        for entry_id, record in self._stored(after, up_to):
            session = session_of(entry_id)
            before = of_session.get(session, last)
            if before is not None and lacking(before, entry_id) != 0:
                yield from self._streamed(before, entry_id)
            last = of_session[session] = entry_id
            yield record
        if last is not None and last != up_to:
            yield from self._streamed(last, (up_to[0], up_to[1] + 1))

    def _streamed(self, last: EntryId, next_id: EntryId) -> Iterator[R | Feed]:
        """What the stream has between two entries, and a gap for what it has not either."""
        reached = last
        while entries := self._stream.after(reached, 0.0):
            for entry in entries:
                if entry.id >= next_id:
                    break
                if lacking(reached, entry.id) != 0:
                    yield self._neither(reached, entry.id)
                reached = entry.id
                yield self._decoded(entry)
            if entries[-1].id >= next_id:
                break
        if lacking(reached, next_id) != 0:
            yield self._neither(reached, next_id)

    def _is_cut(self, position: EntryId) -> bool:
        """True if the stream begins behind the position and lacks its own beginning."""
        first = self._stream.first()
        return first is not None and first.id > position and not is_session_start(first.id)

    def _decoded(self, entry: Entry) -> R | Feed:
        try:
            return unpack_record(self._record, entry.data)
        except Unreadable as error:
            return self._gap(entry.id, entry.id, f"entry {id_text(entry.id)} cannot be read: {error}")

    def _beginning(self, start: EntryId, first: EntryId) -> Iterator[R | Feed]:
        """What MongoDB has between a moment and the stream's first entry, and a gap unless the two meet."""
        last: EntryId | None = None
        for entry_id, record in self._stored(start, (first[0], first[1] - 1)):
            last = entry_id
            yield record
        if last is None:
            last = self._store().last_before(first)
        if last is None or lacking(last, first) != 0:
            where = f"between {id_text(max(start, last or start))} and {id_text(first)}"
            yield self._gap(start, first, f"entries {where} are neither in the stream nor in MongoDB")

    def _missing(self, after: EntryId, next_id: EntryId) -> Iterator[R | Feed]:
        """What MongoDB has between two entries, and a gap if that is not all.

        Where another session begins it is asked too: Redis may have lost the end of the one before.
        """
        found, cause, last = 0, "", after
        try:
            for entry_id, record in self._stored(after, (next_id[0], next_id[1] - 1)):
                found, last = found + 1, entry_id
                yield record
        except StorageError as error:
            cause = f"; {error}"
        expected = lacking(after, next_id)
        if expected is None or expected > found:
            yield self._neither(after, next_id, found, last, cause)

    def _stored(self, after: EntryId, up_to: EntryId) -> Iterator[tuple[EntryId, R]]:
        for entry_id, record in self._store().between(after, up_to):
            if isinstance(record, self._record):
                yield entry_id, record

    def _neither(
        self, after: EntryId, next_id: EntryId, found: int = 0, last: EntryId | None = None, more: str = ""
    ) -> Feed:
        """A gap: of what stood between two entries only `found` are anywhere, the last of them at `last`."""
        expected = lacking(after, next_id)
        number = "entries" if expected is None else f"{expected - found} entries"
        where = f"between {id_text(after)} and {id_text(next_id)}"
        return self._gap(last or after, next_id, f"{number} {where} are neither in the stream nor in MongoDB{more}")

    def _gap(self, after: EntryId, next_id: EntryId, cause: str) -> Feed:
        return Feed(next_id[0] * _NS_PER_MS, "gap", cause, self._contract, self._kind, after[0] * _NS_PER_MS)
