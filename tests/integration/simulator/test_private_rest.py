"""Orders, balances and transactions over the wire."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.simulator.client import Client
from tests.simulation import Simulation
from tests.waiting import until


def test_a_limit_order_rests_and_is_found_everywhere(client: Client) -> None:
    name = str(uuid.uuid4())
    answer = client.order("buy", "limit", "0.5", price="100.10", newOrderClientId=name, stopPrice="0")
    body = answer.json()
    assert next(iter(body)) == "httpStatusCode" and body["message"] == "SUCCESS"
    order_id = body["data"]["id"]
    assert body["data"]["newOrderClientId"] == name
    opened = client.data("/api/v1/openOrders", pairSymbol="BTCUSDT")
    assert opened["asks"] == []
    (row,) = opened["bids"]
    assert (row["id"], row["orderClientId"], row["status"], row["time"]) == (order_id, name, "Untouched", 0)
    assert row["leftAmount"] == "0.5000000000000000"
    assert client.one(order_id)["time"] > 0
    assert [row["id"] for row in client.data("/api/v1/allOrders", pairSymbol="BTCUSDT")] == [order_id]
    assert client.data("/api/v1/openOrders")["bids"][0]["id"] == order_id
    assert client.data("/api/v1/openOrders", pairSymbol="BTCTRY") == {"asks": [], "bids": []}


def test_a_market_buy_takes_quote_and_its_fills_are_exact_numbers(client: Client) -> None:
    order_id = client.placed("buy", "market", "250.50")
    row = client.one(order_id)
    assert (row["status"], row["method"], row["price"], row["leftAmount"]) == (
        "Closed",
        "market",
        "101",
        "0." + "0" * 16,
    )
    fills = client.data("/api/v1/users/transactions/trade", orderId=order_id)
    assert [fill["price"] for fill in fills] == ["102.25", "101.00"]
    assert sum(Decimal(fill["preciseAmount"]) for fill in fills) == Decimal(row["amount"])
    spent = sum(Decimal(fill["price"]) * Decimal(fill["preciseAmount"]) for fill in fills)
    costs = sum(Decimal(fill["fee"]) + Decimal(fill["tax"]) for fill in fills)
    assert costs < 0
    assert Decimal("250.49") < spent - costs <= Decimal("250.50")
    assert all(len(str(fill["id"])) == 18 for fill in fills)


def test_a_sell_is_negative(client: Client) -> None:
    order_id = client.placed("sell", "market", "0.75")
    (fill,) = client.data("/api/v1/users/transactions/trade", orderId=order_id)
    assert (fill["amount"], fill["preciseAmount"], fill["orderType"]) == ("-0.75", Decimal("-0.75"), "sell")
    assert (fill["fee"], fill["tax"]) == ("-0.0675", "-0.0135")
    assert client.wallet("BTC")["balance"] == "9.25"


def test_balances_show_what_orders_hold(client: Client) -> None:
    client.placed("sell", "limit", "4", price="200")
    row = client.wallet("BTC")
    assert (row["balance"], row["locked"], row["free"], row["orderFund"], row["requestFund"]) == (
        "10",
        "4",
        "6",
        "4",
        "0",
    )
    assert client.wallet("TRY")["assetname"] == "Türk Lirası"


def test_a_cancel_is_accepted_first_and_done_later(client: Client) -> None:
    order_id = client.placed("buy", "limit", "1", price="90")
    answer = client.cancel(order_id)
    assert answer.json() == {"success": True, "message": "SUCCESS", "code": 0}
    until(lambda: client.one(order_id)["status"] == "Canceled")
    again = client.cancel(order_id)
    assert (again.status_code, again.json()["message"]) == (400, "ORDER_COULD_NOT_BE_CANCELED")
    unknown = client.cancel(1)
    assert (unknown.status_code, unknown.json()["code"]) == (400, 1051)


def test_a_cancel_with_its_id_in_the_body_matches_nothing(client: Client, venue: Simulation) -> None:
    order_id = client.placed("buy", "limit", "1", price="90")
    answer = client.session.delete(
        venue.base + "/api/v1/order", data=f'{{"id":{order_id}}}', headers=venue.headers(), timeout=10
    )
    assert answer.json()["message"] == "NO_ORDER_MATCHES_YOUR_REQUEST"


def test_an_unknown_order_is_400_and_code_1152(client: Client) -> None:
    answer = client.get("/api/v1/order/1")
    assert answer.status_code == 400
    assert answer.json() == {"success": False, "message": "Order not found", "code": 1152}


def test_client_ids_may_repeat_and_are_made_where_missing(client: Client, venue: Simulation) -> None:
    for _ in range(2):
        client.placed("buy", "limit", "1", price="90", newOrderClientId="test")
    made = client.order("buy", "limit", "1", price="90").json()["data"]["newOrderClientId"]
    assert len(venue.ledger("test")["orders"]) == 2
    assert str(uuid.UUID(made)) == made
    assert venue.ledger()["requests"]["POST /api/v1/order test"] == 2


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"quantity": "20", "price": "200"}, 400, "BALANCE_NOT_ENOUGH"),
        ({"quantity": "0.5", "price": "100.123"}, 400, "FAILED_INVALID_PRICE_SCALE"),
        ({"quantity": "0.01", "price": "100"}, 400, "FAILED_MIN_TOTAL_AMOUNT"),
    ],
)
def test_a_refused_order_changes_nothing(
    client: Client, venue: Simulation, fields: dict[str, str], status: int, message: str
) -> None:
    answer = client.order("sell", "limit", **fields)
    assert (answer.status_code, answer.json()["message"]) == (status, message)
    assert venue.ledger()["orders"] == []


def test_money_in_open_orders_has_its_own_refusal(client: Client) -> None:
    client.placed("sell", "limit", "8", price="200")
    answer = client.order("sell", "limit", "3", price="200")
    assert (answer.json()["message"], answer.json()["code"]) == ("FAILED_ORDER_WITH_OPEN_ORDERS", 1122)


def test_numbers_in_the_body_are_read_exactly(client: Client, venue: Simulation) -> None:
    text = '{"pairSymbol":"BTCUSDT","orderType":"buy","orderMethod":"limit","quantity":0.30000001,"price":90.1}'
    answer = client.session.post(venue.base + "/api/v1/order", data=text, headers=venue.headers(), timeout=10)
    assert (answer.json()["data"]["quantity"], answer.json()["data"]["price"]) == ("0.30000001", "90.1")


def test_a_post_without_type_is_415_without_body_411_and_junk_400(client: Client, venue: Simulation) -> None:
    url, headers = venue.base + "/api/v1/order", venue.headers()
    untyped = {name: value for name, value in headers.items() if name != "Content-Type"}
    assert client.session.post(url, data=b"{}", headers=untyped, timeout=10).status_code == 415
    assert client.session.post(url, headers=headers, timeout=10).status_code == 411
    for junk in (b"[1]", b"{", b"[" * 100_000, b'"x"', b"\xff", b"{}" + b" " * 100_000):
        answer = client.session.post(url, data=junk, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["message"]) == (400, "FAILED_ORDER_PARAMETER")


def test_an_unsigned_request_is_401_with_success_true(client: Client, venue: Simulation) -> None:
    answer = client.session.get(venue.base + "/api/v1/users/balances", timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {"success": True, "message": "Unauthorized - Headers are missing", "code": 1037}


def test_a_stamp_counts_on_the_venues_own_clock(client: Client, venue: Simulation) -> None:
    venue.skew(20_000)
    answer = client.get("/api/v1/users/balances")
    assert answer.json()["message"] == "Unauthorized - Invalid Nonce"
    headers = venue.headers(stamp_ms=int(time.time() * 1000) + 20_000)
    for _ in range(2):
        assert client.session.get(venue.base + "/api/v1/users/balances", headers=headers, timeout=10).status_code == 200


def _times(**parameters: Any) -> dict[str, Any]:
    return {"pairSymbol": "BTCUSDT", **parameters}


def test_all_orders_pages_and_takes_seconds(client: Client) -> None:
    ids = [client.placed("buy", "limit", "1", price="90") for _ in range(5)]
    now = int(time.time())
    path = "/api/v1/allOrders"
    assert [row["id"] for row in client.data(path, **_times(limit=2))] == ids[:2:-1]
    assert [row["id"] for row in client.data(path, **_times(limit=2, page=2))] == ids[2:0:-1]
    assert [row["id"] for row in client.data(path, **_times(orderId=ids[3]))] == ids[:2:-1]
    assert len(client.data(path, **_times(startTime=now - 60, endTime=now + 1))) == 5
    assert client.data(path, **_times(endTime=now - 60)) == []
    late = client.get(path, **_times(startTime=now * 1000))
    assert (late.status_code, late.json()["code"]) == (400, 1038)
    assert client.get(path).status_code == 400


def test_transactions_are_filtered_and_an_order_id_stands_alone(client: Client) -> None:
    bought = client.placed("buy", "market", "50")
    sold = client.placed("sell", "market", "0.5")
    path, now = "/api/v1/users/transactions/trade", int(time.time() * 1000)
    assert [row["orderId"] for row in client.data(path)] == [sold, bought]
    assert [row["orderId"] for row in client.data(path, type=["buy"])] == [bought]
    assert len(client.data(path, type=["buy", "sell"], symbol=["btc", "eth"])) == 2
    assert client.data(path, symbol="eth") == []
    assert client.data(path, pairSymbol="BTCTRY") == []
    assert client.data(path, startDate=now + 60_000) == []
    assert client.data(path, endDate=now - 60_000) == []
    assert [row["orderId"] for row in client.data(path, orderId=sold, type="buy", endDate=1)] == [sold]


def test_deposits_are_listed_as_numbers(client: Client, venue: Simulation) -> None:
    venue.deposit("BTC", "0.5")
    newest, *_ = client.data("/api/v1/users/transactions/crypto", symbol=["btc"], type=["deposit"])
    assert (newest["balanceType"], newest["currencySymbol"], newest["amount"]) == ("deposit", "BTC", Decimal("0.5"))
    assert [row["currencySymbol"] for row in client.data("/api/v1/users/transactions/fiat")] == ["TRY"]
    assert client.wallet("BTC")["free"] == "10.5"


def test_stop_orders_wait_and_fire(client: Client, venue: Simulation) -> None:
    limit = client.placed("sell", "stopLimit", "1", price="99", stopPrice="99.50")
    market = client.placed("buy", "stopMarket", "50", stopPrice="101.50")
    (row,) = client.data("/api/v1/openOrders", pairSymbol="BTCUSDT")["asks"]
    assert (row["id"], row["method"], row["stopPrice"]) == (limit, "stoplimit", "99.5")
    venue.trade("BTCUSDT", "99.50", "0.01", "sell")
    assert client.one(limit)["status"] == "Closed"
    venue.trade("BTCUSDT", "101.50", "0.01", "buy")
    assert client.one(market)["status"] == "Closed"
