"""Past trades by REST."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickrouter.core.market import Refused, TradeSeen
from tickrouter.model.contract import Contract
from tickrouter.model.trade import Trade
from tickrouter.venues.btcturk.public import read_trades, trades_request
from tickrouter.venues.request import Answer

CONTRACT = Contract.parse("btcturk/btc.try")


def row(tid: str, **fields: Any) -> dict[str, Any]:
    return {"tid": tid, "date": 1_700_000_000_123, "price": "2000000", "amount": "0.5", "side": "buy", **fields}


def read(body: Any, status: int = 200) -> list[Any]:
    data = body if isinstance(body, bytes) else json.dumps({"success": True, "data": body}).encode()
    return read_trades(Answer(status, data), CONTRACT, 7)


def test_the_call_names_its_endpoint_as_the_limits_do() -> None:
    request = trades_request("http://venue", CONTRACT)
    assert request.url == "http://venue/api/v2/trades?pairSymbol=BTCTRY&last=50"
    assert (request.method, request.endpoint) == ("GET", "GET /api/v2/trades")


def test_trades_come_oldest_first_with_sides_by_word() -> None:
    found = read([row("8", side="sell", timestamp=5, date=None), row("7")])
    assert found == [
        TradeSeen(Trade(7, 2000000.0, 0.5, "b", "7", "btcturk/btc.try", "backfill", 1_700_000_000_123_000_000), False),
        TradeSeen(Trade(7, 2000000.0, 0.5, "s", "8", "btcturk/btc.try", "backfill", 5_000_000), False),
    ]


@pytest.mark.parametrize("bad", [{"side": "hold"}, {"price": "nan"}, {"amount": None}, {"date": "now"}])
def test_a_bad_row_is_refused_and_the_others_are_taken(bad: dict[str, Any]) -> None:
    refused, seen = read([row("8"), row("7", **bad)])
    assert isinstance(refused, Refused) and isinstance(seen, TradeSeen)


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), (b"[]", 200), (b"{}", 200), (b"x" * 9000, 503)])
def test_a_bad_answer_is_refused_as_a_whole(body: bytes, status: int) -> None:
    (refused,) = read(body, status)
    assert isinstance(refused, Refused) and len(refused.data) <= 4096
