"""Permits on a real server: windows hold under concurrency, and a refusal takes nothing."""

from __future__ import annotations

import random
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.stack.servers import Server, redis_server
from tests.waiting import until
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.permits import Grant, Permits
from tickrouter.bus.scripts import source
from tickrouter.core.permits import Rule, Window
from tickrouter.errors import StorageError

PLACE = "POST /api/v1/order"
MOVES = ("take", "take", "take", "return", "return", "wipe", "restart")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = connect(redis_url)
    yield client
    client.close()


def permits(redis: Redis, venue: str, *rules: Rule, account: str = "main") -> Permits:
    return Permits(redis, venue, rules, account=account, ip="local", unused=lambda: True)


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
    mine = Permits(redis, unique, (rule,), account="main", ip="local", unused=lambda: True, held=0.5)
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
    st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 700_000)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=3),
)
def test_script_and_model_agree_on_every_schedule(
    redis: Redis, moves: list[tuple[str, int]], windows: list[tuple[int, int]]
) -> None:
    """The scripts with a clock of the test's own before them, against the pure model."""
    interval, held = 1_000_000, 2_000_000
    name = uuid.uuid4().hex
    clock = f"local now = tonumber(redis.call('GET', 'clock:{{{name}}}'))\n"
    take, give, open_it = (
        redis.register_script(clock + source(script)) for script in ("permit", "permit_return", "permit_open")
    )
    memory = f"permit:{{{name}}}:memory:server"
    keys = [f"permit:{{{name}}}:{number}" for number in range(len(windows))]
    models = [Window(interval, held) for _ in windows]
    now, taken = 1_000_000, []
    redis.set(f"clock:{{{name}}}", now)
    life = open_it(keys=[memory], args=["", 0, 1])
    for number, (move, pause) in enumerate(moves):
        now += pause
        redis.set(f"clock:{{{name}}}", now)
        if move == "wipe":
            redis.delete(memory, *keys)
            assert take(keys=[memory, f"permit:{{{name}}}:cool"], args=["x", held, life]) == -1
        elif move == "restart":
            # Its windows are there, but nobody knows whether they are whole.
            redis.hset(memory, "run", "an earlier life")
        if move in ("wipe", "restart"):
            life = open_it(keys=[memory], args=["", 0, 0])
            for model in models:
                model.forget(now, empty=move == "wipe")
            continue
        if move == "return" and taken:
            grant = taken.pop(0)
            args = [part for _, weight in windows for part in (interval, weight)]
            give(keys=keys, args=[grant, *args])
            for model, (_, weight) in zip(models, windows, strict=True):
                model.give_back(grant, weight, now)
            continue
        args = [part for usable, weight in windows for part in (usable, interval, weight)]
        said = int(take(keys=[memory, f"permit:{{{name}}}:cool", *keys], args=[str(number), held, life, *args]))
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


WIDE = Rule("wide", 3, 2.0, PLACE, use=1.0)


def own_server(folder: Path, appendfsync: str) -> Server:
    """A server that a test may kill and wipe."""
    return redis_server(folder / "redis", appendfsync=appendfsync)


def deployed(redis: Redis, venue: str) -> Permits:
    """Permits of a deployment that has sent orders before."""
    return Permits(redis, venue, (WIDE,), account="main", ip="local", unused=lambda: False)


def test_the_first_start_of_all_waits_for_nothing_and_any_other_on_an_empty_server_for_one_interval(
    redis: Redis, unique: str
) -> None:
    assert waits(permits(redis, unique, WIDE).take(PLACE)) == 0
    began = time.monotonic()
    later = deployed(redis, f"{unique}2")
    assert 1.9 < waits(later.take(PLACE)) <= 2.0
    assert waits(deployed(redis, f"{unique}2").take(PLACE)) > 0
    until(lambda: isinstance(later.take(PLACE), Grant), 5)
    assert time.monotonic() - began >= 2.0


