"""btcturk-api (outlier-1/btcturkapi-python), unchanged but for its base address."""

from __future__ import annotations

import time

import pytest
from btcturk_api.client import Client
from btcturk_api.exceptions import BTCTurkAuthenticationError, InvalidRequestParameterError

from tests.simulation import Simulation
from tests.waiting import until


def client_of(venue: Simulation, secret: str = "") -> Client:
    """A client of this venue; it asks for the pairs and the balances at once."""

    class Pointed(Client):
        API_BASE = venue.base

    return Pointed(venue.keys.public_key, secret or venue.keys.private_key)


@pytest.fixture
def reader(shown: Simulation) -> Client:
    return client_of(shown)


@pytest.fixture
def client(venue: Simulation) -> Client:
    return client_of(venue)


def test_it_signs_in_with_its_whole_seconds(reader: Client) -> None:
    """It stamps whole seconds: two calls within one second carry the same stamp, which must be taken."""
    assert reader.authenticated
    assert [row["asset"] for _ in range(3) for row in reader.get_account_balance(["btc"])] == ["BTC"] * 3


def test_a_wrong_key_is_refused(shown: Simulation) -> None:
    with pytest.raises(BTCTurkAuthenticationError, match="Invalid Signature"):
        client_of(shown, "AAECAwQFBgcICQoLDA0ODw==")


def test_pairs_and_time(reader: Client) -> None:
    assert reader.scale_limits["BTCUSDT"] == {"price_scale": 2, "amount_scale": 8, "has_fraction": True}
    assert reader.scale_limits["BTC_TRY"] == {"price_scale": 0, "amount_scale": 8, "has_fraction": False}
    assert {symbol["name"] for symbol in reader.get_exchange_info()} == {"BTCTRY", "BTCUSDT", "ETHUSDT"}
    assert abs(reader.get_server_time()["serverTime"] - time.time() * 1000) < 60_000


def test_market_data(reader: Client) -> None:
    (ticker,) = reader.tick("BTC_USDT")
    assert (ticker["bid"], ticker["ask"], ticker["last"]) == (60000.5, 60001, 60001)
    book = reader.get_order_book("BTCUSDT", limit=2)
    assert [[float(part) for part in level] for level in book["bids"]] == [[60000.5, 0.5], [60000.0, 2.0]]
    assert [float(price) for price, _ in book["asks"]] == [60001.0, 60002.0]
    trades = reader.get_trades("BTCUSDT", last=2)
    assert [(float(trade["price"]), trade["side"]) for trade in trades] == [(60001.0, "buy"), (60000.5, "sell")]
    (day,) = reader.get_ohlc_data("BTCUSDT", last=1)
    assert float(day["close"]) == 60001.0


def test_a_limit_order_from_placing_to_cancelling(client: Client) -> None:
    placed = client.submit_limit_order(
        quantity=0.01, price=59000.5, order_type="buy", pair_symbol="BTC_USDT", new_order_client_id="mine-1"
    )
    assert (placed["pairSymbol"], placed["method"], placed["newOrderClientId"]) == ("BTCUSDT", "limit", "mine-1")
    (resting,) = client.get_open_orders("BTC_USDT")["bids"]
    assert (resting["id"], resting["orderClientId"], resting["status"]) == (placed["id"], "mine-1", "Untouched")
    assert client.cancel_order(placed["id"])
    until(lambda: client.get_open_orders("BTC_USDT") == {"asks": [], "bids": []})
    (gone,) = client.get_all_orders(pair_symbol="BTC_USDT")
    assert (gone["id"], gone["status"]) == (placed["id"], "Canceled")


def test_market_orders_and_their_history(client: Client) -> None:
    sold = client.submit_market_order(quantity=0.2, order_type="sell", pair_symbol="BTC_USDT")
    bought = client.submit_market_order(quantity=1200, order_type="buy", pair_symbol="BTC_USDT")
    history = {row["orderId"]: row for row in client.get_trade_history(symbol=["btc"])}
    assert float(history[sold["id"]]["amount"]) == -0.2
    assert history[sold["id"]]["orderType"] == "sell"
    assert 0.0199 < float(history[bought["id"]]["amount"]) < 0.02
    assert [row["orderType"] for row in client.get_trade_history(trade_type=["buy"])] == ["buy"]


def test_a_stop_order_waits(client: Client) -> None:
    placed = client.submit_stop_order(
        stop_price=61000,
        quantity=0.01,
        price=61010,
        order_type="buy",
        order_method="stopLimit",
        pair_symbol="BTC_USDT",
    )
    (waiting,) = client.get_open_orders("BTC_USDT")["bids"]
    assert (waiting["id"], float(waiting["stopPrice"])) == (placed["id"], 61000.0)


def test_refusals_are_its_errors(client: Client) -> None:
    with pytest.raises(InvalidRequestParameterError, match="FAILED_MIN_TOTAL_AMOUNT"):
        client.submit_limit_order(quantity=0.00001, price=59000, order_type="buy", pair_symbol="BTC_USDT")
    with pytest.raises(InvalidRequestParameterError, match="NO_ORDER_MATCHES_YOUR_REQUEST"):
        client.cancel_order(12345)
