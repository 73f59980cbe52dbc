"""Events and fills on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.strategies import EVENTS, FILLS, JUNK
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.errors import InvalidValue
from tickrouter.model.event import Event
from tickrouter.model.fill import Fill

EVENT: dict[str, Any] = {"account": "btcturk/main", "type": "order", "time": 1_700_000_000_000_000_000}
FILL: dict[str, Any] = {
    "seq": 3,
    "trade_id": "77",
    "price": "1000",
    "amount": "0.5",
    "fee": "0.45",
    "fee_currency": "try",
    "liquidity": "taker",
    "time": 1_700_000_000_000_000_000,
}


def test_an_execution_may_have_more_places_than_an_order() -> None:
    """A journal that cannot be read again would stop the account's router for good."""
    fill = Fill.from_wire(FILL | {"amount": "0.000012345678901234567", "price": "0.0000000000000000001"})
    assert Fill.from_wire(fill.to_wire() | {"seq": 3}) == fill
    with pytest.raises(InvalidValue, match="above zero"):
        Fill.from_wire(FILL | {"amount": "0"})


@given(EVENTS, st.none() | FILLS, st.integers(1, 2**40), st.integers(1, 2**40))
def test_an_event_survives_the_wire(event: Event, fill: Fill | None, epoch: int, seq: int) -> None:
    wire = event.to_wire() | {"epoch": epoch, "seq": seq}
    if fill is not None:
        wire["fill"] = fill.to_wire() | {"seq": seq}
    read = Event.from_wire(unpack_map(pack_map(wire)))
    published = replace(fill, seq=seq) if fill is not None else None
    assert read == replace(event, epoch=epoch, seq=seq, fill=published)
    assert read.id == f"{epoch}-{seq}"
    assert read.fill_id == (f"{epoch}-{seq}" if fill is not None else None)


def test_unknown_fields_and_types_are_kept() -> None:
    event = Event.from_wire(EVENT | {"type": "of_tomorrow", "colour": "red"})
    assert (event.type, event.unknown) == ("of_tomorrow", {"colour": "red"})


def test_an_unknown_liquidity_is_unknown() -> None:
    assert Fill.from_wire(FILL | {"liquidity": "auction"}).liquidity == "unknown"


@pytest.mark.parametrize("field", ["account", "type", "time"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Event.from_wire({name: value for name, value in EVENT.items() if name != field})
    assert caught.value.field == field


@pytest.mark.parametrize("field", sorted(set(FILL) - {"liquidity", "seq"}))
def test_a_missing_field_of_a_fill_is_named(field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Fill.from_wire({name: value for name, value in FILL.items() if name != field})
    assert caught.value.field == f"fill.{field}"


@given(st.dictionaries(st.sampled_from([*EVENT, "fill", "reason", "filled", "epoch", "seq", "tags", "status"]), JUNK))
def test_junk_raises_nothing_but_invalid_value(changes: dict[str, Any]) -> None:
    try:
        event = Event.from_wire(EVENT | changes)
    except InvalidValue:
        return
    assert event.account.venue == "btcturk"


@given(st.dictionaries(st.sampled_from([*FILL]), JUNK))
def test_a_junk_fill_raises_nothing_but_invalid_value(changes: dict[str, Any]) -> None:
    try:
        fill = Fill.from_wire(FILL | changes)
    except InvalidValue:
        return
    assert fill.amount > 0
