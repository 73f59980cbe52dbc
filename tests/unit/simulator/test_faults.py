"""Faults: made from a control call, used up by what they strike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import pytest

from services.simulator.faults import KINDS, Call, Faults
from services.simulator.publisher import Publisher
from services.simulator.request import Answer, Request, bare
from tickrouter.errors import InvalidValue


class _Sockets:
    """Stands for the publisher, of which a fault only uses `drop`."""

    def __init__(self) -> None:
        self.dropped: list[tuple[bool | None, int | None, str]] = []

    def drop(self, private: bool | None, count: int | None, account: str = "") -> int:
        self.dropped.append((private, count, account))
        return 2


def _add(faults: Faults, wish: Mapping[str, Any], sockets: _Sockets | None = None) -> Any:
    return faults.add(wish, cast("Publisher", sockets or _Sockets()))


ORDER = {"data": {"id": 5, "orderClientId": "abcd"}}


class _Struck:
    """What became of a request that a fault struck."""

    def __init__(self, kind: str, answer: Answer | None = None, **options: Any) -> None:
        self.faults, self.executed, self.filled = Faults(), 0, list[tuple[int, Decimal]]()
        self._given = answer or bare(ORDER)
        _add(self.faults, {"kind": kind, **options})
        self.answer, self.executed_at_once = asyncio.run(self._strike())

    async def _strike(self) -> tuple[Answer | None, int]:
        fault = self.faults.around("DELETE", "/api/v1/order", "ann")
        assert fault is not None
        around = KINDS[fault.kind].around
        assert around is not None
        request = Request("DELETE", "/api/v1/order", b"id=5", {}, b"", "127.0.0.1")
        call = Call(request, "ann", self._execute, lambda *fill: self.filled.append(fill), self.faults.veils, 100.0)
        answer, at_once = await around(fault, call), self.executed
        await asyncio.sleep(0.005)
        return answer, at_once

    def _execute(self) -> Answer:
        self.executed += 1
        return self._given


def _strike(kind: str, **options: Any) -> tuple[Answer | None, int]:
    """What the kind makes of a request, and how often the request was executed."""
    struck = _Struck(kind, **options)
    return struck.answer, struck.executed


def test_lose_request_executes_nothing() -> None:
    assert _strike("lose_request") == (None, 0)


def test_execute_late_gives_no_answer_and_executes_later() -> None:
    struck = _Struck("execute_late", delay_ms=1)
    assert (struck.answer, struck.executed_at_once, struck.executed) == (None, 0, 1)


def test_a_hidden_order_shows_in_no_chosen_source_until_its_time() -> None:
    struck = _Struck("hide_order", delay_ms=2000, lose=True, sources=["open_orders", "frames"])
    assert (struck.answer, struck.executed) == (None, 1)
    veils, rows = struck.faults.veils, bare({"data": [{"id": 5}, {"id": 6}]})

    def ids(path: str, now: float, account: str = "ann") -> list[int]:
        return [row["id"] for row in json.loads(veils.answer(account, path, rows, now).body)["data"]]

    assert ids("/api/v1/openOrders", 101.9) == [6]
    assert ids("/api/v1/openOrders", 101.9, "ben") == [5, 6]
    assert ids("/api/v1/allOrders", 101.9) == [5, 6]
    assert veils.frame("ann", '[441, {"id": 5}]', 101.9) is None
    assert veils.frame("ann", '[441, {"id": 6}]', 101.9) == '[441, {"id": 6}]'
    assert ids("/api/v1/openOrders", 102.1) == [5, 6]
    assert veils.frame("ann", '[441, {"id": 5}]', 102.1) is not None


def test_a_hidden_order_is_not_found_by_its_id() -> None:
    struck = _Struck("hide_order", delay_ms=2000)
    answer = struck.faults.veils.answer("ann", "/api/v1/order/5", bare({"data": {"id": 5}}), 101.0)
    assert answer.status == 400 and json.loads(answer.body)["message"] == "Order not found"


@pytest.mark.parametrize(("status", "told"), [(200, 200), (400, 200)])
def test_blind_success_turns_a_refusal_into_success(status: int, told: int) -> None:
    struck = _Struck("blind_success", Answer(status, b"{}"))
    assert struck.answer is not None and (struck.answer.status, struck.executed) == (told, 1)


def test_an_order_is_filled_after_its_cancel_was_accepted() -> None:
    assert _Struck("fill_after_cancel", share="0.5").filled == [(5, Decimal("0.5"))]
    assert _Struck("fill_after_cancel", Answer(400, b"{}")).filled == []


@pytest.mark.parametrize(
    ("mode", "shown"), [("upper", "AB" * 16), ("dashes", "abababab-abab-abab-abab-abababababab"), ("none", "")]
)
def test_client_ids_come_back_altered(mode: str, shown: str) -> None:
    faults = Faults()
    _add(faults, {"kind": "echo_client_id", "account": "ann", "mode": mode})
    rows = bare({"data": {"asks": [], "bids": [{"id": 5, "orderClientId": "ab" * 16}]}})
    answer = faults.veils.answer("ann", "/api/v1/openOrders", rows, 0.0)
    assert json.loads(answer.body)["data"]["bids"] == [{"id": 5, "orderClientId": shown}]
    frame = faults.veils.frame("ann", json.dumps([451, {"id": 5, "newOrderClientId": "ab" * 16}]), 0.0)
    assert frame is not None and json.loads(frame)[1]["newOrderClientId"] == shown
    assert faults.veils.answer("ben", "/api/v1/openOrders", rows, 0.0) == rows


def test_a_fault_of_one_account_leaves_the_others_alone() -> None:
    faults = Faults()
    for kind in ("lose_reply", "skip_frames", "merge_matches"):
        _add(faults, {"kind": kind, "account": "ann"})
    assert faults.around("GET", "/", "ben") is None and not faults.merges("ben")
    assert not faults.skips("private", "BTCUSDT", 423, "ben")
    assert faults.around("GET", "/", "ann") is not None and faults.merges("ann")
    assert faults.skips("private", "BTCUSDT", 423, "ann") and faults.rows() == []


def test_lose_reply_executes_and_gives_no_answer() -> None:
    assert _strike("lose_reply") == (None, 1)


def test_late_answer_executes_at_once() -> None:
    answer, executed = _strike("late_answer", delay_ms=1)
    assert answer == bare(ORDER) and executed == 1


@pytest.mark.parametrize("execute", [False, True])
def test_server_error_is_html_before_or_after_executing(execute: bool) -> None:
    answer, executed = _strike("server_error", status=503, execute=execute)
    assert answer is not None and answer.status == 503
    assert answer.body.startswith(b"<html>") and executed == int(execute)


@pytest.mark.parametrize(("kind", "options"), [("refuse_by_limit", {}), ("refuse_late", {"delay_ms": 1})])
def test_a_refusal_by_limit_executes_nothing(kind: str, options: dict[str, int]) -> None:
    answer, executed = _strike(kind, retry_after=7, **options)
    assert answer is not None and executed == 0
    assert (answer.status, answer.headers) == (429, (("Retry-After", "7"),))


def test_a_fault_strikes_its_endpoint_as_often_as_said() -> None:
    faults = Faults()
    _add(faults, {"kind": "lose_reply", "endpoint": "GET /api/v1/order/*", "count": 2})
    assert faults.around("POST", "/api/v1/order") is None
    assert faults.around("GET", "/api/v1/order/5") is not None
    assert faults.around("GET", "/API/v1/Order/6") is not None
    assert faults.around("GET", "/api/v1/order/7") is None
    assert faults.rows() == []


def test_a_fault_without_a_count_strikes_for_ever_until_cleared() -> None:
    faults = Faults()
    _add(faults, {"kind": "lose_reply", "count": None})
    assert all(faults.around("GET", "/") for _ in range(5))
    assert faults.rows()[0]["struck"] == 5
    faults.clear()
    assert faults.around("GET", "/") is None


def test_frames_are_skipped_by_channel_event_and_type() -> None:
    faults = Faults()
    _add(faults, {"kind": "skip_frames", "channel": "obdiff", "event": "BTC*", "type": 432, "count": 1})
    assert not faults.skips("trade", "BTCUSDT", 422)
    assert not faults.skips("obdiff", "ETHUSDT", 432)
    assert not faults.skips("obdiff", "BTCUSDT", 431)
    assert faults.skips("obdiff", "BTCUSDT", 432)
    assert not faults.skips("obdiff", "BTCUSDT", 432)


def test_a_frame_fault_leaves_requests_alone_and_the_other_way_round() -> None:
    faults = Faults()
    _add(faults, {"kind": "skip_frames", "count": None})
    assert faults.around("GET", "/") is None
    faults.clear()
    _add(faults, {"kind": "lose_reply", "count": None})
    assert not faults.skips("trade", "BTCUSDT", 422)


@pytest.mark.parametrize(("scope", "private"), [("all", None), ("private", True), ("market", False)])
def test_sockets_are_dropped_at_once(scope: str, private: bool | None) -> None:
    sockets = _Sockets()
    fault = _add(Faults(), {"kind": "drop_socket", "scope": scope, "count": None, "account": "ann"}, sockets)
    assert fault.struck == 2 and sockets.dropped == [(private, None, "ann")]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "kind"),
        ({"kind": "meteor"}, "kind"),
        ({"kind": "lose_reply", "delay_ms": 5}, "delay_ms"),
        ({"kind": "lose_reply", "count": 0}, "count"),
        ({"kind": "lose_reply", "count": "1"}, "count"),
        ({"kind": "drop_socket", "scope": "some"}, "scope"),
        ({"kind": "hide_order", "sources": ["attic"]}, "sources"),
        ({"kind": "echo_client_id", "account": "ann", "mode": "mirror"}, "mode"),
        ({"kind": "echo_client_id"}, "account"),
    ],
)
def test_a_wrong_wish_names_its_field(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        _add(Faults(), wish)
    assert caught.value.field == field
