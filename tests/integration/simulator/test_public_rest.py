"""Public calls over the wire."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from tests.integration.simulator.client import Client
from tests.simulation import Simulation


def test_time_and_ping_are_bare(client: Client, venue: Simulation) -> None:
    assert client.get("/api/v2/server/ping").json() == {"pong": True}
    answer = client.get("/api/v2/server/time").json()
    assert abs(answer["serverTime"] - time.time() * 1000) < 2000
    assert set(answer) == {"serverTime", "serverTime2"}
    venue.skew(-60_000)
    assert client.get("/api/v2/server/time").json()["serverTime"] < time.time() * 1000 - 58_000


def test_exchangeinfo_lists_the_three_pairs(client: Client) -> None:
    answer = client.get("/api/v2/server/exchangeinfo").json()
    assert (answer["success"], answer["message"], answer["code"]) == (True, "", 0)
    assert [symbol["name"] for symbol in answer["data"]["symbols"]] == ["BTCTRY", "BTCUSDT", "ETHUSDT"]


def test_ticker_is_a_list_of_numbers(client: Client) -> None:
    (row,) = client.data("/api/v2/ticker", pairSymbol="BTC_USDT")
    assert (row["last"], row["bid"], row["ask"], row["volume"]) == (Decimal("100.5"), 100, 101, Decimal("0.1"))
    assert (row["pair"], row["pairNormalized"]) == ("BTCUSDT", "BTC_USDT")
    assert client.data("/api/v2/ticker", pairSymbol="NOPE") == []
    assert client.data("/api/v2/ticker/currency", symbol="usdt")[0]["pair"] == "BTCUSDT"
    assert client.data("/api/v2/ticker/currency", symbol="EUR") == []


def test_orderbook_has_25_levels_unless_asked(client: Client, venue: Simulation) -> None:
    asks = [(f"{101 + step / 100:.2f}", "1") for step in range(40)]
    venue.book("BTCUSDT", bids=[("100.00", "1")], asks=asks)
    answer = client.get("/api/v2/orderbook", pairSymbol="BTCUSDT").json()
    assert answer["code"] == "SUCCESS"
    assert len(answer["data"]["asks"]) == 25 and answer["data"]["bids"] == [["100", "1"]]
    assert isinstance(answer["data"]["timestamp"], float)
    assert len(client.data("/api/v2/orderbook", pairSymbol="BTCUSDT", limit=30)["asks"]) == 30


def test_trades_are_newest_first_and_at_most_50(client: Client, venue: Simulation) -> None:
    for step in range(60):
        venue.trade("BTCUSDT", "100.25", f"0.{step + 1:02d}", "sell")
    rows = client.data("/api/v2/trades", pairSymbol="BTCUSDT", last=1000)
    assert len(rows) == 50
    assert (rows[0]["amount"], rows[0]["price"], rows[0]["side"]) == ("0.60000000", "100.25", "sell")
    assert [int(row["tid"]) for row in rows] == sorted((int(row["tid"]) for row in rows), reverse=True)
    assert len(client.data("/api/v2/trades", pairSymbol="BTCUSDT", last=3)) == 3


def test_charts_are_bare_on_both_paths(client: Client) -> None:
    now = int(time.time())
    columns = client.get(
        "/v1/klines/history", symbol="BTCUSDT", resolution="1", **{"from": now - 600, "to": now}
    ).json()
    assert columns["s"] == "ok" and columns["c"] == [100.5] and columns["t"][0] % 60 == 0
    again = client.get("/graph/v1/klines/history", symbol="BTCUSDT", resolution="1D").json()
    assert again["v"] == [0.1]
    (day,) = client.get("/v1/ohlcs", pair="BTCUSDT").json()
    assert (day["close"], day["volume"]) == (100.5, 0.1)
    (old,) = client.data("/api/v2/ohlc", pairSymbol="BTCUSDT", last=5)
    assert old["pairSymbol"] == "BTCUSDT"
    empty = client.get("/v1/klines/history", symbol="ETHUSDT", resolution="1").json()
    assert empty == {"s": "no_data", "t": [], "o": [], "h": [], "l": [], "c": [], "v": []}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/nothing", 404),
        ("/", 404),
        ("/api/v2/orderbook?pairSymbol=NOPE", 400),
        ("/api/v2/trades", 400),
        ("/v1/klines/history?symbol=BTCUSDT&resolution=7", 400),
        ("/v1/klines/history?symbol=BTCUSDT&resolution=1&from=-5", 400),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert json.loads(answer.text)["success"] is False


def test_a_wrong_method_is_405(client: Client, venue: Simulation) -> None:
    assert client.session.post(venue.base + "/api/v2/ticker", data="{}", timeout=10).status_code == 405


def test_paths_are_read_without_case(client: Client) -> None:
    assert client.get("/api/v2/orderBook", pairSymbol="BTCUSDT").status_code == 200
