"""What claims say together, compared with a model that looks at every moment by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core import coverage
from tickrouter.core.coverage import Ledger, holes, opened, paint
from tickrouter.model.coverage import Claim, Interval, Opening

C = "btcturk/btc.try"
STATES = st.sampled_from(["live", "backfilled", "missing", "unknown"])


def claim(session: int, told: int, state: str, start: int, end: int, note: str = "") -> Claim:
    return Claim(told, C, "tick", session, f"{session}-{told}", state, start, end, state, note=note)


CLAIMS = st.lists(
    st.builds(
        lambda session, told, state, start, size: claim(session, told, state, start, start + size),
        st.integers(1, 3),
        st.integers(0, 50),
        STATES,
        st.integers(-5, 20),
        st.integers(0, 10),
    ),
    max_size=12,
    unique_by=lambda one: (one.session, one.told),
)


@given(CLAIMS, st.integers(0, 15), st.integers(0, 15))
def test_each_moment_is_as_the_last_claim_about_it_says(claims: list[Claim], start: int, size: int) -> None:
    found = paint(claims, start, start + size)
    assert [(one.start, one.end) for one in found] == list(
        zip([start] * bool(found) + [one.end for one in found[:-1]], [one.end for one in found], strict=True)
    )
    assert (found[-1].end if found else start) == start + size
    written = max((one.end for one in claims), default=start)
    for moment in range(start, start + size):
        about = [one for one in claims if one.start <= moment < one.end]
        last = max(about, key=lambda one: (one.session, one.told), default=None)
        expected = last.state if last else "unknown" if claims and moment >= written else "missing"
        assert [one.state for one in found if one.start <= moment < one.end] == [expected]


def test_neighbours_that_say_the_same_are_one_and_notes_are_passed_over() -> None:
    claims = [claim(1, 1, "live", 0, 5), claim(1, 2, "live", 5, 9), claim(1, 3, "missing", 2, 3, note="redis")]
    assert paint(claims, 0, 9) == [Interval(0, 9, "live", "live")]
    assert holes(paint(claims, 0, 10)) == [Interval(9, 10, "unknown", coverage.NOT_YET)]
    assert paint([], 0, 5) == [Interval(0, 5, "missing", coverage.NEVER)]


def test_a_collector_that_died_leaves_unknown_up_to_its_last_sign_of_life_and_missing_behind() -> None:
    opening = Opening(100, C, 2, ("tick",), 60)
    before = claim(1, 0, "live", 0, 50)
    assert [(one.start, one.end, one.state) for one in paint([before, *opened(opening, "tick", 50, True)], 0, 100)] == [
        (0, 50, "live"),
        (50, 60, "unknown"),
        (60, 100, "missing"),
    ]
    assert [(one.start, one.state) for one in opened(Opening(100, C, 2, ("tick",), 60), "tick", 50, False)] == [
        (50, "missing")
    ]
    assert opened(Opening(50, C, 2, ("tick",), 60), "tick", 50, True) == []


def test_a_long_claim_is_gone_on_with_and_states_are_kept_over_sessions() -> None:
    ledger = Ledger(C, ("tick",))
    assert ledger.turn("tick", "live", "connected", 5) == []
    claims = ledger.begin(1, 10)
    ledger.stored("tick", (1, 1), (1, 1), 1)
    late = 10 + coverage.ROTATE_NS
    claims += ledger.renew(20) + ledger.renew(late)
    ledger.stored("tick", (1, 2), (1, 2), 1)
    claims += ledger.begin(2, late + 5) + ledger.stop(late + 9)
    last = {one.name: one for one in claims}
    assert [(one.session, one.start, one.end, one.count, one.is_open) for one in last.values()] == [
        (1, 10, late, 1, False),
        (1, late, late + 5, 1, False),
        (2, late + 5, late + 9, 0, False),
    ]
    assert ledger.turn("tick", "missing", "down", late + 10) == []
    assert ledger.turn("book", "live", "x", 1) == []
    assert ledger.point("tick", "missing", "x", (1, 2), 3) == []