def test_whether_anything_was_sent_must_be_known(redis: Redis, unique: str) -> None:
    def nobody_knows() -> bool:
        raise StorageError("MongoDB does not answer")

    blind = Permits(redis, unique, (WIDE,), account="main", ip="local", unused=nobody_knows)
    with pytest.raises(StorageError, match="MongoDB"):
        blind.take(PLACE)
    assert redis.keys(f"permit:{{{unique}}}:*") == []


def test_a_wiped_server_is_not_asked_as_if_its_windows_were_empty(redis: Redis, unique: str) -> None:
    first, second = permits(redis, unique, WIDE), permits(redis, unique, WIDE)
    assert [waits(first.take(PLACE)), waits(second.take(PLACE))] == [0, 0]
    redis.delete(*redis.keys(f"permit:{{{unique}}}:*"))
    assert waits(second.take(PLACE)) > 1.5
    assert waits(first.take(PLACE)) > 1.5


def test_a_call_beside_another_on_a_wiped_server_grants_nothing(redis: Redis, unique: str) -> None:
    mine = permits(redis, unique, WIDE)
    mine.prepare()
    redis.delete(*redis.keys(f"permit:{{{unique}}}:*"))
    grant, (script, keys, args) = mine.asking(PLACE)
    assert waits(mine.granted(grant, script.call(redis, keys, args))) > 0


@pytest.mark.parametrize(("appendfsync", "forgets"), [("always", False), ("everysec", True)])
def test_a_server_that_was_started_again_forgot_nothing_if_it_syncs_each_write(
    tmp_path: Path, unique: str, appendfsync: str, forgets: bool
) -> None:
    server = own_server(tmp_path, appendfsync)
    server.start()
    redis = connect(server.url)
    try:
        taker = permits(redis, unique, WIDE)
        assert [waits(taker.take(PLACE)) for _ in range(2)] == [0, 0]
        server.stop()
        server.start()
        with pytest.raises(StorageError):
            taker.take(PLACE)
        other = deployed(redis, unique)
        assert (waits(other.take(PLACE)) > 0) is forgets
        # The third of three, or none: what was granted before counts in either case.
        assert waits(taker.take(PLACE)) > 0
    finally:
        redis.close()
        server.stop()


def test_a_server_that_was_taken_back_is_noticed_by_whoever_was_granted_more(tmp_path: Path, unique: str) -> None:
    """Also if another process, which knows nothing of it, came first and found nothing wrong."""
    server = own_server(tmp_path, "always")
    server.start()
    redis = connect(server.url)
    try:
        idle, busy = deployed(redis, unique), permits(redis, unique, WIDE)
        assert waits(busy.take(PLACE)) == 0
        shutil.copytree(tmp_path / "redis/appendonlydir", tmp_path / "earlier")
        assert [waits(busy.take(PLACE)) for _ in range(2)] == [0, 0]
        server.kill()
        shutil.rmtree(tmp_path / "redis/appendonlydir")
        shutil.copytree(tmp_path / "earlier", tmp_path / "redis/appendonlydir")
        server.start()
        idle.prepare()
        with pytest.raises(StorageError):
            busy.take(PLACE)
        began = time.monotonic()
        assert waits(busy.take(PLACE)) > 1.5
        assert waits(idle.take(PLACE)) > 1.5
        until(lambda: isinstance(idle.take(PLACE), Grant), 5)
        assert time.monotonic() - began >= 1.5
    finally:
        redis.close()
        server.stop()


def test_permits_whose_answer_was_lost_are_granted_again_to_the_same_request(redis: Redis, unique: str) -> None:
    rule = Rule("second", 1, 60.0, PLACE, use=1.0)
    mine = permits(redis, unique, rule)
    mine.prepare()
    grant, (script, keys, args) = mine.asking(PLACE)
    assert [script.call(redis, keys, args) for _ in range(2)] == [0, 0]
    assert isinstance(mine.take(PLACE), float)
    mine.give_back(grant)
    assert isinstance(mine.take(PLACE), float)
