"""What `tickrouter check` makes of what servers and venues say."""

from __future__ import annotations

import pytest

from services.stack.checks.finding import where
from services.stack.checks.storage import durability, eviction, persistence
from services.stack.checks.venue import clock_finding, mode_finding
from tickrouter.bus.inspect import ServerFacts
from tickrouter.history.inspect import MongoFacts
from tickrouter.model.account import Account


def redis(
    appendonly: bool | None = True, fsync: str | None = "always", policy: str | None = "noeviction"
) -> ServerFacts:
    return ServerFacts("9", appendonly, fsync, policy, used=1, limit=0)


@pytest.mark.parametrize(
    ("facts", "orders", "verdict"),
    [
        (redis(), True, "ok"),
        (redis(fsync="everysec"), True, "wrong"),
        (redis(appendonly=False), True, "wrong"),
        (redis(appendonly=None), True, "note"),
        (redis(fsync=None), True, "note"),
        (redis(fsync="everysec"), False, "ok"),
        (redis(appendonly=False), False, "note"),
    ],
)
def test_orders_need_an_append_only_file_that_is_synced_always(facts: ServerFacts, orders: bool, verdict: str) -> None:
    finding = persistence("Redis", facts, orders=orders)
    assert finding.verdict == verdict
    assert bool(finding.advice) == (verdict != "ok")


@pytest.mark.parametrize(("policy", "verdict"), [("noeviction", "ok"), ("allkeys-lru", "wrong"), (None, "note")])
def test_a_server_that_evicts_is_refused(policy: str | None, verdict: str) -> None:
    assert eviction("Redis", redis(policy=policy)).verdict == verdict


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (MongoFacts("7", "rs0", sharded=False, writable=True, members=3), "ok"),
        (MongoFacts("7", None, sharded=True, writable=True, members=1), "ok"),
        (MongoFacts("7", None, sharded=False, writable=True, members=1), "wrong"),
        (MongoFacts("7", "rs0", sharded=False, writable=False, members=3), "wrong"),
    ],
)
def test_mongodb_has_to_know_a_majority(facts: MongoFacts, verdict: str) -> None:
    assert durability(facts).verdict == verdict


@pytest.mark.parametrize(
    ("offset", "verdict"), [(0.1, "ok"), (-2.4, "ok"), (2.5, "note"), (-5.0, "wrong"), (70.0, "wrong")]
)
def test_the_clock_may_be_off_by_less_than_the_venue_tolerates(offset: float, verdict: str) -> None:
    finding = clock_finding("venue x", offset, tolerance=5.0)
    assert finding.verdict == verdict
    assert ("behind" in finding.found) == (offset > 0)


def test_paper_away_from_this_machine_and_money_are_pointed_out() -> None:
    account = Account("btcturk", "main")
    assert mode_finding(account, is_live=False, is_local=True).verdict == "ok"
    assert "denied" in mode_finding(account, is_live=False, is_local=False).found
    assert "money" in mode_finding(account, is_live=True, is_local=False).found


@pytest.mark.parametrize(
    ("url", "shown"),
    [("redis://:secret@10.0.0.1:6379/0", "10.0.0.1:6379"), ("mongodb://user:secret@a,b:1/?x=y", "a,b:1")],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert where(url) == shown
