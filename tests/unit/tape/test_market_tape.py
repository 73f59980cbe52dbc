"""The market tape over two stores in memory: no hole, no repeat, and a record of what neither has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.bus.codec import pack_record
from tickrouter.bus.subscribe import Entry, EntryId
from tickrouter.errors import StorageError
from tickrouter.model.feed import Feed
from tickrouter.model.record import Record
from tickrouter.model.tick import Tick
from tickrouter.tape.market import MarketTape, is_session_start, lacking

CONTRACT = "btcturk/btc.try"
SESSION = 1 << 40
MS = 1_700_000_000_000


def entry_id(k: int, session: int = 1) -> EntryId:
    return MS + k, session * SESSION + k


def tick(at: EntryId) -> Tick:
    return Tick(at[0] * 1_000_000, float(at[1] % SESSION), None, (), (), CONTRACT, "trade")


@dataclass
class MemoryStream:
    """A stream that gives its entries in pages, and may lose its front between two of them."""

    entries: list[Entry]
    page: int = 100
    trims: list[EntryId] = field(default_factory=list)

    def first(self) -> Entry | None:
        return self.entries[0] if self.entries else None

    def last(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    def after(self, position: EntryId, block: float | None) -> list[Entry]:
        if self.trims:
            limit = self.trims.pop(0)
            self.entries = [entry for entry in self.entries if entry.id >= limit]
        return [entry for entry in self.entries if entry.id > position][: self.page]


@dataclass
class MemoryStore:
    ids: list[EntryId]
    complete: EntryId | None
    broken: bool = False

    def through(self) -> EntryId | None:
        return self.complete

    def last_before(self, entry_id: EntryId) -> EntryId | None:
        return max((at for at in self.ids if at < entry_id), default=None)

    def between(self, after: EntryId, up_to: EntryId) -> Iterator[tuple[EntryId, Record]]:
        if self.broken:
            raise StorageError("MongoDB: gone")
        yield from ((at, tick(at)) for at in self.ids if after < at <= up_to)


def stream_of(ids: list[EntryId], page: int = 100) -> MemoryStream:
    return MemoryStream([Entry(at, pack_record(tick(at))) for at in ids], page)


def play(stream: MemoryStream, store: MemoryStore, since: int | None = 1) -> list[int | str]:
    """Numbers of the ticks, and `gap:<cause>` for gaps."""
    tape = MarketTape(Tick, CONTRACT, "tick", stream, lambda: store)
    return [
        f"gap:{record.cause}" if isinstance(record, Feed) else int(record.price or 0)
        for record in tape.play(since, block=0)
    ]


def ids(first: int, last: int, session: int = 1) -> list[EntryId]:
    return [entry_id(k, session) for k in range(first, last + 1)]


@given(
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 40),
    st.integers(0, 31),
    st.integers(1, 7),
)
def test_every_record_once_wherever_the_stores_meet(
    count: int, stored: int, complete: int, kept_from: int, since: int, page: int
) -> None:
    stored, complete = min(stored, count), min(complete, stored, count)
    kept_from = min(kept_from, stored + 1, count)  # trimmed only behind what is stored, and never empty
    stream = stream_of(ids(kept_from, count), page)
    store = MemoryStore(ids(1, stored), entry_id(complete) if complete else None)
    start = entry_id(since)[0] * 1_000_000
    assert play(stream, store, start) == list(range(max(1, since), count + 1))


def test_from_now_on_needs_no_store() -> None:
    stream = stream_of(ids(1, 5))
    tape = MarketTape(Tick, CONTRACT, "tick", stream, lambda: pytest.fail("asked"))
    assert list(tape.play(None, block=0)) == []


class GrowingStream(MemoryStream):
    """Empty when the tape begins, with entries when it reads."""

    def last(self) -> Entry | None:
        return None


def test_from_now_on_the_first_entry_is_no_gap_whatever_its_number() -> None:
    stream = GrowingStream(stream_of(ids(9, 10)).entries)
    tape = MarketTape(Tick, CONTRACT, "tick", stream, lambda: pytest.fail("asked"))
    assert [record.price for record in tape.play(None, block=0) if isinstance(record, Tick)] == [9, 10]


def test_trimmed_past_history_is_a_gap_with_its_ends() -> None:
    stream, store = stream_of(ids(8, 10)), MemoryStore(ids(1, 4), entry_id(4))
    tape = MarketTape(Tick, CONTRACT, "tick", stream, lambda: store)
    records = list(tape.play(1, block=0))
    gap = records[4]
    assert isinstance(gap, Feed)
    assert (gap.state, gap.kind, gap.contract) == ("gap", "tick", CONTRACT)
    assert (gap.since, gap.time) == (entry_id(4)[0] * 1_000_000, entry_id(8)[0] * 1_000_000)
    assert gap.cause.startswith("3 entries between ")
    assert [record.price for record in records if isinstance(record, Tick)] == [1, 2, 3, 4, 8, 9, 10]


def test_what_mongodb_lacks_below_its_through_is_read_from_the_stream_or_told() -> None:
    """Its sink gave some up, or a key was taken: `through` passes over that, for nothing will come there any more."""
    store = MemoryStore(ids(1, 3) + ids(8, 9), entry_id(10))
    assert play(stream_of(ids(1, 12), page=2), store) == list(range(1, 13))
    played = play(stream_of(ids(6, 12), page=2), store)
    assert [*played[:3], *played[4:]] == [1, 2, 3, *range(6, 13)]
    assert str(played[3]).startswith("gap:2 entries between ")
    played = play(stream_of(ids(12, 12)), store)
    assert [one for one in played if isinstance(one, int)] == [1, 2, 3, 8, 9, 12]
    gaps = [one.partition(" ")[0] for one in played if isinstance(one, str)]
    assert gaps == ["gap:4", "gap:1", "gap:1"]


def test_sessions_that_overlap_in_mongodb_are_no_hole() -> None:
    first, second = ids(1, 6), [(MS + k + 3, 2 * SESSION + k) for k in (1, 2, 3)]
    store = MemoryStore(sorted([*first, *second]), max([*first, *second]))
    assert all(isinstance(one, int) for one in play(stream_of([]), store))


def test_trimmed_under_a_slow_reader_is_read_from_history() -> None:
    stream = stream_of(ids(1, 20), page=4)
    stream.trims = [entry_id(1), entry_id(15)]
    assert play(stream, MemoryStore(ids(1, 20), None)) == list(range(1, 21))


def test_what_history_has_of_a_hole_is_given_and_the_rest_is_told() -> None:
    stream = stream_of(ids(1, 3) + ids(8, 9))
    played = play(stream, MemoryStore(ids(5, 6), None))
    assert played[:5] == [1, 2, 3, 5, 6]
    assert str(played[5]).startswith("gap:2 entries")
    assert played[6:] == [8, 9]


def test_a_hole_while_mongodb_is_gone_is_told_and_reading_goes_on() -> None:
    played = play(stream_of(ids(1, 2) + ids(4, 5)), MemoryStore([], None, broken=True))
    assert played[:2] == [1, 2]
    assert str(played[2]).startswith("gap:1 entries")
    assert str(played[2]).endswith("MongoDB: gone")
    assert played[3:] == [4, 5]


def test_a_new_session_is_no_hole() -> None:
    later = [(MS + 50 + k, 2 * SESSION + k) for k in (1, 2)]
    assert play(stream_of([*ids(1, 3), *later]), MemoryStore([], None)) == [1, 2, 3, 1, 2]


def test_the_end_of_a_session_that_redis_lost_comes_from_history() -> None:
    later = [(MS + 50 + k, 2 * SESSION + k) for k in (1, 2)]
    assert play(stream_of([*ids(1, 3), *later]), MemoryStore(ids(4, 5), None)) == [1, 2, 3, 4, 5, 1, 2]


def test_a_session_without_its_beginning_is_a_gap() -> None:
    later = [(MS + 50, 2 * SESSION + 7)]
    played = play(stream_of([*ids(1, 2), *later]), MemoryStore([], None))
    assert [played[0], played[1], played[3]] == [1, 2, 7]
    assert str(played[2]).startswith("gap:entries between")


def test_a_stream_that_was_cut_before_anything_was_stored_is_a_gap() -> None:
    played = play(stream_of(ids(5, 6)), MemoryStore([], None))
    assert str(played[0]).startswith("gap:")
    assert played[1:] == [5, 6]


def test_a_point_inside_the_stream_is_no_gap() -> None:
    assert play(stream_of(ids(5, 9)), MemoryStore([], None), entry_id(7)[0] * 1_000_000) == [7, 8, 9]


def test_an_entry_that_cannot_be_read_is_told_in_its_place() -> None:
    stream = stream_of(ids(1, 3))
    stream.entries[1] = Entry(entry_id(2), b"junk")
    played = play(stream, MemoryStore([], None))
    assert [played[0], played[2]] == [1, 3]
    assert "cannot be read" in str(played[1])


def test_numbers_tell_what_is_missing() -> None:
    assert lacking(entry_id(3), entry_id(4)) == 0
    assert lacking(entry_id(3), entry_id(9)) == 5
    assert lacking(entry_id(3), (MS + 9, 2 * SESSION + 1)) == 0
    assert lacking(entry_id(3), (MS + 9, 2 * SESSION + 2)) is None
    assert is_session_start((MS, SESSION + 1))
    assert not is_session_start((MS, SESSION + 2))
