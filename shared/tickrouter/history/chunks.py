"""The pure codec of archived records: columns to Arrow IPC streams, compressed inside, and back, bit for bit.

Numbers become the narrowest integers that hold them; what does not fit stays float64 or int64. How a stored column
is turned back stands in its field's metadata, all numbers as decimal text:

    stored -> (running sum, if `delta`) * `unit` + `origin` -> (+ time // 1,000,000, if `over` is `time_ms`)
           -> (/ 10 ** `scale`, if `scale`) or (as decimal text, if `text`)

Sums wrap at 64 bits; a missing value counts as 0 in a running sum. Columns with one value for all rows stand in the
schema's metadata, `constants`, a JSON map.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from tickrouter.errors import Unreadable
from tickrouter.history.columns import Array, Column, Columns, empty_column
from tickrouter.history.names import LEVEL, TEXTS, WHOLE

FORM: Final = "1"
ROWS: Final = 64_000
"""Rows of a full chunk at most: enough that a whole reading is decompressing, and not Python's small calls."""
CELLS: Final = 1_200_000
"""Numbers of a full chunk at most: ten million bytes even if nothing could be made narrower or compressed."""
_NS_PER_MS = 1_000_000
_MOST_DIGITS = 15
_SAMPLE = 64
_FIELDS = 8
_FAST: Final = ("lz4", None)
"""A fifth to a quarter more bytes than zstd, read in half the time."""
_SMALL: Final = ("zstd", -1)
"""Of the best level where there are deeper ones: those take enough bytes."""
_RUNNING = frozenset({"time", "exchange_time", "n", "sequence"})
"""Columns whose neighbours differ less than their values: stored as differences."""


def cells(levels: int) -> int:
    """Numbers of a row with so many levels, both sides counted."""
    return 2 * levels + _FIELDS


class Payloads(NamedTuple):
    """One chunk's bytes: all but the deeper levels, and those (None where there are none)."""

    top: bytes
    depth: bytes | None


def encode(columns: Columns) -> Payloads:
    """The payloads of some rows; every column of the kind has to be there."""
    deep = [name for name in columns.columns if is_deep(name)]
    top = [name for name in columns.columns if not is_deep(name)]
    return Payloads(_payload(columns, top, _SMALL if deep else _FAST), _payload(columns, deep, _FAST) if deep else None)


def is_deep(name: str) -> bool:
    """True for a column of the second payload: a level below the best."""
    level = LEVEL.match(name)
    return level is not None and level[2] != "1"


