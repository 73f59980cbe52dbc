"""The client's word to a running router: amend, halt, signs of life, verdicts, and their answers."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.publishing import RouterPen
from tests.waiting import until
from tickrouter import Client, InvalidValue, StorageError
from tickrouter.bus import controls
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.config import Config

OID, NEW = "0123456789abcdef" * 2, "f" * 32
BTC = "btcturk/btc.try"


def queued(redis: Redis, account: str) -> list[dict[str, Any]]:
    return [unpack_map(fields[b"d"]) for _, fields in redis.xrange(AccountKeys(account).orders)]


def test_a_place_with_all_that_goes_with_it(client: Client, redis: Redis, account: str) -> None:
    client.place(
        BTC, "b", "1", "2", cancel_after_ms=1500, strategy="grid", cancel_on_disconnect=True, tags={"why": "test"}
    )
    client.place(BTC, "b", "1", "2", strategy="grid")
    first, second = queued(redis, account)
    assert first["cancel_after_ms"] == 1500
    assert first["tags"] == {"why": "test", "strategy": "grid", "cancel_on_disconnect": True}
    assert second["tags"] == {"strategy": "grid"}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"cancel_after_ms": 0}, "cancel_after_ms"),
        ({"cancel_on_disconnect": True}, "strategy"),
        ({"strategy": "two words"}, "strategy"),
        ({"strategy": ""}, "strategy"),
        ({"strategy": "grid", "tags": {"strategy": "other"}}, "strategy"),
    ],
)
def test_a_wrong_one_is_refused_before_it_is_sent(
    client: Client, redis: Redis, account: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        client.place(BTC, "b", "1", "2", **arguments)
    assert caught.value.field == field
    assert queued(redis, account) == []


def test_an_amend_names_both_orders_and_is_repeatable(client: Client, redis: Redis, account: str) -> None:
    new = client.amend(OID, 1001, "0.50")
    client.amend(OID, amount="2", client_oid=NEW)
    client.amend(OID, amount="2", client_oid=NEW)
    client.amend(OID, amount="3", client_oid=NEW)
    first, second, again, other = queued(redis, account)
    assert {name: first[name] for name in first if name != "id"} == {
        "action": "amend",
        "account": account,
        "orig_client_oid": OID,
        "client_oid": new,
        "price": "1001",
        "amount": "0.5",
    }
    assert second == again
    assert other["id"] != second["id"]
    for arguments in ({}, {"price": 1.5}, {"price": "1", "client_oid": "x"}):
        with pytest.raises(InvalidValue):
            client.amend(OID, **arguments)
    assert len(queued(redis, account)) == 4


def test_waiting_for_an_order_that_an_amend_did_not_make(
    client: Client, redis: Redis, account: str, router: RouterPen
) -> None:
    router.order(OID)
    client.amend(OID, price="3", client_oid=NEW)
    (wire,) = queued(redis, account)
    with pytest.raises(TimeoutError):
        client.wait(NEW, timeout=0.1)
    with pytest.raises(TimeoutError):
        client.outcome(NEW, timeout=0.1)
    router.event(type="amend_rejected", command=wire["id"], client_oid=OID, reason={"kind": "too_late"})
    for event in (client.wait(NEW, timeout=5), client.outcome(NEW, timeout=5), client.outcome(wire["id"], timeout=5)):
        assert (event.type, event.reason and event.reason.kind) == ("amend_rejected", "too_late")


def test_the_answer_to_a_command(client: Client, router: RouterPen) -> None:
    router.event(type="command_done", command="before")
    command = client.cancel(OID)
    answering = threading.Timer(0.1, lambda: router.event(type="cancel_rejected", command=command, client_oid=OID))
    answering.start()
    assert client.outcome(command, timeout=10).type == "cancel_rejected"
    assert client.outcome("before", timeout=5).type == "command_done"
    answering.join()


def test_halt_and_resume(client: Client, redis: Redis, account: str) -> None:
    assert client.halted() is not None, "an account that never ran counts as halted"
    client.resume()
    assert client.halted() is None
    assert client.halt("ada", "fire: drill") is None
    assert client.halted() == "halt:ada:fire: drill"
    command = client.halt("ada", "fire", cancel_all=True)
    assert queued(redis, account) == [{"id": command, "action": "cancel_all", "account": account}]
    for who, why in ((" ", "fire"), ("ada", "")):
        with pytest.raises(InvalidValue, match="who halts and why"):
            client.halt(who, why)


def test_a_verdict(client: Client, redis: Redis, account: str) -> None:
    command = client.settle(OID, "placed", "ada", "seen on the page", exchange_oid="900")
    (wire,) = queued(redis, account)
    words = {"verdict": "placed", "operator": "ada", "reason": "seen on the page", "exchange_oid": "900"}
    assert wire == {"id": command, "action": "settle", "account": account, "client_oid": OID, "options": words}
    wrong: list[dict[str, Any]] = [
        {"verdict": "gone", "operator": "ada", "reason": "x"},
        {"verdict": "placed", "operator": "ada", "reason": "x"},
        {"verdict": "canceled", "operator": "", "reason": "x"},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidValue):
            client.settle(OID, **arguments)


def test_a_sign_of_life_ends_by_itself(client: Client, redis: Redis, account: str) -> None:
    client.heartbeat("grid", ttl=0.2)
    assert controls.is_alive(redis, account, "grid")
    until(lambda: not controls.is_alive(redis, account, "grid"), 5)
    for arguments in (("two words", 1.0), ("grid", 0.0), ("grid", float("nan"))):
        with pytest.raises(InvalidValue):
            client.heartbeat(*arguments)


def test_signs_of_life_come_as_long_as_the_block_runs(client: Client, redis: Redis, account: str) -> None:
    key = AccountKeys(account).alive("grid")
    with client.alive("grid", ttl=0.6):
        left: list[int] = []

        def was_renewed() -> bool:
            left.append(redis.pttl(key))
            return len(left) > 1 and left[-1] > left[-2]

        until(was_renewed, 5)
        assert min(left) > 0
    until(lambda: not redis.exists(key), 5)
    assert "alive-grid" not in {thread.name for thread in threading.enumerate()}


def test_a_strategy_whose_redis_is_away_learns_it_at_once(account: str) -> None:
    with (
        Client(Config(), account=account, redis_url="redis://127.0.0.1:1/0") as client,
        pytest.raises(StorageError, match="sign of life"),
        client.alive("grid"),
    ):
        raise AssertionError("no block without a first sign")
