"""The tape of events and fills over two stores in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.bus.subscribe import Entry, EntryId, parse_id
from tickrouter.errors import HistoryGap, StorageError
from tickrouter.tape.numbered import Stored, play


class MemoryStream:
    def __init__(self, ids: list[EntryId], page: int = 100) -> None:
        self.entries = [Entry(at, b"redis") for at in ids]
        self.page = page

    def first(self) -> Entry | None:
        return self.entries[0] if self.entries else None

    def last(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    def after(self, position: EntryId, block: float | None) -> list[Entry]:
        return [entry for entry in self.entries if entry.id > position][: self.page]


def stored(ids: list[EntryId]) -> Stored:
    def read(after: EntryId, before: EntryId | None) -> Iterator[tuple[EntryId, bytes]]:
        return ((at, b"mongo") for at in ids if after < at and (before is None or at < before))

    return read


def unreachable(after: EntryId, before: EntryId | None) -> Iterator[tuple[EntryId, bytes]]:
    raise StorageError("MongoDB: gone")


def numbers(*texts: str) -> list[EntryId]:
    return [parse_id("test", text) for text in texts]


def epoch(number: int, first: int, last: int) -> list[EntryId]:
    return [(number, seq) for seq in range(first, last + 1)]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(1, 5),
)
def test_every_number_once_wherever_the_stores_meet(
    lengths: list[int], kept: int, copied: int, after: int, page: int
) -> None:
    everything = [at for number, length in enumerate(lengths, start=1) for at in epoch(number, 1, length)]
    copied = min(copied, len(everything))
    kept = min(kept, copied)  # Redis is trimmed only behind MongoDB
    start = everything[after] if after < len(everything) else (0, 0)
    played = list(play(MemoryStream(everything[kept:], page), stored(everything[:copied]), start, block=0))
    assert [entry.id for entry in played] == [at for at in everything if at > start]


def test_what_redis_still_has_needs_no_mongodb() -> None:
    stream = MemoryStream(epoch(1, 1, 5))
    assert len(list(play(stream, unreachable, (0, 0), block=0))) == 5
    assert len(list(play(stream, unreachable, (1, 3), block=0))) == 2


def test_from_now_on_begins_behind_the_newest() -> None:
    assert list(play(MemoryStream(epoch(1, 1, 5)), unreachable, None, block=0)) == []


def test_an_empty_stream_is_read_from_mongodb() -> None:
    played = list(play(MemoryStream([]), stored(epoch(1, 1, 3)), (1, 1), block=0))
    assert [entry.id for entry in played] == epoch(1, 2, 3)


def test_the_end_of_an_epoch_that_redis_forgot_comes_from_mongodb() -> None:
    stream = MemoryStream(epoch(1, 1, 3) + epoch(2, 1, 2))
    played = list(play(stream, stored(epoch(1, 1, 5)), (1, 1), block=0))
    assert [entry.id for entry in played] == epoch(1, 2, 5) + epoch(2, 1, 2)


def test_a_hole_in_what_is_stored_before_the_stream_raises() -> None:
    played = play(MemoryStream(epoch(1, 7, 8)), stored(epoch(1, 1, 2) + epoch(1, 5, 6)), (1, 1), block=0)
    assert next(played).id == (1, 2)
    with pytest.raises(HistoryGap, match=r"between 1-2 and 1-5.*after='1-4'"):
        next(played)
    rest = play(MemoryStream(epoch(1, 7, 8)), stored(epoch(1, 1, 2) + epoch(1, 5, 6)), (1, 4), block=0)
    assert [entry.id for entry in rest] == epoch(1, 5, 8)


def test_a_hole_in_both_raises_and_says_how_to_go_on() -> None:
    played = play(MemoryStream(epoch(1, 1, 2) + epoch(1, 7, 8)), stored([(1, 3)]), (0, 0), block=0)
    with pytest.raises(HistoryGap, match=r"between 1-3 and 1-7.*after='1-6'"):
        list(played)


def test_going_on_behind_the_hole_works() -> None:
    played = play(MemoryStream(epoch(1, 1, 2) + epoch(1, 7, 8)), stored([(1, 3)]), (1, 6), block=0)
    assert [entry.id for entry in played] == epoch(1, 7, 8)


def test_an_unreachable_mongodb_raises_where_it_is_needed() -> None:
    with pytest.raises(StorageError, match="gone"):
        list(play(MemoryStream(epoch(1, 4, 5)), unreachable, (0, 0), block=0))
