"""Entry ids of market streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.entry_ids import LAST_SESSION, SESSION_BITS, EntryIds, next_session, session_of, text_of

MS = 1_000_000


def test_ids_hold_session_and_a_dense_count() -> None:
    ids = EntryIds(3)
    first, second = ids.next(1_700_000_000_000 * MS), ids.next(1_700_000_000_001 * MS)
    assert first == (1_700_000_000_000, (3 << SESSION_BITS) + 1)
    assert second == (1_700_000_000_001, (3 << SESSION_BITS) + 2)
    assert session_of(second) == 3
    assert text_of((7, 9)) == "7-9"


def test_a_clock_that_goes_back_does_not_take_the_ids_along() -> None:
    ids = EntryIds(1, last_ms=50)
    assert [ids.next(now * MS)[0] for now in (40, 60, 55)] == [50, 60, 60]


@given(st.lists(st.integers(0, 10**18), min_size=2, max_size=50), st.integers(1, LAST_SESSION))
def test_ids_rise_whatever_the_clock_does_and_fit_an_int64(times: list[int], session: int) -> None:
    ids = EntryIds(session)
    made = [ids.next(now) for now in times]
    assert made == sorted(set(made))
    assert all(n < 2**63 for _, n in made)


def test_a_session_is_one_above_all_that_were_found() -> None:
    assert next_session([]) == 1
    assert next_session([4, 9, 2]) == 10
    assert next_session([4, 2**24]) == 5


def test_ids_taken_together_are_those_taken_one_by_one() -> None:
    one, other = EntryIds(3, 5), EntryIds(3, 5)
    assert one.take(3, 7_000_000) == [other.next(7_000_000) for _ in range(3)]
    assert one.take(2, 6_000_000) == [other.next(6_000_000) for _ in range(2)]
    assert one.next(9_000_000) == other.take(1, 9_000_000)[0] == (9, (3 << 40) + 6)
