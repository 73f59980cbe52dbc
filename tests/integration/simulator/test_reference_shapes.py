"""Answers and frames have the keys and JSON types of the collected payloads of the live venue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.simulator.client import Client, Feed
from tests.simulation import Simulation

pytestmark = pytest.mark.reference

FREE = (
    "message",
    "code",
    "stopPrice",
    "PS",
    "requestFund",
    "assetname",
    "maximumOrderAmount",
    "minAmount",
    "maxAmount",
)
"""Keys whose JSON type differs between captures of the live venue itself."""


def _payload(reference: Path, name: str) -> Any:
    entries = json.loads((reference / "reference" / "btcturk_examples.json").read_text(encoding="utf-8"))["examples"]
    (entry,) = (entry for entry in entries if entry["id"] == name)
    return json.loads(entry["payload"]) if entry.get("payload_is_raw_text") else entry["payload"]


def _same(ours: Any, theirs: Any, where: str, extra: frozenset[str] = frozenset()) -> None:
    """The same keys and types, all the way down; of a list, the first items are compared."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), where
        assert set(ours) - extra == set(theirs) - extra, where
        for key in theirs:
            if key in ours and key not in FREE:
                _same(ours[key], theirs[key], f"{where}.{key}", extra)
    elif isinstance(theirs, list):
        assert isinstance(ours, list), where
        if ours and theirs:
            _same(ours[0], theirs[0], f"{where}[0]", extra)
    else:
        kinds = {bool: "bool", str: "text", int: "number", float: "number", type(None): "null"}
        assert kinds[type(ours)] == kinds[type(theirs)], f"{where}: {ours!r} against {theirs!r}"


def test_public_answers(reference: Path, client: Client) -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("rest.server_time", "/api/v2/server/time", {}),
        ("rest.ticker.one", "/api/v2/ticker", {"pairSymbol": "BTCUSDT"}),
        ("rest.orderbook.float_timestamp", "/api/v2/orderbook", {"pairSymbol": "BTCUSDT"}),
        ("rest.trades", "/api/v2/trades", {"pairSymbol": "BTCUSDT"}),
        ("rest.graph.ohlcs", "/v1/ohlcs", {"pair": "BTCUSDT"}),
        ("rest.graph.klines", "/v1/klines/history", {"symbol": "BTCUSDT", "resolution": "1"}),
    ]
    for name, path, parameters in calls:
        _same(client.get(path, **parameters).json(), _payload(reference, name), name)
    ours = client.get("/api/v2/server/exchangeinfo").json()
    _same(
        {**ours, "data": {**ours["data"], "currencies": [], "currencyOperationBlocks": []}},
        _payload(reference, "rest.exchangeinfo.symbols_2026"),
        "exchangeinfo",
    )


def test_private_answers(reference: Path, client: Client) -> None:
    _same(client.get("/api/v1/users/balances").json(), _payload(reference, "rest.balances.docs"), "balances")
    submitted = client.order("sell", "limit", "0.5", price="100.50")
    _same(submitted.json(), _payload(reference, "rest.order.submit.ok.limit"), "submit")
    order_id = submitted.json()["data"]["id"]
    _same(client.get("/api/v1/openOrders", pairSymbol="BTCUSDT").json(), _payload(reference, "rest.openorders"), "open")
    _same(client.get(f"/api/v1/order/{order_id}").json(), _payload(reference, "rest.order.by_id"), "one")
    _same(client.data("/api/v1/allOrders", pairSymbol="BTCUSDT")[0], _payload(reference, "rest.allorders.row"), "all")
    _same(client.cancel(order_id).json(), _payload(reference, "rest.order.cancel.ok"), "cancel")
    client.placed("sell", "market", "0.5")
    trades = client.get("/api/v1/users/transactions/trade").json()
    extra = frozenset({"orderClientId"})
    _same(trades, _payload(reference, "rest.transactions.trade.new"), "transactions", extra)
    crypto = client.get("/api/v1/users/transactions/crypto").json()
    _same(crypto, _payload(reference, "rest.transactions.crypto"), "crypto")


def test_refusals(reference: Path, client: Client, venue: Simulation) -> None:
    missing = client.get("/api/v1/order/1")
    assert (missing.status_code, missing.json()) == (400, _payload(reference, "rest.order.by_id.not_found"))
    assert client.cancel(1).json() == _payload(reference, "rest.order.cancel.error")
    client.placed("sell", "limit", "8", price="200")
    short = client.order("sell", "limit", "3", price="200")
    assert short.json() == _payload(reference, "rest.order.submit.error.open_orders_2024")
    small = client.order("sell", "limit", "0.01", price="200")
    assert small.json() == _payload(reference, "rest.order.submit.error.min_total_2024")
    late = client.get("/api/v1/allOrders", pairSymbol="BTCUSDT", startTime=10**13)
    assert late.json() == _payload(reference, "rest.error.time")
    venue.fault("refuse_by_limit", "GET *")
    _same(client.get("/api/v1/openOrders").json(), _payload(reference, "rest.error.429.account"), "429")
    venue.skew(60_000)
    stale = client.get("/api/v1/openOrders")
    assert (stale.status_code, stale.json()) == (401, _payload(reference, "rest.error.unauthorized"))


def test_market_frames(reference: Path, venue: Simulation) -> None:
    with Feed(venue) as feed:
        for channel in ("obdiff", "trade", "orderbook", "ticker"):
            feed.join(channel)
        feed.join("ticker", "all")
        venue.levels("BTCUSDT", bids=[("99.50", "5"), ("98.00", "1")], asks=[("101.00", "0")])
        venue.trade("BTCUSDT", "100", "1", "sell")
        feed.next(422)
        feed.wait(lambda kind, body: kind == 431 and body["channel"] == "orderbook")
        feed.wait(lambda *_: bool(feed.of(401)))
    pairs = [
        (991, "ws.welcome"), (100, "ws.result.join"), (402, "ws.ticker.pair"), (401, "ws.ticker.all"),
        (421, "ws.trade.list"), (422, "ws.trade.single"), (431, "ws.orderbook.full"), (432, "ws.obdiff.btcusdt"),
    ]  # fmt: skip
    for kind, name in pairs:
        _same_frame(kind, feed.of(kind)[-1], _payload(reference, name), name)


def test_private_frames(reference: Path, venue: Simulation, client: Client) -> None:
    with Feed(venue) as feed:
        _same_frame(114, feed.login(publicKey="wrong"), _payload(reference, "ws.login.fail"), "ws.login.fail")
        _same_frame(114, feed.login(), _payload(reference, "ws.login.ok"), "ws.login.ok")
        client.placed("sell", "limit", "0.5", price="100.50")
        venue.trade("BTCUSDT", "100.75", "0.5", "buy")
        feed.next(452)
        feed.next(201)
    pairs = [
        (451, "ws.user.order_insert"), (452, "ws.user.order_delete"), (441, "ws.user.order_match"),
        (423, "ws.user.trade"), (201, "ws.balance_updated"),
    ]  # fmt: skip
    for kind, name in pairs:
        _same_frame(kind, feed.of(kind)[-1], _payload(reference, name), name)


def _same_frame(kind: int, body: Any, theirs: Any, where: str) -> None:
    """A frame is an array of its type and an object."""
    assert kind == theirs[0]
    _same(json.loads(json.dumps(body, default=float)), theirs[1], where)
