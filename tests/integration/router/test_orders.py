"""Orders through a real router at a simulated venue: placed, filled, cancelled, denied."""

from __future__ import annotations

import signal
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.routing import CONTRACT, Routing, now_ms, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus.codec import pack_map
from tickrouter.bus.subscribe import read_balances
from tickrouter.model.account import Account


def test_a_crossing_order_is_filled_once_and_told_in_order(router: Routing, venue: Simulation) -> None:
    client_oid = router.place("b", "101", "2", tags={"strategy": "test"})
    order = router.wait(client_oid, "Filled")
    assert (order.filled, order.average_price) == (Decimal(2), Decimal(101))
    (theirs,) = venue.ledger(client_oid)["orders"]
    assert order.exchange_oid == str(theirs["id"])
    told = [event for event in router.events() if event.client_oid == client_oid]
    settled = [event.status for event in told if event.type == "order" and not event.fills_pending]
    assert settled in (["PendingNew", "New", "Filled"], ["PendingNew", "Filled"])
    assert all(event.tags == {"strategy": "test"} for event in told)
    venue_fills = venue.ledger(client_oid)["fills"]
    ours = [event.fill for event in router.fills() if event.client_oid == client_oid]
    assert [(fill.trade_id, fill.amount) for fill in ours if fill] == [
        (row["trade_id"], Decimal(row["amount"])) for row in venue_fills
    ]
    assert [event.seq for event in router.events()] == list(range(1, len(router.events()) + 1))


def test_fills_are_found_without_a_private_socket(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, socket_key=False) as router:
        router.start()
        resting = router.place("b", "100", "3")
        router.wait(resting, "New")
        venue.trade("BTCUSDT", "99.50", "1", "sell")
        until(lambda: (found := router.order(resting)) and found.filled == 1)
        venue.trade("BTCUSDT", "99.50", "2", "sell")
        assert len(router.wait(resting, "Filled").fills) == 2
        assert len(router.fills()) == 2


