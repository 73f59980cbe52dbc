"""The venue's bars by REST."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickrouter.errors import Unreadable
from tickrouter.model.bar import Bar
from tickrouter.model.contract import Contract
from tickrouter.venues.btcturk.klines import MINUTE, bars_request, read_bars
from tickrouter.venues.request import Answer

CONTRACT = Contract.parse("btcturk/btc.try")
START = 1_785_585_600_000_000_000
SECOND = START // 1_000_000_000


def columns(*seconds: int, **fields: Any) -> dict[str, Any]:
    count = len(seconds)
    figures = {"o": [2.0] * count, "h": [4.0] * count, "l": [1.0] * count, "c": [3.0] * count, "v": [0.5] * count}
    return {"s": "ok", "t": list(seconds), **figures, **fields}


def read(body: Any, status: int = 200) -> list[Bar]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_bars(Answer(status, data), CONTRACT, START, START + 2 * MINUTE)


def test_the_call_names_its_endpoint_as_the_limits_do_and_whole_minutes() -> None:
    request = bars_request("http://graph", CONTRACT, START, START + 2 * MINUTE)
    query = f"symbol=BTCTRY&resolution=1&from={SECOND}&to={SECOND + 120}"
    assert request.url == f"http://graph/v1/klines/history?{query}"
    assert (request.method, request.endpoint) == ("GET", "GET /v1/klines/history")


def test_bars_of_the_time_asked_for_without_a_count_of_trades() -> None:
    found = read(columns(SECOND - 60, SECOND, SECOND + 60, SECOND + 120))
    assert found == [
        Bar(START, "1m", 2.0, 4.0, 1.0, 3.0, 0.5, "btcturk/btc.try"),
        Bar(START + MINUTE, "1m", 2.0, 4.0, 1.0, 3.0, 0.5, "btcturk/btc.try"),
    ]
    assert read({"s": "no_data"}) == []
    assert read(columns()) == []


@pytest.mark.parametrize(
    "bad",
    [
        columns(SECOND, v=[]),
        columns(SECOND, o=["x"]),
        columns(SECOND, h=[2.5]),
        columns(SECOND, c=[-1.0]),
        columns(SECOND + 1),
        columns(SECOND, s="error"),
        {"t": [SECOND]},
        b"<html>",
        b"[" * 5000,
    ],
)
def test_a_broken_answer_is_refused_as_a_whole(bad: Any) -> None:
    with pytest.raises(Unreadable, match="GET /v1/klines/history"):
        read(bad)


def test_another_status_is_no_answer() -> None:
    with pytest.raises(Unreadable, match="503"):
        read(columns(SECOND), 503)
