"""Silence, by record kind."""

from __future__ import annotations

from tickrouter.core.staleness import Staleness

SECOND = 1_000_000_000


def test_a_kind_goes_stale_once_and_comes_back() -> None:
    staleness = Staleness({"tick": 15, "trade": 900})
    staleness.reset(0)
    assert staleness.check(15 * SECOND) == []
    assert staleness.check(15 * SECOND + 1) == [("tick", 0)]
    assert staleness.check(16 * SECOND) == []
    assert not staleness.is_all_stale
    assert staleness.seen("tick", 20 * SECOND) == 0
    assert staleness.seen("tick", 21 * SECOND) is None
    assert staleness.check(36 * SECOND + 1) == [("tick", 21 * SECOND)]


def test_all_stale_means_that_nothing_comes() -> None:
    staleness = Staleness({"tick": 1, "trade": 2})
    staleness.reset(0)
    assert staleness.check(3 * SECOND) == [("tick", 0), ("trade", 0)]
    assert staleness.is_all_stale
    staleness.reset(4 * SECOND)
    assert not staleness.is_all_stale
    assert staleness.check(5 * SECOND) == []


def test_a_kind_without_a_limit_is_never_stale() -> None:
    staleness = Staleness({})
    staleness.reset(0)
    assert staleness.seen("tick", 1) is None
    assert staleness.check(10**18) == []
    assert not staleness.is_all_stale
