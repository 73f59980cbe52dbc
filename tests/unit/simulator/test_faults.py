"""Faults: made from a control call, used up by what they strike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from services.simulator.faults import KINDS, Faults
from services.simulator.publisher import Publisher
from services.simulator.request import Answer, bare
from tickrouter.errors import InvalidValue


class _Sockets:
    """Stands for the publisher, of which a fault only uses `drop`."""

    def __init__(self) -> None:
        self.dropped: list[tuple[bool | None, int | None]] = []

    def drop(self, private: bool | None, count: int | None) -> int:
        self.dropped.append((private, count))
        return 2


def _add(faults: Faults, wish: Mapping[str, Any], sockets: _Sockets | None = None) -> Any:
    return faults.add(wish, cast("Publisher", sockets or _Sockets()))


def _strike(kind: str, **options: Any) -> tuple[Answer | None, int]:
    """What the kind makes of a request, and how often the request was executed."""
    faults, executed = Faults(), 0

    def execute() -> Answer:
        nonlocal executed
        executed += 1
        return bare({"fine": True})

    _add(faults, {"kind": kind, **options})
    fault = faults.around("POST", "/api/v1/order")
    assert fault is not None
    around = KINDS[kind].around
    assert around is not None

    async def strike() -> Answer | None:
        return await around(fault, execute)

    return asyncio.run(strike()), executed


def test_lose_reply_executes_and_gives_no_answer() -> None:
    assert _strike("lose_reply") == (None, 1)


def test_late_answer_executes_at_once() -> None:
    answer, executed = _strike("late_answer", delay_ms=1)
    assert answer == bare({"fine": True}) and executed == 1


@pytest.mark.parametrize("execute", [False, True])
def test_server_error_is_html_before_or_after_executing(execute: bool) -> None:
    answer, executed = _strike("server_error", status=503, execute=execute)
    assert answer is not None and answer.status == 503
    assert answer.body.startswith(b"<html>") and executed == int(execute)


def test_refuse_by_limit_executes_nothing() -> None:
    answer, executed = _strike("refuse_by_limit", retry_after=7)
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
    fault = _add(Faults(), {"kind": "drop_socket", "scope": scope, "count": None}, sockets)
    assert fault.struck == 2 and sockets.dropped == [(private, None)]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "kind"),
        ({"kind": "meteor"}, "kind"),
        ({"kind": "lose_reply", "delay_ms": 5}, "delay_ms"),
        ({"kind": "lose_reply", "count": 0}, "count"),
        ({"kind": "lose_reply", "count": "1"}, "count"),
        ({"kind": "drop_socket", "scope": "some"}, "scope"),
    ],
)
def test_a_wrong_wish_names_its_field(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        _add(Faults(), wish)
    assert caught.value.field == field
