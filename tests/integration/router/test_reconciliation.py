"""Journal against venue: what is ours is adopted, what is not is reported, and what Redis forgot comes back."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from services.stack.servers import Server
from tests.routing import Routing, now_ms, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls, order_hash
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes
from tickrouter.history.outbox import store_orders
from tickrouter.model.account import Account
from tickrouter.model.ids import default_mark
from tickrouter.model.order import Order, Status


def order_by_hand(venue: Simulation, client_id: str, *, side: str = "buy", price: str = "90", amount: str = "1") -> str:
    """An order that no router placed; its exchange id."""
    fields = {
        "quantity": amount,
        "price": price,
        "stopPrice": "0",
        "newOrderClientId": client_id,
        "orderMethod": "limit",
        "orderType": side,
        "pairSymbol": "BTCUSDT",
    }
    request = urllib.request.Request(
        venue.base + "/api/v1/order", json.dumps(fields).encode(), venue.headers(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["data"]["id"])


@pytest.fixture
def often(venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str) -> Iterator[Routing]:
    """A router that compares twice a second and finds fills by that alone."""
    with routing(
        venue,
        tmp_path / "r",
        unique,
        redis_url=redis_url,
        mongo_url=mongo_url,
        router={"reconcile_interval": 0.5, "lease_ms": 600, "request_timeout": 2.0, "egress": unique},
    ) as routed:
        yield routed


def alarms(router: Routing) -> list[str]:
    return [event.alarm for event in router.events() if event.alarm]


def test_foreign_orders_are_reported_once_and_left_alone(often: Routing, venue: Simulation) -> None:
    exchange_oid = order_by_hand(venue, "someone-else")
    often.start()
    until(lambda: any(event.type == "foreign" for event in often.events()))
    (event,) = [event for event in often.events() if event.type == "foreign"]
    assert event.exchange_oid == exchange_oid
    (row,) = venue.ledger("someone-else")["orders"]
    assert row["status"] == "Untouched"


def test_an_orphan_with_our_mark_is_adopted_and_can_be_cancelled(often: Routing, venue: Simulation) -> None:
    client_oid = default_mark(Account.parse(often.account)) + "c" * 24
    order_by_hand(venue, client_oid, price="101", amount="7")
    often.start()
    order = often.wait(client_oid, "PartiallyFilled")
    assert order.filled == 5
    assert alarms(often) == ["orphan"]
    assert often.wait_event(often.send(action="cancel", client_oid=client_oid)).type == "command_done"
    assert len(often.fills()) == len(venue.ledger(client_oid)["fills"])


def test_a_second_venue_order_under_one_client_id_is_tracked_and_said_aloud(often: Routing, venue: Simulation) -> None:
    often.start()
    client_oid = often.place("b", "90", "1")
    first = often.wait(client_oid, "New")
    second = order_by_hand(venue, client_oid, price="101", amount="2")
    until(lambda: "twin" in alarms(often))
    (event,) = [event for event in often.events() if event.alarm == "twin"]
    twin = often.wait(event.client_oid or "", "Filled")
    assert (twin.exchange_oid, twin.parent, twin.filled) == (second, client_oid, 2)
    still = often.order(client_oid)
    assert still is not None
    assert (still.status, still.exchange_oid, still.filled) == ("New", first.exchange_oid, 0)


def test_an_order_that_the_venue_refused_and_took_all_the_same_is_tracked_and_said_aloud(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    often: dict[str, Any] = {"reconcile_interval": 0.5, "lease_ms": 600, "egress": unique}
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    # No private message tells of the order before its answer does.
    with routing(venue, tmp_path / "r", unique, **servers, socket_key=False, router=often) as router:
        router.start()
        venue.fault("server_error", "POST /api/v1/order", status=401, execute=True)
        client_oid = router.place("b", "101", "2")
        router.wait(client_oid, "Rejected")
        until(lambda: "twin" in alarms(router))
        (event,) = [event for event in router.events() if event.alarm == "twin"]
        twin = router.wait(event.client_oid or "", "Filled")
        assert (twin.parent, twin.filled) == (client_oid, 2)
        assert len(router.fills()) == len(venue.ledger(client_oid)["fills"])


def test_a_difference_is_told_with_both_figures(often: Routing, venue: Simulation) -> None:
    often.start()
    client_oid = often.place("b", "100", "2")
    order = often.wait(client_oid, "New")
    often.kill()
    venue.trade("BTCUSDT", "99.50", "2", "sell")
    # A look at the order itself would tell it first, as an order's own events.
    venue.fault("server_error", "GET /api/v1/order/*", status=502, count=1000)
    often.start()
    often.wait(client_oid, "Filled")
    assert len(often.fills()) == 1
    (told,) = [event for event in often.events() if event.type == "reconciled" and event.client_oid == client_oid]
    assert told.reason is not None
    ours, theirs = "journal: New, filled 0; ", f"venue: closed, filled 2 (order {order.exchange_oid})"
    assert told.reason.text == ours + theirs


def test_a_wiped_redis_gets_back_what_mongodb_and_the_venue_know(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    settings: dict[str, Any] = {"capabilities": {"visibility_lag": 0.5, "stamp_tolerance": 0.5}, "longest_window": 2.0}
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **settings) as router:
        router.start()
        account = Account.parse(router.account)
        db = database(connect_mongo(mongo_url), unique)
        ensure_indexes(db)
        copied, lost = router.place("b", "90", "1"), router.place("b", "91", "1")
        order = router.wait(copied, "New")
        router.wait(lost, "New")
        never = "e" * 32
        store_orders(db, [(1, order), (1, _imagined(order, never))])
        said = "halt:ada:before the wipe"
        db.events.insert_one({"_id": "x", "account": str(account), "epoch": 1, "seq": 9, "type": "halt", "fact": said})
        router.redis.flushall()
        wiped = time.time_ns()
        router.wait(copied, "New", timeout=20)
        assert router.wait(never, "NeverPlaced", timeout=20).exchange_oid is None
        until(lambda: any(event.type == "foreign" for event in router.events()), 20)
        assert {event.epoch for event in router.events()} == {2}
        assert "redis_forgot" in alarms(router)
        assert len(venue.ledger()["orders"]) == 2
        # The operator's last word came back too.
        assert controls.read_halt(router.redis, router.account) == said
        denied = router.wait(router.place("b", "92", "1"), "Denied")
        assert (denied.reason and denied.reason.kind) == "halt"
        controls.resume(router.redis, router.account)
        placed = router.wait(router.place("b", "92", "1"), "New")
        # What was sent before nobody knows any more, so one window passes before anything is.
        assert (placed.stamp or 0) - wiped >= 2e9


def _imagined(order: Any, client_oid: str) -> Any:
    """A copy of an order that the venue never saw."""
    return replace(order, client_oid=client_oid, exchange_oid=None, status="PendingNew", price=order.price + 3)


SHORT: dict[str, Any] = {"capabilities": {"visibility_lag": 0.5, "stamp_tolerance": 0.5}, "longest_window": 1.0}


def take_back(server: Server, copy: Path) -> None:
    """Kill a server and start it with the files that it had when they were copied."""
    files = copy.parent / "redis/appendonlydir"
    server.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    server.start()


def forgotten_place(router: Routing, redis: Server, folder: Path, price: str, amount: str) -> tuple[str, str, Order]:
    """Place an order, and take Redis back to before; its command, its client id, and the order as it was."""
    router.start()
    router.wait(router.place("b", "90", "1"), "New")
    shutil.copytree(folder / "redis/appendonlydir", folder / "copy")
    command, oid = uuid.uuid4().hex, uuid.uuid4().hex
    router.place("b", price, amount, id=command, client_oid=oid)
    sent = router.wait(oid, "New")
    router.kill()
    take_back(redis, folder / "copy")
    router.start()
    return command, oid, sent


def test_a_place_that_redis_forgot_and_its_sender_repeats_is_looked_for_first(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **SHORT) as router:
        command, oid, sent = forgotten_place(router, orders_redis, tmp_path, "91", "1")
        assert router.order(oid) is None
        router.place("b", "91", "1", id=command, client_oid=oid)
        again = router.wait(oid, "New", timeout=20)
        assert again.exchange_oid == sent.exchange_oid
        assert len(venue.ledger(oid)["orders"]) == 1


def test_a_place_that_is_repeated_after_its_first_order_was_told_as_foreign_is_that_order(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **SHORT) as router:
        command, oid, sent = forgotten_place(router, orders_redis, tmp_path, "100", "2")
        # What leaves shows that the look through the venue is over.
        router.wait(router.place("b", "92", "1"), "New", timeout=20)
        assert [event.exchange_oid for event in router.events() if event.type == "foreign"] == [sent.exchange_oid]
        venue.trade("BTCUSDT", "99.50", "0.5", "sell")
        router.place("b", "100", "2", id=command, client_oid=oid)
        again = router.wait(oid, "PartiallyFilled", timeout=20)
        assert again.exchange_oid == sent.exchange_oid
        assert len(venue.ledger(oid)["orders"]) == 1
        until(lambda: len(router.fills()) == 1, 20)


def test_a_halt_that_redis_forgot_counts_over_an_older_word(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **SHORT) as router:
        router.start()
        router.wait(router.place("b", "90", "1"), "New")
        shutil.copytree(tmp_path / "redis/appendonlydir", tmp_path / "copy")
        controls.set_halt(router.redis, router.account, "ada", "fire")
        told = until(lambda: next((event for event in router.events() if event.type == "halt"), None))
        # As the archiver copies it.
        copy = {"_id": "x", "account": router.account, "epoch": told.epoch, "seq": told.seq, "type": "halt"}
        database(connect_mongo(mongo_url), unique).events.insert_one(copy | {"fact": told.fact})
        router.kill()
        take_back(orders_redis, tmp_path / "copy")
        assert controls.read_halt(router.redis, router.account) == "run"
        router.start()
        denied = router.wait(router.place("b", "91", "1"), "Denied", timeout=20)
        assert (denied.reason and denied.reason.kind) == "halt"
        assert controls.read_halt(router.redis, router.account) == "halt:ada:fire"
        assert len(venue.ledger()["orders"]) == 1


def test_a_router_that_dies_between_opening_an_epoch_and_taking_up_leaves_all_of_it_to_the_next(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **SHORT) as router:
        router.start()
        venue.fault("late_answer", "POST /api/v1/order", delay_ms=400)
        oid = router.place("b", "91", "1")
        until(lambda: router.order(oid))
        journal = orders_redis_hash(router, oid)
        router.wait(oid, "New")
        router.kill()
        # What Redis would show if it had forgotten that the request was signed, in an epoch that was opened for it.
        forget_sending(router, oid, journal)
        router.start()
        router.wait(oid, "New", timeout=20)
        assert len(venue.ledger(oid)["orders"]) == 1
        assert [event.status for event in router.events() if event.client_oid == oid and event.status == "InDoubt"]


def orders_redis_hash(router: Routing, oid: str) -> dict[bytes, bytes]:
    """An order's fields in the journal."""
    fields: dict[bytes, bytes] = dict(router.redis.hgetall(router.keys.order(oid)))
    return fields


