"""The quick way to read a place says what the careful way says, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK, PLACES
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.place_wire import plain_place
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.command import Command

PLAIN: dict[str, Any] = {
    "id": "c-1",
    "action": "place",
    "account": "btcturk/main",
    "contract": "btcturk/btc.try",
    "side": "b",
    "type": "limit",
    "price": "1000",
    "amount": "0.001",
    "client_oid": "0123456789abcdef" * 2,
}
NEAR = st.sampled_from(
    ["0", "0.0", "1", "00012.50", "1e3", "-1", " 1", "1\n", "limit", "market", "stop_limit", "place"]
)
"""What is almost a number, or a word of another field."""


def carefully(data: bytes) -> Command | None:
    try:
        return Command.from_wire(unpack_map(data))
    except (InvalidValue, Unreadable):
        return None


def test_a_place_without_anything_special_is_read() -> None:
    assert plain_place(pack_map(PLAIN)) == Command.from_wire(PLAIN)


@given(PLACES)
def test_both_ways_agree_on_places(command: Command) -> None:
    found = plain_place(pack_map(command.to_wire()))
    assert found is None or found == command


@given(st.dictionaries(st.sampled_from([*PLAIN, "quote_amount", "stop_price", "tags", "x"]), NEAR | JUNK, max_size=4))
def test_what_the_careful_way_refuses_the_quick_way_does_not_take(changes: dict[str, Any]) -> None:
    try:
        data = pack_map(PLAIN | changes)
    except (ValueError, OverflowError, RecursionError, TypeError):
        return
    found = plain_place(data)
    assert found is None or found == carefully(data)


@pytest.mark.parametrize("field", sorted(PLAIN))
def test_a_place_that_lacks_something_is_left_to_the_careful_way(field: str) -> None:
    assert plain_place(pack_map({name: value for name, value in PLAIN.items() if name != field})) is None


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_left_to_the_careful_way(data: bytes) -> None:
    assert plain_place(data) is None or carefully(data) is not None
