"""Permits on a real server: windows hold under concurrency, and a refusal takes nothing."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.waiting import until
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.permits import Grant, Permits
from tickrouter.bus.scripts import source
from tickrouter.core.permits import Rule, Window

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
    arrived: list[float] = []
    chance = random.Random(7)
    lock = threading.Lock()
    ends = time.monotonic() + 2.0

    def taker() -> None:
        mine = permits(redis, unique, rule)
        while time.monotonic() < ends:
            taken = mine.take(PLACE)
            if isinstance(taken, float):
                threading.Event().wait(min(taken, 0.05))
                continue
            # The venue counts the request at some moment between grant and return, here a late one.
            threading.Event().wait(chance.uniform(0, 0.2))
            with lock:
                arrived.append(time.monotonic())
            mine.give_back(taken)

    takers = [threading.Thread(target=taker) for _ in range(4)]
    for thread in takers:
        thread.start()
    for thread in takers:
        thread.join()
    arrived.sort()
    crowded = [later - earlier for earlier, later in zip(arrived, arrived[20:], strict=False)]
    assert len(arrived) >= 40
    assert all(gap > 0.5 for gap in crowded)


def test_a_permit_without_an_answer_counts_for_as_long_as_a_request_may_last(redis: Redis, unique: str) -> None:
    rule = Rule("second", 1, 0.1, PLACE, use=1.0)
    mine = Permits(redis, unique, (rule,), account="main", ip="local", held=0.5)
    began = time.monotonic()
    assert isinstance(mine.take(PLACE), Grant)
    until(lambda: isinstance(mine.take(PLACE), Grant), 5)
    assert time.monotonic() - began >= 0.6


def waits(taken: Grant | float) -> float:
    """Seconds to wait; 0 for a grant."""
    return taken if isinstance(taken, float) else 0


def test_all_windows_or_none(redis: Redis, unique: str) -> None:
    both = permits(redis, unique, Rule("narrow", 1, 60, PLACE, use=1.0), Rule("wide", 10, 60, PLACE, use=1.0))
    grant = both.take(PLACE)
    assert isinstance(grant, Grant)
    both.give_back(grant)
    assert 59 < waits(both.take(PLACE)) <= 60
    assert both.used() == {"narrow": (1, 1), "wide": (1, 10)}


def test_accounts_share_what_is_counted_by_ip_and_nothing_else(redis: Redis, unique: str) -> None:
    rules = (Rule("own", 2, 60, PLACE, use=1.0, scope="account"), Rule("shared", 3, 60, PLACE, use=1.0))
    first = permits(redis, unique, *rules, account="first")
    second = permits(redis, unique, *rules, account="second")
    assert [waits(first.take(PLACE)), waits(first.take(PLACE))] == [0, 0]
    assert waits(first.take(PLACE)) > 0
    assert waits(second.take(PLACE)) == 0
    assert waits(second.take(PLACE)) > 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["take", "return"]), st.integers(0, 700_000)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=3),
)
def test_script_and_model_agree_on_every_schedule(
    redis: Redis, moves: list[tuple[str, int]], windows: list[tuple[int, int]]
) -> None:
    """The scripts with a clock of the test's own before them, against the pure model."""
    interval, held = 1_000_000, 2_000_000
    name = uuid.uuid4().hex
    clock = f"local now = tonumber(redis.call('GET', 'clock:{{{name}}}'))\n"
    take, give = (redis.register_script(clock + source(script)) for script in ("permit", "permit_return"))
    keys = [f"permit:{{{name}}}:{number}" for number in range(len(windows))]
    models = [Window(interval, held) for _ in windows]
    now, taken = 1_000_000, []
    for number, (move, pause) in enumerate(moves):
        now += pause
        redis.set(f"clock:{{{name}}}", now)
        if move == "return" and taken:
            grant = taken.pop(0)
            args = [part for _, weight in windows for part in (interval, weight)]
            give(keys=keys, args=[grant, *args])
            for model, (_, weight) in zip(models, windows, strict=True):
                model.give_back(grant, weight, now)
            continue
        args = [part for usable, weight in windows for part in (usable, interval, weight)]
        said = int(take(keys=[f"permit:{{{name}}}:cool", *keys], args=[str(number), held, *args]))
        expected = max(model.wait(*window, now) for model, window in zip(models, windows, strict=True))
        assert said == expected
        if said == 0:
            taken.append(str(number))
            for model, (_, weight) in zip(models, windows, strict=True):
                model.take(str(number), weight, now)


def test_a_cooldown_is_seen_by_everybody(redis: Redis, unique: str) -> None:
    rule = Rule("wide", 100, 60, PLACE)
    permits(redis, unique, rule).cool_down(PLACE, 30)
    assert 29 < waits(permits(redis, unique, rule, account="other").take(PLACE)) <= 30
    assert waits(permits(redis, unique, rule).take("DELETE /api/v1/order")) == 0
