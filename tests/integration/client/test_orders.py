"""Orders through the client: what goes onto the queue, and what comes back."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.publishing import TIME, RouterPen
from tickrouter import Client, ConfigError, InvalidValue, Status, StorageError
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.config import Config
from tickrouter.model.account import Account, Balance
from tickrouter.model.command import Command
from tickrouter.model.ids import default_mark

OID = "0123456789abcdef" * 2


def queued(redis: Redis, account: str) -> list[dict[str, Any]]:
    return [unpack_map(fields[b"d"]) for _, fields in redis.xrange(AccountKeys(account).orders)]


def test_a_place_is_a_valid_command_in_the_wire_form(client: Client, redis: Redis, account: str) -> None:
    oid = client.place("BTC.TRY:xtc.btcturk", "buy", Decimal("0.0010"), 1000, tags={"why": "test"}, ttl_ms=5000)
    (wire,) = queued(redis, account)
    assert {name: wire[name] for name in wire if name != "id"} == {
        "action": "place",
        "account": account,
        "contract": "btcturk/btc.try",
        "side": "b",
        "type": "limit",
        "client_oid": oid,
        "amount": "0.001",
        "price": "1000",
        "ttl_ms": 5000,
        "tags": {"why": "test"},
    }
    assert Command.from_wire(wire).amount == Decimal("0.001")
    assert oid.startswith(default_mark(Account.parse(account)))


def test_every_order_has_an_id_of_its_own(client: Client) -> None:
    ids = {client.place("btcturk/btc.try", "s", "1", "2") for _ in range(20)}
    assert len(ids) == 20


def test_the_same_place_again_is_the_same_command(client: Client, redis: Redis, account: str) -> None:
    for amount in ("1", "1", "2"):
        client.place("btcturk/btc.try", "s", amount, "2", client_oid=OID)
    first, again, other = queued(redis, account)
    assert first == again
    assert other["id"] != first["id"]


def test_a_mark_of_ones_own(redis_url: str, account: str) -> None:
    with Client(Config(), account=account, redis_url=redis_url, id_mark="cafe0123") as client:
        assert client.place("btcturk/btc.try", "b", "1", "1").startswith("cafe0123")
    with pytest.raises(InvalidValue, match="eight hex digits"):
        Client(Config(), id_mark="CAFE")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"amount": 0.001}, "amount"),
        ({"amount": True}, "amount"),
        ({"price": 1.5}, "price"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": Decimal("Infinity")}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": None}, "amount"),
        ({"side": "up"}, "side"),
        ({"contract": "btcc/btc.usdt"}, "contract"),
        ({"price": None}, "price"),
        ({"type": "stop_limit"}, "stop_price"),
        ({"client_oid": "me-1"}, "client_oid"),
        ({"client_oid": ""}, "client_oid"),
        ({"ttl_ms": 0}, "ttl_ms"),
        ({"quote_amount": "5"}, "amount"),
        ({"tags": {"a": {1, 2}}}, "tags"),
        ({"account": "Main"}, "account"),
    ],
)
def test_a_wrong_place_is_refused_before_it_is_sent(
    client: Client, redis: Redis, account: str, arguments: dict[str, Any], field: str
) -> None:
    good: dict[str, Any] = {"contract": "btcturk/btc.try", "side": "b", "amount": "0.001", "price": "1000"}
    with pytest.raises(InvalidValue) as caught:
        client.place(**(good | arguments))
    assert caught.value.field == field
    assert queued(redis, account) == []


def test_the_other_commands(client: Client, redis: Redis, account: str) -> None:
    ids = [
        client.cancel(OID),
        client.cancel(exchange_oid="9000001"),
        client.cancel_all(),
        client.cancel_all("BTCTURK/BTC.TRY", "sell"),
        client.query(OID),
    ]
    wires = queued(redis, account)
    assert [wire.pop("id") for wire in wires] == ids
    assert len(set(ids)) == 5
    assert wires == [
        {"action": "cancel", "account": account, "client_oid": OID},
        {"action": "cancel", "account": account, "exchange_oid": "9000001"},
        {"action": "cancel_all", "account": account},
        {"action": "cancel_all", "account": account, "contract": "btcturk/btc.try", "side": "s"},
        {"action": "query", "account": account, "client_oid": OID},
    ]
    with pytest.raises(InvalidValue, match="needs client_oid or exchange_oid"):
        client.cancel()


def test_a_market_buy_by_quote_amount(client: Client, redis: Redis, account: str) -> None:
    client.place("btcturk/btc.try", "b", type="market", quote_amount="250.50")
    (wire,) = queued(redis, account)
    assert (wire["quote_amount"], wire["type"]) == ("250.5", "market")
    assert "amount" not in wire


def test_which_account_is_asked_for(redis_url: str) -> None:
    with Client(Config(), redis_url=redis_url) as client, pytest.raises(ConfigError, match="which account"):
        client.balances()


def test_a_redis_that_is_not_there_names_the_order(account: str) -> None:
    with (
        Client(Config(), account=account, redis_url="redis://127.0.0.1:1/0") as client,
        pytest.raises(StorageError, match=rf"did not confirm .*\(client_oid {OID}\)"),
    ):
        client.place("btcturk/btc.try", "b", "1", "1", client_oid=OID)


def test_an_order_from_the_journal(client: Client, router: RouterPen) -> None:
    assert client.order(OID) is None
    order = router.order(OID, Status.PARTIALLY_FILLED, step=4)
    assert client.order(OID) == order


def test_balances(client: Client, redis: Redis, account: str) -> None:
    assert client.balances() == {}
    value = {"total": "1.5", "free": "1", "locked": "0.5", "time": TIME}
    redis.hset(AccountKeys(account).balance, "btc", pack_map(value))
    assert client.balances() == {"btc": Balance("btc", Decimal("1.5"), Decimal(1), Decimal("0.5"), TIME)}


def test_waiting_for_an_order_that_ends_later(client: Client, router: RouterPen) -> None:
    router.order(OID)
    router.event(client_oid=OID, status="New")

    def end() -> None:
        router.order(OID, Status.FILLED, step=2)
        router.event(client_oid=OID, status="Filled", filled="1")

    ending = threading.Timer(0.1, end)
    ending.start()
    event = client.wait(OID, timeout=10)
    assert (event.status, event.filled, event.id) == ("Filled", Decimal(1), "1-2")
    ending.join()


def test_waiting_for_an_order_that_has_ended(client: Client, router: RouterPen) -> None:
    router.order(OID, Status.CANCELED)
    router.event(client_oid=OID, status="Filled", fills_pending=True)
    router.event(client_oid=OID, status="Canceled")
    for _ in range(5):
        router.event(client_oid="f" * 32, status="Filled")
    assert client.wait(OID, timeout=5).id == "1-2"


def test_waiting_for_a_command_that_was_refused(client: Client, router: RouterPen) -> None:
    reason = {"kind": "invalid", "code": "", "text": "price: missing"}
    router.event(type="command_denied", client_oid=OID, reason=reason)
    event = client.wait(OID, timeout=5)
    assert event.reason is not None
    assert event.reason.text == "price: missing"


def test_a_refused_cancel_is_not_the_orders_end(client: Client, router: RouterPen) -> None:
    router.order(OID)
    router.event(type="command_denied", client_oid=OID, reason={"kind": "account"})
    with pytest.raises(TimeoutError, match=f"the order {OID} is not final after 0.2 s; it lives on"):
        client.wait(OID, timeout=0.2)


def test_pending_fills_are_waited_for(client: Client, router: RouterPen) -> None:
    router.order(OID)
    router.event(client_oid=OID, status="Filled", fills_pending=True)
    with pytest.raises(TimeoutError):
        client.wait(OID, timeout=0.2)


def test_nobody_sees_a_password(unique: str) -> None:
    client = Client(Config(), account="btcturk/main", redis_url=f"redis://:{unique}@127.0.0.1:1/0")
    assert unique not in repr(client)
    client.close()