def forget_sending(router: Routing, oid: str, journal: dict[bytes, bytes]) -> None:
    """Write the order as it was admitted, and open the next epoch without taking anything up."""
    order = order_hash.from_hash(journal)
    assert order is not None
    unsent = replace(order, status=Status.PENDING_NEW, step=1, attempt=0, stamp=None, digest="", exchange_oid=None)
    router.redis.delete(router.keys.order(oid))
    router.redis.hset(router.keys.order(oid), mapping=order_hash.to_hash(unsent))
    router.redis.sadd(router.keys.open, oid)
    router.redis.hset(router.keys.meta, mapping={"epoch": 2, "seq": 1, "fill_seq": 0, "opened": now_ms()})


def told_balances(router: Routing) -> dict[str, str]:
    """What was told of balances, by currency."""
    texts = [event.reason.text for event in router.events() if event.reason and event.reason.kind == "balance"]
    return {text.split()[2].rstrip(":"): text for text in texts}


def test_balances_are_compared_with_the_journal_at_start_and_running(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    capabilities = {"visibility_lag": 0.2, "stamp_tolerance": 0.5}
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    with routing(venue, tmp_path / "r", unique, **servers, capabilities=capabilities) as router:
        router.start()
        until(lambda: len(router.redis.hgetall(router.keys.agreed)) >= 2, 15)
        router.wait(router.place("b", "101", "1"), "Filled")
        # One of our own changes nothing; what others do with the account is told with both figures.
        order_by_hand(venue, "someone-else", price="101", amount="1")
        until(lambda: {"btc:", "usdt:"} <= {name + ":" for name in told_balances(router)}, 20)
        first = told_balances(router)
        assert "1 fills since" in first["btc"]
        router.kill()
        order_by_hand(venue, "someone-else-2", side="sell", price="99", amount="1")
        before = len(router.events())
        router.start()
        until(lambda: told_balances(router) != first, 20)
        told = [event for event in router.events()[before:] if event.reason and event.reason.kind == "balance"]
        assert all(event.type == "reconciled" for event in told)
        expected, found = told[0].reason.text.split("expected ")[1], told[0].reason.text.split("venue: ")[1]
        assert Decimal(expected.split()[0]) != Decimal(found)
