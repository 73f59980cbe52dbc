"""The codec of archived records: every bit comes back."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import BARS, BOOKS, INT64, TICKS, TIMES, TRADES, optional
from tickrouter.errors import Unreadable
from tickrouter.history.chunks import ROWS, decode, encode
from tickrouter.history.columns import Columns, digest, from_records
from tickrouter.history.slots import Slots, together
from tickrouter.model.record import Record
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
PLACES = optional(st.tuples(TIMES, INT64))
DECIMALS = st.builds(lambda whole, scale: whole / 10**scale, st.integers(-(10**9), 10**9), st.integers(0, 8))
MARKET_TICKS = st.builds(
    Tick,
    st.integers(1_785_585_600_000_000_000, 1_785_585_601_000_000_000),
    optional(DECIMALS),
    optional(DECIMALS),
    st.lists(st.tuples(DECIMALS, DECIMALS), max_size=5).map(tuple),
    st.lists(st.tuples(DECIMALS, DECIMALS), max_size=5).map(tuple),
    st.just(C),
    st.sampled_from(["ticker", "trade", "book"]),
    optional(st.integers(1_785_585_600_000, 1_785_585_601_000).map(lambda ms: ms * 1_000_000)),
)


def rows_of(kind: str, records: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rows of one kind, each with or without a place in the stream."""
    return st.tuples(st.just(kind), st.lists(st.tuples(records, PLACES), min_size=1, max_size=30))


ANY_ROWS = (
    rows_of("tick", MARKET_TICKS)
    | rows_of("tick", TICKS)
    | rows_of("trade", TRADES)
    | rows_of("book", BOOKS)
    | rows_of("bar", BARS)
)


def through_chunk(columns: Columns) -> Columns:
    payloads = encode(columns)
    back = decode(payloads.top)
    if payloads.depth is not None:
        back.columns.update(decode(payloads.depth).columns)
    return back


