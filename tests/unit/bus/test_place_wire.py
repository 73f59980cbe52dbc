"""The quick way to read a place says what the careful way says, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK, PLACE, PLACES
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.place_wire import plain_place
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.command import Command

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
    assert plain_place(pack_map(PLACE)) == Command.from_wire(PLACE)


@given(PLACES)
def test_both_ways_agree_on_places(command: Command) -> None:
    found = plain_place(pack_map(command.to_wire()))
    assert found is None or found == command


@given(st.dictionaries(st.sampled_from([*PLACE, "quote_amount", "stop_price", "tags", "x"]), NEAR | JUNK, max_size=4))
def test_what_the_careful_way_refuses_the_quick_way_does_not_take(changes: dict[str, Any]) -> None:
    try:
        data = pack_map(PLACE | changes)
    except (ValueError, OverflowError, RecursionError, TypeError):
        return
    found = plain_place(data)
    assert found is None or found == carefully(data)


@pytest.mark.parametrize("field", sorted(PLACE))
def test_a_place_that_lacks_something_is_left_to_the_careful_way(field: str) -> None:
    assert plain_place(pack_map({name: value for name, value in PLACE.items() if name != field})) is None


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_left_to_the_careful_way(data: bytes) -> None:
    assert plain_place(data) is None or carefully(data) is not None
