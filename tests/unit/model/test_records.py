"""Market records: their short list, their dictionary, and what a tick says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK, LEVELS, RECORDS
from tickrouter.bus.codec import pack_record, unpack_record
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.record import Record, level_rows
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

TICK = Tick(1, 100.0, 2.0, ((99.0, 1.0), (98.0, 5.0)), ((101.0, 3.0),), "btcturk/btc.try", "book")


def test_a_tick_has_the_seed_fields_and_properties() -> None:
    assert (TICK.last, TICK.bid1, TICK.ask1) == (100.0, 99.0, 101.0)
    # the bid weighs with the ask's size and the other way round: (99 * 3 + 101 * 1) / 4
    assert TICK.weighted_middle == 99.5
    assert TICK.to_dict() == {
        "time": 1,
        "price": 100.0,
        "volume": 2.0,
        "bids": ((99.0, 1.0), (98.0, 5.0)),
        "asks": ((101.0, 3.0),),
        "contract": "btcturk/btc.try",
        "source": "book",
        "exchange_time": None,
        "amount": None,
        "flags": 0,
    }


@given(LEVELS, LEVELS)
def test_properties_are_none_on_an_empty_side_and_never_raise(bids: Any, asks: Any) -> None:
    tick = Tick(1, None, None, bids, asks, "btcturk/btc.try", "book")
    assert (tick.bid1 is None) == (not bids)
    assert (tick.ask1 is None) == (not asks)
    assert (tick.weighted_middle is None) == (not bids or not asks)
    assert tick.last is None


@given(RECORDS)
def test_every_form_reads_back(record: Record) -> None:
    kind = type(record)
    assert kind.from_short_list(record.to_short_list()) == record
    assert kind.from_dict(record.to_dict()) == record
    assert unpack_record(kind, pack_record(record)) == record


@given(RECORDS, st.lists(JUNK.filter(lambda value: not isinstance(value, dict)), min_size=1, max_size=3))
def test_values_behind_the_known_ones_are_ignored(record: Record, more: list[object]) -> None:
    assert type(record).from_short_list([*record.to_short_list(), *more]) == record


@given(RECORDS)
def test_unknown_keys_of_a_dictionary_are_ignored(record: Record) -> None:
    assert type(record).from_dict({"later": 1} | record.to_dict()) == record


def test_the_short_list_begins_with_its_version_and_keeps_the_order() -> None:
    assert TICK.to_short_list()[:5] == [1, 1, 100.0, 2.0, ((99.0, 1.0), (98.0, 5.0))]


@pytest.mark.parametrize("values", [[], [1], [2, *TICK.to_short_list()[1:]], ["x"] * 11, TICK.to_short_list()[:8]])
def test_a_wrong_short_list_is_refused(values: list[Any]) -> None:
    with pytest.raises(InvalidValue, match="Tick"):
        Tick.from_short_list(values[:-1] if len(values) == 8 else values)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidValue, match=r"Trade\.price: missing"):
        Trade.from_dict({"time": 1})


@given(st.binary(max_size=60))
def test_junk_bytes_are_unreadable_and_nothing_else(data: bytes) -> None:
    try:
        record = unpack_record(Trade, data)
    except Unreadable:
        return
    assert isinstance(record, Trade)


@pytest.mark.parametrize("data", [b"", b"\x91" * 100_000, pack_record(TICK)[:-1] + b"\x91" * 100_000])
def test_deep_or_cut_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack_record(Tick, data)


def test_levels_as_rows() -> None:
    assert level_rows(TICK.bids) == [[99.0, 1.0], [98.0, 5.0]]
