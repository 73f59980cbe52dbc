"""Permits on a real server: windows hold under concurrency, and a refusal takes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.permits import Permits
from tickrouter.core.permits import Rule

PLACE = "POST /api/v1/order"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = connect(redis_url)
    yield client
    client.close()


def permits(redis: Redis, venue: str, *rules: Rule, account: str = "main") -> Permits:
    return Permits(redis, venue, rules, account=account, ip="local")


def test_a_window_is_never_exceeded_by_many_takers(redis: Redis, unique: str) -> None:
    rule = Rule("second", 20, 0.5, PLACE, use=1.0)
    granted: list[float] = []
    lock = threading.Lock()
    ends = time.monotonic() + 1.6

    def taker() -> None:
        mine = permits(redis, unique, rule)
        while time.monotonic() < ends:
            wait = mine.take(PLACE)
            if wait == 0:
                seconds, micros = redis.time()
                with lock:
                    granted.append(seconds + micros / 1e6)
            else:
                threading.Event().wait(min(wait, 0.05))

    takers = [threading.Thread(target=taker) for _ in range(4)]
    for thread in takers:
        thread.start()
    for thread in takers:
        thread.join()
    granted.sort()
    # The grant's own time is a little before ours, so a window of ours may be read short by that much.
    crowded = [later - earlier for earlier, later in zip(granted, granted[20:], strict=False)]
    assert len(granted) >= 60
    assert all(gap > 0.45 for gap in crowded)


def test_all_windows_or_none(redis: Redis, unique: str) -> None:
    both = permits(redis, unique, Rule("narrow", 1, 60, PLACE, use=1.0), Rule("wide", 10, 60, PLACE, use=1.0))
    assert both.take(PLACE) == 0
    assert 59 < both.take(PLACE) <= 60
    assert both.used() == {"narrow": (1, 1), "wide": (1, 10)}


def test_accounts_share_what_is_counted_by_ip_and_nothing_else(redis: Redis, unique: str) -> None:
    rules = (Rule("own", 2, 60, PLACE, use=1.0, scope="account"), Rule("shared", 3, 60, PLACE, use=1.0))
    first = permits(redis, unique, *rules, account="first")
    second = permits(redis, unique, *rules, account="second")
    assert [first.take(PLACE), first.take(PLACE)] == [0, 0]
    assert first.take(PLACE) > 0
    assert second.take(PLACE) == 0
    assert second.take(PLACE) > 0


def test_a_cooldown_is_seen_by_everybody(redis: Redis, unique: str) -> None:
    rule = Rule("wide", 100, 60, PLACE)
    permits(redis, unique, rule).cool_down(PLACE, 30)
    assert 29 < permits(redis, unique, rule, account="other").take(PLACE) <= 30
    assert permits(redis, unique, rule).take("DELETE /api/v1/order") == 0


def test_what_was_forgotten_counts_as_one_longest_window(redis: Redis, unique: str) -> None:
    mine = permits(redis, unique, Rule("second", 10, 1, PLACE), Rule("minute", 300, 60, PLACE))
    mine.spend((PLACE,))
    assert 59 < mine.take(PLACE) <= 60
