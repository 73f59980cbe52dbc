"""Columns as numpy arrays, pandas and polars frames, and Arrow tables.

Missing numbers are NaN in float64 columns. Whole numbers stay int64: nullable Int64 in pandas, null in Arrow and
polars, a masked array in numpy. `time` is ns since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tickrouter.errors import TickrouterError
from tickrouter.history.columns import Array, Column, Columns
from tickrouter.history.names import COUNTS, TEXTS, WHOLE
from tickrouter.history.slots import together

if TYPE_CHECKING:
    import pandas as pd


def chosen(columns: Columns, name: str) -> Column:
    """A column by the name that a user gives it: stored ones, `contract`, and whole sides as tuples of levels."""
    if name == "contract":
        return Column(np.full(columns.rows, columns.contract, object))
    if name in COUNTS and columns.kind in ("tick", "book"):
        sides = np.empty(columns.rows, object)
        sides[:] = columns.side(name)
        return Column(sides)
    return columns.get(name)


def to_numpy(parts: Iterable[Columns], names: Sequence[str]) -> dict[str, Array]:
    """Arrays by name, `time` (int64, ns) first."""
    return {name: _plain(column) for name, column in _gathered(parts, ("time", *names)).items()}


def to_pandas(parts: Iterable[Columns], names: Sequence[str]) -> pd.DataFrame:
    """A frame indexed by `time` in UTC.

    Raises:
        TickrouterError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise TickrouterError("pandas is not installed: pip install 'tickrouter[frames]'") from error
    found = _gathered(parts, ("time", *names))
    index = pd.DatetimeIndex(found["time"].values.view("datetime64[ns]"), name="time").tz_localize("UTC")
    series: dict[str, Any] = {}
    for name in names:
        column = found[name]
        if name in WHOLE:
            missing = np.zeros(len(column.values), bool) if column.valid is None else ~column.valid
            series[name] = pd.Series(pd.arrays.IntegerArray(column.values, missing), index=index)
        else:
            series[name] = pd.Series(_plain(column), index=index, dtype=None if _is_float(column) else object)
    return pd.DataFrame(series, index=index)


def to_arrow(parts: Iterable[Columns], names: Sequence[str]) -> Any:
    """A `pyarrow.Table`; `time` is timestamp[ns, UTC], sides are lists of [price, size].

    Raises:
        TickrouterError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise TickrouterError("pyarrow is not installed: pip install 'tickrouter[archive]'") from error
    names = ("time", *(name for name in names if name != "time"))
    schema = pa.schema([(name, _arrow_type(pa, name)) for name in names])
    batches = []
    for part in parts:
        arrays = []
        for name in names:
            column = chosen(part, name)
            values: Any = column.values
            if name in COUNTS:
                values = [[list(level) for level in side] for side in values]
            hidden = None if column.valid is None else ~column.valid
            arrays.append(pa.array(values, schema.field(name).type, mask=hidden))
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def to_polars(parts: Iterable[Columns], names: Sequence[str]) -> Any:
    """A `polars.DataFrame`.

    Raises:
        TickrouterError: polars or pyarrow is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise TickrouterError("polars is not installed: pip install 'tickrouter[polars]'") from error
    return polars.from_arrow(to_arrow(parts, names))


def _gathered(parts: Iterable[Columns], names: Sequence[str]) -> dict[str, Column]:
    found: dict[str, list[Column]] = {name: [] for name in names}
    for part in parts:
        for name, columns in found.items():
            columns.append(chosen(part, name))
    return {name: _joined(name, columns) for name, columns in found.items()}


def _joined(name: str, columns: list[Column]) -> Column:
    if not columns:
        return Column(np.zeros(0, np.int64 if name in WHOLE else object if name in _OBJECTS else np.float64))
    valid = None
    if any(column.valid is not None for column in columns):
        valid = np.concatenate([np.ones(len(one.values), bool) if one.valid is None else one.valid for one in columns])
    return Column(together([column.values for column in columns]), valid)


_OBJECTS = TEXTS | COUNTS.keys() | {"contract"}


def _is_float(column: Column) -> bool:
    return bool(column.values.dtype == np.float64)


def _plain(column: Column) -> Array:
    if column.valid is None or column.valid.all():
        return column.values
    if _is_float(column):
        return np.where(column.valid, column.values, np.nan)
    if column.values.dtype == object:
        values = column.values.copy()
        values[~column.valid] = None
        return values
    return np.ma.MaskedArray(column.values, ~column.valid)


def _arrow_type(pa: Any, name: str) -> Any:
    if name == "time":
        return pa.timestamp("ns", tz="UTC")
    if name in COUNTS:
        return pa.list_(pa.list_(pa.float64()))
    if name in TEXTS or name == "contract":
        return pa.string()
    return pa.int64() if name in WHOLE else pa.float64()
