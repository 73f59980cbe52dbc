"""Faults over the wire, limits over the wire, and deaths of the process."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest
import requests
import websocket

from tests.integration.simulator.client import ASKS, BIDS, Client, Feed
from tests.simulation import Simulation, start_simulator
from tests.waiting import until


def test_a_lost_reply_leaves_one_order(client: Client, venue: Simulation) -> None:
    venue.fault("lose_reply", "POST /api/v1/order")
    with pytest.raises(requests.ConnectionError):
        client.order("buy", "limit", "1", price="90", newOrderClientId="lost")
    assert len(venue.ledger("lost")["orders"]) == 1
    assert venue.faults() == []
    client.placed("buy", "limit", "1", price="90")


def test_a_late_answer_comes_after_the_order_was_executed(client: Client, venue: Simulation) -> None:
    venue.fault("late_answer", "POST /api/v1/order", delay_ms=300)
    started = time.monotonic()
    client.placed("buy", "limit", "1", price="90")
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("execute", "orders"), [(False, 0), (True, 1)])
def test_a_server_error_is_html(client: Client, venue: Simulation, execute: bool, orders: int) -> None:
    venue.fault("server_error", "POST *", status=504, execute=execute)
    answer = client.order("buy", "limit", "1", price="90")
    assert (answer.status_code, answer.text[:6]) == (504, "<html>")
    assert len(venue.ledger()["orders"]) == orders


def test_a_refusal_by_limit_takes_nothing_and_is_not_a_real_one(client: Client, venue: Simulation) -> None:
    venue.fault("refuse_by_limit", "POST /api/v1/order", retry_after=3)
    answer = client.order("buy", "limit", "1", price="90")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json()["message"] == "TOO_MANY_REQUESTS"
    assert (venue.ledger()["orders"], venue.counts()["refused_total"]) == ([], 0)


@pytest.mark.parametrize(("scope", "left"), [("private", 1), ("market", 1), ("all", 0)])
def test_sockets_are_dropped_without_a_word(venue: Simulation, scope: str, left: int) -> None:
    with Feed(venue) as user, Feed(venue) as watcher:
        user.login()
        watcher.join("trade")
        fault = venue.fault("drop_socket", scope=scope, count=None)
        assert fault["struck"] == 2 - left
        until(lambda: venue.counts()["sockets"] == left)
        dropped = watcher if scope == "market" else user
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            while True:
                dropped.read()


def test_skipped_differences_leave_a_hole_in_the_numbers(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.join("obdiff")
        number = feed.next(431)["CS"]
        feed.next(432)
        venue.fault("skip_frames", channel="obdiff", count=2)
        for amount in ("5", "6", "7"):
            venue.levels("BTCUSDT", bids=[("99.50", amount)])
        difference = feed.next(432)
        assert (difference["CS"], difference["BO"][0]["A"]) == (number + 2, "7")


def test_a_skipped_fill_message_is_still_in_the_trade_list(venue: Simulation, client: Client) -> None:
    with Feed(venue) as feed:
        feed.login()
        venue.fault("skip_frames", channel="private", type=423)
        order_id = client.placed("sell", "market", "0.5")
        feed.next(201)
        assert len(feed.of(441)) == 1 and feed.of(423) == []
    assert len(client.data("/api/v1/users/transactions/trade", orderId=order_id)) == 1


def test_a_wrong_control_call_says_what_is_wrong(venue: Simulation) -> None:
    with pytest.raises(AssertionError, match="lose_reply"):
        venue.fault("meteor")
    with pytest.raises(AssertionError, match="POST /fault"):
        venue.call("GET", "/nothing")
    with pytest.raises(AssertionError, match="none of this venue's pairs"):
        venue.trade("NOPE", "1", "1", "buy")
    for price in ("NaN", "-1", "0", "Infinity", "x"):
        with pytest.raises(AssertionError, match="POST /trade: 400"):
            venue.trade("BTCUSDT", price, "1", "buy")
    assert venue.counts()["trades"] == {"BTCUSDT": 1}


def test_a_killed_venue_goes_on_where_it_was(venue: Simulation, client: Client) -> None:
    bought = client.placed("buy", "market", "50")
    resting = client.placed("sell", "limit", "2", price="103", newOrderClientId="kept")
    waiting = client.placed("sell", "stopLimit", "1", price="98", stopPrice="99")
    before = venue.ledger()
    venue.kill()
    venue.restart()
    after = venue.ledger()
    assert after == before | {"sessions": 2}
    assert venue.published_book("BTCUSDT")["asks"] == [["103", "2"]]
    fresh = Client(venue)
    assert fresh.one(bought)["status"] == "Closed"
    venue.book("BTCUSDT", bids=[("103.50", "0.5"), *BIDS], asks=[])
    assert fresh.one(resting)["leftAmount"].startswith("1.5")
    venue.trade("BTCUSDT", "99.00", "0.1", "sell")
    assert fresh.one(waiting)["status"] == "Closed"
    assert fresh.placed("buy", "limit", "1", price="90") > waiting
    ids = [int(fill["trade_id"]) for fill in venue.ledger()["fills"]]
    assert len(set(ids)) == len(ids)


def _seconds(client: Client, path: str) -> float:
    started = time.monotonic()
    client.get(path)
    return time.monotonic() - started


def test_a_venue_ends_within_three_seconds_and_with_status_0(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.join("obdiff")
        started = time.monotonic()
        assert venue.stop() == 0
        assert time.monotonic() - started < 3


def test_a_cancel_that_was_accepted_can_still_be_filled(tmp_path: Path) -> None:
    with start_simulator(tmp_path, cancel_latency_ms=500.0) as venue:
        venue.book("BTCUSDT", bids=BIDS, asks=ASKS)
        client = Client(venue)
        order_id = client.placed("buy", "limit", "1", price="100.50")
        assert client.cancel(order_id).status_code == 200
        venue.levels("BTCUSDT", asks=[("100.50", "1")])
        assert client.one(order_id)["status"] == "Closed"


def test_latency_is_spent_on_private_calls_alone(tmp_path: Path) -> None:
    with start_simulator(tmp_path, latency_ms=200.0) as venue:
        client = Client(venue)
        paths = ("/api/v2/server/time", "/api/v1/users/balances")
        public, private = (min(_seconds(client, path) for _ in range(3)) for path in paths)
        assert public < 0.2 <= private


def test_more_than_ten_orders_in_a_second_are_429(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as venue:
        venue.book("BTCUSDT", bids=BIDS, asks=ASKS)
        client = Client(venue)
        taken = 0
        while (answer := client.order("buy", "limit", "1", price="90")).status_code == 200:
            taken += 1
            assert taken < 100
        assert taken >= 10 and answer.status_code == 429
        body = answer.json()
        assert (body["message"], body["limit"], body["period"], body["policy"]) == (
            "TOO_MANY_REQUESTS",
            "10",
            "1s",
            "ip",
        )
        assert answer.headers["Retry-After"] == "1"
        assert client.get("/api/v1/openOrders").status_code == 200
        assert venue.counts()["refused"] == {"POST /api/v1/order": 1}
        assert len(venue.ledger()["orders"]) == taken


def test_the_sixteenth_connection_in_a_minute_is_refused(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as venue:
        for _ in range(15):
            websocket.create_connection(venue.socket, timeout=5).close()
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            websocket.create_connection(venue.socket, timeout=5)
        assert caught.value.status_code == 429


def test_balances_of_the_ledger_are_what_fills_make_them(venue: Simulation, client: Client) -> None:
    client.placed("buy", "market", "150")
    client.placed("sell", "limit", "0.5", price="100")
    ledger = venue.ledger()
    btc, usdt = Decimal(10), Decimal(1_000_000)
    for fill in ledger["fills"]:
        sign = 1 if fill["side"] == "buy" else -1
        btc += sign * Decimal(fill["amount"])
        usdt -= sign * Decimal(fill["price"]) * Decimal(fill["amount"]) + Decimal(fill["fee"]) + Decimal(fill["tax"])
    wallets = ledger["balances"][venue.keys.public_key]
    assert (Decimal(wallets["BTC"]["free"]), Decimal(wallets["USDT"]["free"])) == (btc, usdt)
