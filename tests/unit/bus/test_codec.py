"""Bytes on the wire against msgpack itself, so that any other language reads the same."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given

from tests.strategies import MAPS, RECORDS
from tickrouter.bus.codec import pack_map, pack_record, unpack_map
from tickrouter.bus.subscribe import id_text, parse_id
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.record import Record


@given(RECORDS)
def test_a_record_is_a_plain_msgpack_list(record: Record) -> None:
    values = msgpack.unpackb(pack_record(record))
    assert type(record).from_short_list(values) == record
    assert values[0] == 1


@given(MAPS)
def test_maps_read_back(fields: dict[str, object]) -> None:
    assert unpack_map(pack_map(fields)) == fields


def test_the_limit_is_the_callers() -> None:
    data = pack_map({"a": "x" * 100})
    assert unpack_map(data) == {"a": "x" * 100}
    with pytest.raises(Unreadable, match="bytes, more than 50"):
        unpack_map(data, limit=50)


@pytest.mark.parametrize("text", ["1-1", "0-0", "18446744073709551615-18446744073709551615"])
def test_entry_ids_read_back(text: str) -> None:
    assert id_text(parse_id("after", text)) == text


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", "1-1-1", "$", "18446744073709551616-0", "١-1", None, 5])
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="after"):
        parse_id("after", text)