def bits(value: Any) -> Any:
    """Floats as their bytes, so that -0.0 is not 0.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    return [bits(one) for one in value] if isinstance(value, list | tuple) else value


def as_bits(records: list[Record]) -> list[Any]:
    return [bits(record.to_short_list()) for record in records]


@settings(max_examples=400, deadline=None)
@given(ANY_ROWS)
def test_records_and_their_places_come_back_bit_for_bit(drawn: tuple[str, list[tuple[Any, Any]]]) -> None:
    kind, rows = drawn
    records = [type(one).from_dict(one.to_dict() | {"contract": C}) for one, _ in rows]
    places = [place for _, place in rows]
    columns = from_records(kind, C, records, places)
    assert as_bits(columns.records()) == as_bits(records)
    back = through_chunk(columns)
    assert as_bits(back.records()) == as_bits(records)
    assert back.ids() == places
    assert (back.kind, back.contract, back.rows) == (kind, C, len(records))
    assert digest(back) == digest(columns)


@settings(max_examples=200, deadline=None)
@given(rows_of("tick", MARKET_TICKS), st.data())
def test_another_value_is_another_digest(drawn: tuple[str, list[tuple[Any, Any]]], data: Any) -> None:
    _, rows = drawn
    places = [place for _, place in rows]
    records = [record for record, _ in rows]
    changed = data.draw(st.integers(0, len(rows) - 1))
    other = list(records)
    other[changed] = Tick.from_dict(records[changed].to_dict() | {"time": records[changed].time + 1})
    before, after = (from_records("tick", C, some, places) for some in (records, other))
    assert digest(before) != digest(after)
    missing = [*places[:changed], None if places[changed] else (1, 1), *places[changed + 1 :]]
    assert digest(from_records("tick", C, records, missing)) != digest(before)


@settings(max_examples=200, deadline=None)
@given(rows_of("book", BOOKS), st.sets(st.sampled_from(["time", "ms", "n", "bid1", "ask1_size", "bid3", "sequence"])))
def test_some_columns_are_those_of_all(drawn: tuple[str, list[tuple[Any, Any]]], names: set[str]) -> None:
    _, rows = drawn
    columns = from_records("book", C, [record for record, _ in rows], [place for _, place in rows])
    whole = through_chunk(columns)
    payloads = encode(columns)
    some = decode(payloads.top, names).columns
    if payloads.depth is not None:
        some |= decode(payloads.depth, names).columns
    assert names & whole.columns.keys() <= some.keys() <= names | {"time"}
    for name, column in some.items():
        assert column.to_list() == whole[name].to_list()


def test_prices_take_the_narrowest_integers_that_hold_them() -> None:
    prices = [60_000.5 + step / 100 for step in range(200)]
    sizes = [1 + step / 100_000 for step in range(200)]
    trades = [
        Trade(10**18 + step * 1_000_000, prices[step], sizes[step], "b", str(10**17 + step), C, "live", 10**18)
        for step in range(200)
    ]
    columns = from_records("trade", C, trades, [(10**12 + step, 2**40 + step) for step in range(200)])
    schema = pa.ipc.open_stream(encode(columns).top).schema
    types = {field.name: str(field.type) for field in schema}
    assert types == {"time": "int8", "price": "uint8", "size": "uint8", "trade_id": "int8", "n": "int8"}
    rules = {key.decode(): value.decode() for key, value in schema.field("price").metadata.items()}
    assert rules == {"origin": "6000050", "scale": "2"}
    assert schema.field("time").metadata[b"unit"] == b"1000000"


def test_an_origin_that_makes_nothing_narrower_is_left_out() -> None:
    sizes = [
        [5 + step for step in range(200)],
        [70_000 + step for step in range(200)],
        [-3 + step for step in range(200)],
    ]
    origins = []
    for some in sizes:
        trades = [Trade(10**18 + step, 1.5, size / 100, "b", str(step), C) for step, size in enumerate(some)]
        columns = from_records("trade", C, trades, [(1, 1 + step) for step in range(200)])
        payload = encode(columns).top
        field = pa.ipc.open_stream(payload).schema.field("size")
        origins.append((str(field.type), field.metadata[b"origin"]))
        assert as_bits(decode(payload).records()) == as_bits(trades)
    assert origins == [("uint8", b"0"), ("uint8", b"70000"), ("uint8", b"-3")]


@pytest.mark.parametrize("value", [0.1 + 0.2, -0.0, 1e-300, 1.7e308, math.inf, math.nan])
def test_what_does_not_fit_stays_float64(value: float) -> None:
    trades = [Trade(10**18 + step, price, 1.0, "b", str(step), C) for step, price in enumerate([1.5, value])]
    columns = from_records("trade", C, trades, [(1, 1), (1, 2)])
    payload = encode(columns).top
    assert str(pa.ipc.open_stream(payload).schema.field("price").type) == "double"
    assert as_bits(decode(payload).records()) == as_bits(trades)


def test_a_full_chunk_of_ticks_is_small() -> None:
    level = [((100.0 + step % 7 / 100, 1.0 + step % 13 / 8),) for step in range(ROWS)]
    ticks = [
        Tick(10**18 + step * 10**6, 100.0, None, level[step], level[-step], C, "book", 10**18 + step * 10**6)
        for step in range(ROWS)
    ]
    payloads = encode(from_records("tick", C, ticks, [(10**12 + step, 2**40 + step) for step in range(ROWS)]))
    assert payloads.depth is None
    assert len(payloads.top) < ROWS


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(junk)


def test_a_payload_cut_anywhere_is_refused_or_whole() -> None:
    ticks = [Tick(10**18 + step, 100.0 + step, None, ((99.5, 2.0),), (), C, "book") for step in range(50)]
    payload = encode(from_records("tick", C, ticks, [(1, step) for step in range(50)])).top
    whole = 0
    for cut in range(len(payload)):
        try:
            found = decode(payload[:cut])
        except Unreadable:
            continue
        whole += 1
        assert found.records() == ticks
    assert whole <= 8  # the mark of the end, which says nothing


def test_another_form_is_refused() -> None:
    schema = pa.schema([pa.field("time", pa.int64())], {"form": "2"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    with pytest.raises(Unreadable, match="form '2'"):
        decode(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_a_payload_is_read_however_it_is_compressed(compression: str | None) -> None:
    levels = tuple((100.0 - place, 1.5) for place in range(5))
    ticks = [Tick(1000 + row, row / 4, None, levels, ((101.5, row / 8),), C, "book") for row in range(50)]
    columns = from_records("tick", C, ticks, [(1, 1 + row) for row in range(50)])
    again = []
    for payload in encode(columns):
        assert payload is not None
        with pa.ipc.open_stream(payload) as stream:
            table = stream.read_all()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
            out.write_table(table)
        again.append(decode(sink.getvalue().to_pybytes()))
    again[0].columns.update(again[1].columns)
    assert again[0].records() == ticks
    assert digest(again[0]) == digest(columns)


def by_the_page() -> Any:
    """The reader in docs/archive.md."""
    page = (Path(__file__).parents[3] / "docs/archive.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    room: dict[str, Any] = {}
    exec(compile(program, "docs/archive.md", "exec"), room)
    return room["columns"]


READER = by_the_page()


@settings(max_examples=100, deadline=None)
@given(ANY_ROWS)
def test_the_reader_on_the_page_agrees(drawn: tuple[str, list[tuple[Any, Any]]]) -> None:
    kind, rows = drawn
    columns = from_records(kind, C, [record for record, _ in rows], [place for _, place in rows])
    found = READER(encode(columns).top)
    for name in ("time", "ms", "n", "price", "exchange_time", "bid_count", "trade_id", "volume", "bid1", "ask1_size"):
        if name in columns.columns:
            assert [_wrapped(one) for one in found[name]] == columns[name].to_list(), name


def _wrapped(value: Any) -> Any:
    """Sums wrap at 64 bits."""
    return (value + 2**63) % 2**64 - 2**63 if isinstance(value, int) else value


def test_chunks_fill_the_parts_of_one_array_and_are_joined_without_a_copy() -> None:
    ticks = [Tick(1000 + row, row / 4, None, ((row + 0.5, 2.0),), (), C, "book") for row in range(90)]
    parts = [ticks[:40], ticks[40:41], ticks[41:]]
    names = ("time", "price", "bid1", "bid1_size", "flags", "source")
    slots = Slots([len(part) for part in parts], names)
    read = []
    for number, part in enumerate(parts):
        columns = from_records("tick", C, part, [(1, 1 + row) for row in range(len(part))])
        read.append(decode(encode(columns).top, names, slots.of(number)).columns)
    for name in ("time", "price", "bid1", "bid1_size"):
        arrays = [columns[name].values for columns in read]
        whole = together(arrays)
        assert whole.tolist() == [value for array in arrays for value in array.tolist()]
        assert whole.base is arrays[0].base
        assert together([arrays[0][10:], *arrays[1:]]).tolist() == whole.tolist()[10:]
        assert together([arrays[1], arrays[0]]).tolist() == [*arrays[1].tolist(), *arrays[0].tolist()]
    assert read[0]["time"].values.dtype == np.int64
    assert together([read[0]["time"].values]).tolist() == list(range(1000, 1040))
