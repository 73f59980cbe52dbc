"""Commands: what is taken, what is refused, and with what words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK, MAPS, OID, PLACE, PLACES
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.command import Command


def place(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (PLACE | changes).items() if value is not None}


@given(PLACES)
def test_a_command_survives_the_wire(command: Command) -> None:
    assert Command.from_wire(unpack_map(pack_map(command.to_wire()))) == command


def test_unknown_fields_are_kept() -> None:
    command = Command.from_wire(place(later={"a": [1, 2]}))
    assert command.unknown == {"later": {"a": [1, 2]}}
    assert command.to_wire()["later"] == {"a": [1, 2]}


@pytest.mark.parametrize("contract", ["BTC.TRY:xtc.btcturk", "BTCTURK/btc.try"])
def test_an_alias_becomes_the_canonical_name(contract: str) -> None:
    assert Command.from_wire(place(contract=contract)).to_wire()["contract"] == "btcturk/btc.try"


@pytest.mark.parametrize("field", ["price", "amount", "stop_price", "leverage", "quote_amount"])
@pytest.mark.parametrize("value", [0.1, 1, float("nan"), "NaN", "Infinity", "-1", "0", "1e99", "", [], {}, b"1", True])
def test_money_is_a_positive_plain_text(field: str, value: Any) -> None:
    changes = {"amount": None} if field == "quote_amount" else {}
    with pytest.raises(InvalidValue) as caught:
        Command.from_wire(place(**(changes | {field: value})))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": 7}, "id"),
        ({"action": None}, "action"),
        ({"action": "buy"}, "action"),
        ({"account": None}, "account"),
        ({"account": "Btcturk/main"}, "account"),
        ({"contract": None}, "contract"),
        ({"contract": "btcc/btc.usdt"}, "contract"),
        ({"contract": "nonsense"}, "contract"),
        ({"side": "buy"}, "side"),
        ({"side": None}, "side"),
        ({"type": "iceberg"}, "type"),
        ({"type": "stop_limit"}, "stop_price"),
        ({"price": None}, "price"),
        ({"type": "market"}, "price"),
        ({"type": "stop_market", "stop_price": "5"}, "price"),
        ({"stop_price": "5"}, "stop_price"),
        ({"amount": None}, "amount"),
        ({"quote_amount": "5"}, "amount"),
        ({"client_oid": None}, "client_oid"),
        ({"client_oid": OID.upper()}, "client_oid"),
        ({"client_oid": OID[:-1]}, "client_oid"),
        ({"ttl_ms": 0}, "ttl_ms"),
        ({"ttl_ms": 1.5}, "ttl_ms"),
        ({"ttl_ms": True}, "ttl_ms"),
        ({"ttl_ms": 10**12}, "ttl_ms"),
        ({"reduce_only": 1}, "reduce_only"),
        ({"tags": []}, "tags"),
        ({"tags": {"a": float("nan")}}, "tags"),
        ({"tags": {"a": msgpack.Timestamp(1)}}, "tags"),
        ({"tags": {"a": msgpack.ExtType(5, b"x")}}, "tags"),
        ({"tags": {"a": 1 << 64}}, "tags"),
        ({"tags": {"a": "\ud800"}}, "tags"),
        ({"options": {"a": [[[[[[[[[[1]]]]]]]]]]}}, "options"),
        ({"later": {1: 2}}, "unknown fields"),
        ({"action": "cancel", "client_oid": None}, "client_oid"),
        ({"action": "query", "client_oid": None}, "client_oid"),
        ({"action": "amend"}, "client_oid"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Command.from_wire(place(**changes))
    assert caught.value.field == field
    assert caught.value.reason


@pytest.mark.parametrize("action", ["cancel_all"])
def test_cancel_all_needs_nothing_more(action: str) -> None:
    command = Command.from_wire({"id": "1", "action": action, "account": "btcturk/main"})
    assert (command.contract, command.side) == (None, None)


def test_a_cancel_by_the_venues_id() -> None:
    wire = {"id": "1", "action": "cancel", "account": "btcturk/main", "exchange_oid": "9000001"}
    assert Command.from_wire(wire).exchange_oid == "9000001"


def test_money_is_decimal() -> None:
    command = Command.from_wire(place(price="12.50"))
    assert command.price == Decimal("12.5")
    assert command.to_wire()["price"] == "12.5"


@given(st.dictionaries(st.sampled_from([*PLACE, "tags", "options", "ttl_ms", "stop_price", "other"]), JUNK))
def test_junk_raises_nothing_but_invalid_value(changes: dict[str, Any]) -> None:
    try:
        command = Command.from_wire(PLACE | changes)
    except InvalidValue:
        return
    assert Command.from_wire(command.to_wire()) == command


@given(st.dictionaries(st.text(max_size=8), JUNK, max_size=6))
def test_any_map_raises_nothing_but_invalid_value(wire: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        Command.from_wire(wire)


@given(MAPS)
def test_what_tags_may_hold_survives_a_second_packing(tags: dict[str, Any]) -> None:
    command = Command.from_wire(place(tags=tags or None))
    assert unpack_map(pack_map({"tags": command.tags}))["tags"] == tags


@given(st.binary(max_size=200))
def test_junk_bytes_are_unreadable_and_nothing_else(data: bytes) -> None:
    try:
        fields = unpack_map(data)
    except Unreadable:
        return
    assert all(isinstance(key, str) for key in fields)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 1_000_000,
        b"\x93\x01\x02\x03",
        b"\x81\x01\x02",
        b"\x81\xa1a" + b"\x91" * 100_000,
        b"\x81\xa1\xff\x01",
    ],
)
def test_large_deep_or_other_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack_map(data)