def test_a_market_buy_takes_quote_and_nothing_else(router: Routing) -> None:
    wrong = router.place("b", None, "1", type="market")
    denied = router.wait(wrong, "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == "unit"
    right = router.place("b", None, None, type="market", quote_amount="202")
    order = router.wait(right, "Filled")
    assert order.amount == order.filled
    assert Decimal("1.9") < order.filled <= Decimal(2)


def test_a_market_sale_fills_and_balances_follow(router: Routing, venue: Simulation) -> None:
    order = router.wait(router.place("s", None, "1", type="market"), "Filled")
    assert order.average_price == Decimal(99)

    def settled() -> bool:
        ours = read_balances(router.redis, Account.parse(router.account))
        theirs = venue.ledger()["balances"][venue.keys.public_key]["BTC"]
        return "btc" in ours and ours["btc"].free == Decimal(theirs["free"]) and ours["btc"].free < 10

    until(settled)


def test_the_same_command_twice_is_one_order(router: Routing, venue: Simulation) -> None:
    client_oid = "ab" * 16
    for _ in range(3):
        router.place("b", "90", "1", client_oid=client_oid, id="the-same-command")
    router.wait(client_oid, "New")
    done = router.wait_event(router.send(action="query", client_oid=client_oid))
    assert done.type == "command_done"
    assert len(venue.ledger(client_oid)["orders"]) == 1


def test_cancel_by_either_id_and_all(router: Routing, venue: Simulation) -> None:
    first, second = router.place("b", "90", "1"), router.place("b", "91", "1")
    third, fourth = router.place("s", "150", "1"), router.place("s", "151", "1")
    orders = [router.wait(oid, "New") for oid in (first, second, third, fourth)]
    assert router.wait_event(router.send(action="cancel", client_oid=first)).type == "command_done"
    router.wait(first, "Canceled")
    assert router.wait_event(router.send(action="cancel", exchange_oid=orders[1].exchange_oid)).type == "command_done"
    router.wait(second, "Canceled")
    assert router.wait_event(router.send(action="cancel_all", contract=CONTRACT, side="s")).type == "command_done"
    assert {router.wait(oid, "Canceled").status for oid in (third, fourth)} == {"Canceled"}
    too_late = router.wait_event(router.send(action="cancel", client_oid=first))
    assert (too_late.type, too_late.reason and too_late.reason.kind) == ("cancel_rejected", "too_late")
    unknown = router.wait_event(router.send(action="cancel", client_oid="f" * 32))
    assert (unknown.type, unknown.reason and unknown.reason.kind) == ("cancel_rejected", "unknown_order")
    assert router.redis.smembers(router.keys.open) == set()
    assert router.redis.hgetall(router.keys.work) == {}


def test_cancel_all_takes_a_side_or_a_contract_and_leaves_the_others(router: Routing, venue: Simulation) -> None:
    venue.book("ETHUSDT", [("99.00", "5")], [("101.00", "5")])
    venue.trade("ETHUSDT", "100.00", "0.1", "buy")
    buy, sale = router.place("b", "90", "1"), router.place("s", "150", "1")
    other = router.place("b", "90", "1", contract="btcturk/eth.usdt")
    for oid in (buy, sale, other):
        router.wait(oid, "New")
    for narrowed, gone, left in (
        ({"side": "s"}, [sale], {buy, other}),
        ({"contract": "btcturk/eth.usdt"}, [other], {buy}),
        ({}, [buy], set()),
    ):
        assert router.wait_event(router.send(action="cancel_all", **narrowed)).type == "command_done"
        assert all(router.wait(oid, "Canceled") for oid in gone)
        assert {oid.decode() for oid in router.redis.smembers(router.keys.open)} == left
        assert all(router.wait(oid, "New").cancel_requested is None for oid in left)


def test_stop_orders_wait_for_their_trigger_and_fill(router: Routing, venue: Simulation) -> None:
    limit = router.place("b", "103", "1", type="stop_limit", stop_price="105")
    market = router.place("s", None, "2", type="stop_market", stop_price="95")
    dropped = router.place("b", "103", "1", type="stop_limit", stop_price="200")
    for oid in (limit, market, dropped):
        router.wait(oid, "New")
    methods = {row["orderClientId"]: row["method"] for row in venue.ledger()["orders"]}
    assert [methods[oid] for oid in (limit, market, dropped)] == ["stoplimit", "stopmarket", "stoplimit"]
    venue.trade("BTCUSDT", "105.50", "0.1", "buy")
    assert router.wait(limit, "Filled").average_price == 101
    venue.trade("BTCUSDT", "94.50", "0.1", "sell")
    assert router.wait(market, "Filled").average_price == 99
    assert router.wait_event(router.send(action="cancel", client_oid=dropped)).type == "command_done"
    assert router.wait(dropped, "Canceled").filled == 0


def test_a_query_shows_what_the_venue_shows_now(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    seldom = {"router": {"poll_interval": 60.0, "reconcile_interval": 60.0, "egress": unique}}
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    with routing(venue, tmp_path / "r", unique, **servers, socket_key=False, **seldom) as router:
        router.start()
        client_oid = router.place("b", "100", "3")
        exchange_oid = router.wait(client_oid, "New").exchange_oid
        venue.trade("BTCUSDT", "99.50", "1", "sell")
        query = router.send(action="query", exchange_oid=exchange_oid)
        done = router.wait_event(query)
        assert (done.type, done.client_oid) == ("command_done", client_oid)
        (shown,) = [event for event in router.events() if event.command == query and event.type == "order"]
        assert (shown.status, shown.filled, shown.remaining) == ("PartiallyFilled", Decimal(1), Decimal(2))


def test_entries_with_an_id_beyond_any_time_are_served_like_others(router: Routing) -> None:
    client_oid = uuid.uuid4().hex
    fields = {"id": uuid.uuid4().hex, "action": "place", "account": router.account, "contract": CONTRACT}
    fields |= {"side": "b", "type": "limit", "price": "90", "amount": "1", "client_oid": client_oid}
    router.redis.xadd(router.keys.orders, {"d": pack_map(fields)}, id=f"{2**64 - 2}-1")
    order = router.wait(client_oid, "New")
    assert abs(time.time_ns() - order.created) < 60e9
    router.wait(router.place("b", "91", "1"), "New")


def test_the_venues_refusal_is_final_and_in_its_own_words(router: Routing) -> None:
    refused = router.wait(router.place("b", "100", "100000"), "Rejected")
    assert refused.reason is not None
    assert refused.reason.kind == "insufficient_balance"
    assert refused.reason.text.isupper()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"contract": "btcturk/doge.usdt"}, "contract"),
        ({"contract": "btcturk/btc.try"}, "risk_contract"),
        ({"amount": "0.000000001"}, "scale"),
        ({"options": {"post_only": True}}, "options"),
    ],
)
def test_what_cannot_be_done_is_denied_with_a_reason(router: Routing, changes: dict[str, Any], kind: str) -> None:
    denied = router.wait(router.place(**changes), "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == kind


def test_a_cancel_overtakes_five_hundred_queued_places(router: Routing) -> None:
    resting = router.place(amount="0.2")
    router.wait(resting, "New")
    queued = [router.place(amount="0.2") for _ in range(500)]
    router.send(action="cancel", client_oid=resting)
    router.wait(resting, "Canceled")
    waiting = [order for oid in queued if (order := router.order(oid)) is not None and order.status == "PendingNew"]
    assert len(waiting) > 400


def test_an_order_that_waited_longer_than_its_ttl_is_denied(router: Routing) -> None:
    (process,) = router.processes
    process.send_signal(signal.SIGSTOP)
    oid = router.place(ttl_ms=1)
    ((entry, _),) = router.redis.xrange(router.keys.orders)
    until(lambda: now_ms() > int(entry.split(b"-")[0]) + 1)
    process.send_signal(signal.SIGCONT)
    denied = router.wait(oid, "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == "age"


def test_junk_is_put_aside_or_denied_and_the_next_command_is_served(router: Routing) -> None:
    junk: list[dict[str, bytes]] = [
        {"d": b"\xc1not msgpack"},
        {"d": b"x" * 1_000_000},
        {"other": b"field"},
        {"d": pack_map({"action": "place"})},
        {"d": pack_map({"id": 7, "action": "place"})},
    ]
    for fields in junk:
        router.redis.xadd(router.keys.orders, fields)
    bad = [
        {"amount": "NaN"},
        {"amount": "-1"},
        {"amount": 0.5},
        {"price": "1e400"},
        {"contract": "nowhere"},
        {"contract": "binance/btc.usdt"},
        {"side": "buy"},
        {"type": "iceberg"},
        {"client_oid": "short"},
        {"action": "explode"},
        {"account": "btcturk/another"},
    ]
    defaults = {
        "action": "place",
        "contract": CONTRACT,
        "type": "limit",
        "side": "b",
        "price": "90",
        "amount": "1",
        "client_oid": "c" * 32,
    }
    for fields in bad:
        event = router.wait_event(router.send(**(defaults | fields)))
        assert event.type == "command_denied", fields
        assert event.reason is not None
        assert event.reason.text
    assert router.redis.xlen(router.keys.dead) == len(junk)
    assert router.wait(router.place("b", "90", "1"), "New").status == "New"


def test_an_account_on_paper_sends_nothing_to_a_live_venue(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url) as router:
        # A name that is no loopback address by its text, and leads nowhere.
        router.config["venues"]["btcturk"]["hosts"]["private"] = "http://venue.invalid"
        router.start()
        denied = router.wait(router.place(), "Denied")
        assert denied.reason is not None
        assert denied.reason.kind == "paper"
        assert venue.counts()["requests"].get("POST /api/v1/order", 0) == 0


def test_a_notional_beyond_the_limit_is_denied(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    account = {f"btcturk/{unique}": {"risk": {"contracts": [CONTRACT], "max_notional": {"usdt": "150"}}}}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, accounts=account) as router:
        router.start()
        assert router.wait(router.place("b", "90", "1"), "New")
        for fields, kind in (
            ({"price": "90", "amount": "2"}, "risk_notional"),
            ({"side": "s", "price": None, "amount": "1", "type": "market"}, "risk_price"),
        ):
            denied = router.wait(router.place(**fields), "Denied")
            assert denied.reason is not None
            assert denied.reason.kind == kind
