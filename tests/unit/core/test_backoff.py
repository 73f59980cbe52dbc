"""Waits between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.backoff import Backoff


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(1.0, 60.0, 1000)
    assert [backoff.delay(0.0, 0.5) for _ in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 40.0, 40.0]


def test_chance_spreads_a_wait_and_the_cap_holds() -> None:
    assert Backoff(1.0, 60.0, 10).delay(0.0, 0.0) == 0.5
    assert Backoff(1.0, 60.0, 10).delay(0.0, 0.999) < 1.5
    late = Backoff(1.0, 60.0, 10)
    assert max(late.delay(0.0, 0.999) for _ in range(50)) < 60.0


def test_a_connection_that_held_begins_anew() -> None:
    backoff = Backoff(1.0, 60.0, 10, healthy_after=30.0)
    backoff.attempt(0.0)
    assert [backoff.delay(1.0, 0.5), backoff.delay(1.0, 0.5)] == [1.0, 2.0]
    backoff.attempt(10.0)
    assert backoff.delay(39.0, 0.5) == 4.0
    backoff.attempt(50.0)
    assert backoff.delay(80.0, 0.5) == 1.0


@given(st.lists(st.floats(0.0, 40.0), max_size=80), st.floats(0.0, 0.999))
def test_no_minute_sees_more_attempts_than_allowed(lifetimes: list[float], chance: float) -> None:
    backoff = Backoff(0.01, 60.0, 15)
    now, attempts = 0.0, []
    for lifetime in lifetimes:
        attempts.append(now)
        backoff.attempt(now)
        now += lifetime
        now += backoff.delay(now, chance)
    for first, sixteenth in zip(attempts, attempts[15:], strict=False):
        assert sixteenth - first >= 60.0 - 1e-6
