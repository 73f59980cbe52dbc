"""ccxt's btcturk client, unchanged but for its base address, both its synchronous and its asynchronous form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tests.simulation import Simulation, start_simulator
from tests.waiting import until

PAIR = "BTC/USDT"


def options(venue: Simulation) -> dict[str, Any]:
    base = venue.base
    urls = {"public": base + "/api/v2", "private": base + "/api/v1", "graph": base + "/graph/v1"}
    return {"urls": {"api": urls}, "apiKey": venue.keys.public_key, "secret": venue.keys.private_key}


class Client:
    """Either form of the client, called in the same way: `client.call("fetch_ticker", "BTC/USDT")`."""

    def __init__(self, venue: Simulation, form: str) -> None:
        self._runner = asyncio.Runner() if form == "async" else None
        self._client: Any = None
        if self._runner is None:
            self._client = ccxt.btcturk(options(venue))
        else:
            self._runner.run(self._make(venue))

    async def _make(self, venue: Simulation) -> None:
        self._client = ccxt.async_support.btcturk(options(venue))

    def call(self, method: str, *arguments: Any) -> Any:
        if self._runner is None:
            return getattr(self._client, method)(*arguments)
        return self._runner.run(self._wait(method, arguments))

    async def _wait(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return await getattr(self._client, method)(*arguments)

    def close(self) -> None:
        if self._runner is not None:
            self.call("close")
            self._runner.close()


@pytest.fixture(params=["sync", "async"])
def reader(request: pytest.FixtureRequest, shown: Simulation) -> Iterator[Client]:
    made = Client(shown, request.param)
    yield made
    made.close()


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, venue: Simulation) -> Iterator[Client]:
    made = Client(venue, request.param)
    yield made
    made.close()


def test_markets(reader: Client) -> None:
    markets = {market["symbol"]: market for market in reader.call("fetch_markets")}
    assert set(markets) == {"BTC/TRY", "BTC/USDT", "ETH/USDT"}
    market = markets[PAIR]
    assert (market["id"], market["base"], market["quote"], market["spot"], market["active"]) == (
        "BTCUSDT",
        "BTC",
        "USDT",
        True,
        True,
    )
    assert (market["precision"]["amount"], market["precision"]["price"]) == (1e-8, 0.01)
    assert markets["BTC/TRY"]["precision"]["price"] == 1
    assert market["limits"]["cost"]["min"] == 9.91


def test_ticker(reader: Client) -> None:
    ticker = reader.call("fetch_ticker", PAIR)
    assert (ticker["symbol"], ticker["bid"], ticker["ask"], ticker["last"]) == (PAIR, 60000.5, 60001.0, 60001.0)
    assert (ticker["high"], ticker["low"], ticker["open"]) == (60001.0, 60000.5, 60000.75)
    assert ticker["baseVolume"] == 0.875
    assert abs(ticker["timestamp"] - time.time() * 1000) < 60_000


def test_order_book(reader: Client) -> None:
    book = reader.call("fetch_order_book", PAIR)
    assert book["bids"] == [[60000.5, 0.5], [60000.0, 2.0], [59990.0, 5.0]]
    assert book["asks"] == [[60001.0, 0.4], [60002.0, 3.0], [60010.0, 5.0]]
    assert abs(book["timestamp"] - time.time() * 1000) < 60_000


def test_trades(reader: Client) -> None:
    trades = reader.call("fetch_trades", PAIR)
    assert [(trade["price"], trade["amount"], trade["side"]) for trade in trades] == [
        (60000.75, 0.25, "buy"),
        (60000.5, 0.125, "sell"),
        (60001.0, 0.5, "buy"),
    ]
    assert len({trade["id"] for trade in trades}) == 3
    assert all(trade["symbol"] == PAIR for trade in trades)
    assert [trade["price"] for trade in reader.call("fetch_trades", PAIR, None, 1)] == [60001.0]


def test_ohlcv(reader: Client) -> None:
    bars = reader.call("fetch_ohlcv", PAIR, "1h", int(time.time() * 1000) - 7_200_000)
    assert sum(volume for *_, volume in bars) == 0.875
    assert bars[0][1] == 60000.75
    assert bars[-1][4] == 60001.0
    assert all(start % 3_600_000 == 0 and low <= opened <= high for start, opened, high, low, *_ in bars)


def test_ohlcv_without_a_start_is_refused_as_by_the_venue(reader: Client) -> None:
    """ccxt then sends a negative `from`, which the venue answers with 400 (ccxt issue 22092)."""
    with pytest.raises(ccxt.BaseError, match="from"):
        reader.call("fetch_ohlcv", PAIR, "1m")


def test_balance(client: Client, venue: Simulation) -> None:
    balance = client.call("fetch_balance")
    assert balance["USDT"] == {"free": 1_000_000.0, "used": 0.0, "total": 1_000_000.0}
    venue.deposit("USDT", "5.5")
    assert client.call("fetch_balance")["USDT"]["free"] == 1_000_005.5


def test_a_limit_order_rests_and_is_cancelled(client: Client) -> None:
    placed = client.call("create_order", PAIR, "limit", "buy", 0.01, 59000.5)
    assert (placed["symbol"], placed["side"], placed["type"]) == (PAIR, "buy", "limit")
    assert (placed["price"], placed["amount"]) == (59000.5, 0.01)
    assert client.call("fetch_balance")["USDT"]["used"] == pytest.approx(590.005, rel=0.01)
    assert client.call("fetch_balance")["USDT"]["used"] >= 590.005
    (resting,) = client.call("fetch_open_orders", PAIR)
    assert (resting["id"], resting["status"], resting["remaining"]) == (placed["id"], "open", 0.01)
    assert [59000.5, 0.01] in client.call("fetch_order_book", PAIR)["bids"]
    client.call("cancel_order", placed["id"], PAIR)
    until(lambda: client.call("fetch_open_orders", PAIR) == [])
    (gone,) = client.call("fetch_orders", PAIR)
    assert (gone["id"], gone["status"], gone["filled"]) == (placed["id"], "canceled", 0.0)
    assert client.call("fetch_balance")["USDT"] == {"free": 1_000_000.0, "used": 0.0, "total": 1_000_000.0}


def test_a_limit_order_that_crosses_is_filled(client: Client) -> None:
    placed = client.call("create_order", PAIR, "limit", "buy", 0.5, 60002.0)
    assert client.call("fetch_open_orders", PAIR) == []
    (order,) = client.call("fetch_orders", PAIR)
    assert (order["id"], order["status"], order["filled"], order["remaining"]) == (placed["id"], "closed", 0.5, 0.0)
    trades = client.call("fetch_my_trades", PAIR)
    assert sorted((trade["price"], trade["amount"]) for trade in trades) == [(60001.0, 0.4), (60002.0, 0.1)]
    assert all(trade["order"] == placed["id"] and trade["side"] == "buy" for trade in trades)
    assert all(trade["fee"]["currency"] == "USDT" and trade["fee"]["cost"] > 0 for trade in trades)
    assert client.call("fetch_balance")["BTC"]["total"] == 10.5


def test_a_market_sell_takes_base(client: Client) -> None:
    placed = client.call("create_order", PAIR, "market", "sell", 0.25)
    (trade,) = client.call("fetch_my_trades", PAIR)
    assert (trade["price"], trade["amount"], trade["side"]) == (60000.5, 0.25, "sell")
    assert trade["order"] == placed["id"]
    assert client.call("fetch_balance")["BTC"]["total"] == 9.75


def test_a_market_buy_takes_quote_fee_included(client: Client) -> None:
    """The venue's unit, which ccxt does not know: an amount of 6,000 spends at most 6,000 USDT."""
    client.call("create_order", PAIR, "market", "buy", 6_000)
    (trade,) = client.call("fetch_my_trades", PAIR)
    assert trade["price"] == 60001.0
    assert trade["amount"] == pytest.approx(0.0999, abs=0.0002)
    spent = 1_000_000.0 - client.call("fetch_balance")["USDT"]["total"]
    assert 5_990 < spent <= 6_000