def decode(payload: bytes, names: Collection[str] | None = None, into: Mapping[str, Array] | None = None) -> Columns:
    """Columns of one payload.

    Args:
        payload: as `encode` made it.
        names: those wanted; None for all. What the payload has not is left out.
        into: arrays to be filled, of the payload's length; columns that have none get one of their own.

    Raises:
        Unreadable: no such payload, or another form.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(payload)) as stream:
            schema = stream.schema
        known = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        if known.get("form") != FORM:
            raise Unreadable(f"a chunk of form {known.get('form')!r}; this version reads form {FORM}")
        rows = int(known["rows"])
        wanted = None if names is None else {*names, *(["time"] if "ms" in names else [])}
        chosen = [index for index, name in enumerate(schema.names) if wanted is None or name in wanted]
        columns: dict[str, Column] = {}
        into = into or {}
        if chosen:
            options = pa.ipc.IpcReadOptions(included_fields=chosen, use_threads=False)
            with pa.ipc.open_stream(pa.py_buffer(payload), options=options) as stream:
                batch = stream.read_next_batch()
            desk = np.empty(rows, np.float64)
            for field, array in sorted(
                zip(batch.schema, batch.columns, strict=True), key=lambda one: one[0].name == "ms"
            ):
                columns[field.name] = _restored(field, array, columns, into.get(field.name), desk)
        for name, value in json.loads(known["constants"]).items():
            if wanted is None or name in wanted:
                columns[name] = _constant(name, value, rows, into.get(name))
        if "ms" not in columns and known.get("place") == "time" and (wanted is None or "ms" in wanted):
            columns["ms"] = Column(np.floor_divide(columns["time"].values, _NS_PER_MS, out=into.get("ms")))
        return Columns(known["kind"], known["contract"], rows, columns)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise Unreadable(f"not a chunk: {error}") from error


def _payload(columns: Columns, names: list[str], codec: tuple[str, int | None]) -> bytes:
    fields, arrays, constants = [], [], {}
    known = {"form": FORM, "kind": columns.kind, "contract": columns.contract, "rows": str(columns.rows)}
    for name in names:
        column = columns[name]
        single, value = _single(name, column)
        if single:
            constants[name] = value
        elif name == "ms" and column.valid is None and (column.values == columns["time"].values // _NS_PER_MS).all():
            known["place"] = "time"
        else:
            array, rules = _narrow(name, column, columns)
            fields.append(pa.field(name, array.type, metadata=rules))
            arrays.append(array)
    schema = pa.schema(fields, known | {"constants": json.dumps(constants)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec(*codec), use_threads=False)
    with pa.ipc.new_stream(sink, schema, options=options) as stream:
        if arrays:
            stream.write_batch(pa.record_batch(arrays, schema=schema))
    payload: bytes = sink.getvalue().to_pybytes()
    return payload


def _single(name: str, column: Column) -> tuple[bool, Any]:
    """Whether all rows say the same, and what."""
    values, valid = column.values, column.valid
    if valid is not None and not valid.any():
        return True, None
    if valid is not None or len(values) == 0 or name == "time":
        return False, None
    first = values[0]
    if values.dtype == np.float64:
        bits = values.view(np.int64)
        return bool((bits == bits[0]).all() and np.isfinite(first)), float(first)
    same = bool((values == first).all())
    return same, first if values.dtype == object else int(first)


def _constant(name: str, value: Any, rows: int, slot: Array | None) -> Column:
    if value is None:
        return empty_column(name, rows)
    if slot is not None:
        slot[:] = value
        return Column(slot)
    kind: Any = np.int64 if name in WHOLE else object if name in TEXTS else np.float64
    return Column(np.full(rows, value, kind))


def _narrow(name: str, column: Column, columns: Columns) -> tuple[Any, dict[str, str]]:
    values, valid = column.values, column.valid
    hidden = None if valid is None else ~valid
    if values.dtype == object:
        whole = _whole_numbers(values if valid is None else np.where(valid, values, "0"))
        if whole is None:
            return pa.array(values, pa.string(), mask=hidden).dictionary_encode(), {}
        stored, rules = _integers(whole, valid, running=True)
        return pa.array(stored, mask=hidden), rules | {"text": "1"}
    if values.dtype == np.float64:
        scaled = _scaled(values, valid)
        if scaled is None:
            return pa.array(values, mask=hidden), {}
        stored, rules = _integers(scaled[0], valid, running=False)
        return pa.array(stored, mask=hidden), rules | {"scale": str(scaled[1])}
    if name == "ms" and valid is None:
        with np.errstate(over="ignore"):
            stored, rules = _integers(values - columns["time"].values // _NS_PER_MS, None, running=False)
        return pa.array(stored), rules | {"over": "time_ms"}
    stored, rules = _integers(values, valid, running=name in _RUNNING)
    return pa.array(stored, mask=hidden), rules


def _scaled(values: Array, valid: Array | None) -> tuple[Array, int] | None:
    """Whole numbers and the power of ten that they were multiplied by, if that gives back every bit."""
    shown = values if valid is None else np.where(valid, values, 0.0)
    first = 0
    for part in (shown[:_SAMPLE], shown):
        for scale in range(first, _MOST_DIGITS + 1):
            with np.errstate(over="ignore", invalid="ignore"):
                whole = np.rint(part * 10.0**scale)
            if not (np.abs(whole) < 2.0**53).all():
                return None
            if ((whole.astype(np.int64) / 10.0**scale).view(np.int64) == part.view(np.int64)).all():
                first = scale
                break
        else:
            return None
    return whole.astype(np.int64), first


def _whole_numbers(values: Array) -> Array | None:
    """Texts as the int64 that they are the plain decimal form of, if all are."""
    texts: list[str] = values.tolist()
    try:
        numbers = np.array([int(text) for text in texts], np.int64)
    except (ValueError, OverflowError):
        return None
    return numbers if list(map(str, numbers.tolist())) == texts else None


def _integers(values: Array, valid: Array | None, *, running: bool) -> tuple[Array, dict[str, str]]:
    """Stored integers, and the rules that give back the values."""
    rules: dict[str, str] = {}
    if valid is not None:
        shown = values[valid]
        values = np.where(valid, values, shown[0])
    with np.errstate(over="ignore"):
        if running:
            # Missing values do not move the sum: each difference is against the last value before.
            if valid is not None:
                last = np.maximum.accumulate(np.where(valid, np.arange(len(values)), 0))
                values = values[last]
            origin = values[0]
            values = np.diff(values, prepend=origin)
            rules["delta"] = "1"
        else:
            origin = values.min()
            values = values - origin
            if values.max() < 0 or values.min() < 0:  # wider than 63 bits
                values, origin = values + origin, np.int64(0)
        unit = int(np.gcd.reduce(values)) if int(np.abs(values).max()) >= _NS_PER_MS else 1
        if unit > 1:
            values = values // unit
            rules["unit"] = str(unit)
    low, high = int(values.min()), int(values.max())
    for kind in (np.int8, np.int16, np.int32) if running else (np.uint8, np.uint16, np.uint32):
        least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        if least <= low and high <= most:
            if not running and unit == 1 and 0 < origin <= most - high:
                # It makes nothing narrower, and a reader would have to add it.
                values, origin = values + origin, np.int64(0)
            return values.astype(kind), rules | {"origin": str(int(origin))}
    return values, rules | {"origin": str(int(origin))}


def _restored(field: Any, array: Any, before: dict[str, Column], slot: Array | None, desk: Array) -> Column:
    """A column turned back. What comes between is put on the desk: it stays in the processor's cache, and what is
    returned is written once and not read again."""
    rules: dict[bytes, bytes] = field.metadata or {}
    valid = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(array.type):
        words = np.array(array.dictionary.to_pylist(), object)
        codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return Column(words[codes], valid)
    if valid is not None:
        array = array.fill_null(0)
    values = array.to_numpy(zero_copy_only=False)
    if not rules:
        if slot is None:
            return Column(values, valid)
        slot[:] = values
        return Column(slot, valid)
    origin, unit = int(rules[b"origin"]), int(rules.get(b"unit", 1))
    if b"scale" in rules:
        # All whole numbers here are below 2^53, where floats add without error.
        found = np.empty(len(values), np.float64) if slot is None else slot
        if unit != 1:
            values = np.multiply(values, float(unit), out=desk)
        if origin:
            values = np.add(values, float(origin), out=desk)
        return Column(np.divide(values, 10.0 ** int(rules[b"scale"]), out=found), valid)
    found = np.empty(len(values), np.int64) if slot is None else slot
    with np.errstate(over="ignore"):
        if b"delta" in rules:
            values = np.cumsum(values, dtype=np.int64, out=desk.view(np.int64))
        if unit != 1:
            values = np.multiply(values, np.int64(unit), out=desk.view(np.int64))
        np.add(values, np.int64(origin), out=found)
        if rules.get(b"over") == b"time_ms":
            found += before["time"].values // _NS_PER_MS
    if b"text" in rules:
        return Column(np.array(list(map(str, found.tolist())), object), valid)
    return Column(found, valid)