def test_the_venues_refusals_are_ccxts_errors(client: Client) -> None:
    with pytest.raises(ccxt.BaseError, match="FAILED_MIN_TOTAL_AMOUNT"):
        client.call("create_order", PAIR, "limit", "buy", 0.00001, 59000.0)
    with pytest.raises(ccxt.BaseError, match="BALANCE_NOT_ENOUGH"):
        client.call("create_order", PAIR, "limit", "buy", 1000, 59000.0)
    with pytest.raises(ccxt.BaseError, match="NO_ORDER_MATCHES_YOUR_REQUEST"):
        client.call("cancel_order", "12345", PAIR)


def test_a_wrong_key_is_refused(shown: Simulation) -> None:
    wrong = ccxt.btcturk({**options(shown), "secret": "AAECAwQFBgcICQoLDA0ODw=="})
    with pytest.raises(ccxt.BaseError, match="Unauthorized - Invalid Signature"):
        wrong.fetch_balance()


def test_it_trades_on_the_generated_market(tmp_path: Path) -> None:
    """Orders of a client meet the house's order flow on every pair."""
    with start_simulator(tmp_path, market="generated") as venue:
        client = Client(venue, "sync")
        for pair, spend in (("BTC/USDT", 5_000), ("ETH/USDT", 5_000), ("BTC/TRY", 200_000)):
            until(lambda pair=pair: client.call("fetch_order_book", pair)["asks"])
            book = client.call("fetch_order_book", pair, 100)
            assert book["bids"][0][0] < book["asks"][0][0]
            placed = client.call("create_order", pair, "market", "buy", spend)
            bought = [trade for trade in client.call("fetch_my_trades", pair) if trade["order"] == placed["id"]]
            cost = sum(trade["price"] * trade["amount"] for trade in bought)
            assert 0.99 * spend < cost <= spend
            resting = client.call("create_order", pair, "limit", "sell", bought[0]["amount"], book["bids"][0][0] * 0.99)
            until(lambda pair=pair, resting=resting: _filled(client, pair, resting["id"]))


def _filled(client: Client, pair: str, order_id: str) -> bool:
    return any(order["id"] == order_id and order["status"] == "closed" for order in client.call("fetch_orders", pair))
