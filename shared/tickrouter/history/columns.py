"""Market records as columns of numpy arrays, and back: the form that chunks, frames and files are made from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tickrouter.errors import InvalidValue
from tickrouter.history.documents import KINDS, MarketRecord
from tickrouter.history.names import COUNTS, LEVEL, PLACE, TEXTS, WHOLE
from tickrouter.model.record import Level, Record

_PART = 512
EntryId = tuple[int, int]
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        values: int64, float64, or objects of text; what stands at a missing place means nothing.
        valid: where a value is, or None where every row has one.
    """

    values: Array
    valid: Array | None = None

    def take(self, chosen: Any) -> Column:
        """The rows of a slice, a mask or an index."""
        return Column(self.values[chosen], None if self.valid is None else self.valid[chosen])

    def to_list(self) -> list[Any]:
        """Python values, None where there is none."""
        values: list[Any] = self.values.tolist()
        if self.valid is not None:
            for row in np.flatnonzero(~self.valid).tolist():
                values[row] = None
        return values


@dataclass(frozen=True, slots=True)
class Columns:
    """Records of one contract and kind, one array a field.

    The sides of ticks and books are columns `bid1`, `bid1_size`, `bid2` ... and `bid_count`.
    """

    kind: str
    contract: str
    rows: int
    columns: dict[str, Column]

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def get(self, name: str) -> Column:
        """A column; one of a level that no row has is empty."""
        found = self.columns.get(name)
        return empty_column(name, self.rows) if found is None else found

    def take(self, chosen: Any) -> Columns:
        """The rows of a slice, a mask or an index, in its order."""
        columns = {name: column.take(chosen) for name, column in self.columns.items()}
        rows = len(next(iter(columns.values())).values) if columns else 0
        return Columns(self.kind, self.contract, rows, columns)

    def parts(self) -> Iterator[Columns]:
        """The same in small parts: the first records of many are wanted soon."""
        return (self.take(slice(start, start + _PART)) for start in range(0, self.rows, _PART))

    def records(self) -> list[Record]:
        """The records; needs every field of the kind.

        Raises:
            InvalidValue: a value is of the wrong type.
        """
        kind = KINDS[self.kind]
        fields: list[Sequence[Any]] = []
        for name in kind.__struct_fields__:
            if name == "contract":
                fields.append([self.contract] * self.rows)
            elif name in COUNTS:
                fields.append(self.side(name))
            else:
                fields.append(self.columns[name].to_list())
        return [kind(*values) for values in zip(*fields, strict=True)]

    def side(self, side: str) -> Sequence[tuple[Level, ...]]:
        """The levels of `bids` or `asks`, a tuple a row."""
        counts = self.columns[COUNTS[side]].to_list()
        deepest = max(counts, default=0)
        name = side[:-1]
        pairs = [
            zip(
                self.columns[f"{name}{k}"].values.tolist(), self.columns[f"{name}{k}_size"].values.tolist(), strict=True
            )
            for k in range(1, deepest + 1)
        ]
        if not pairs:
            return [()] * self.rows
        rows = zip(*pairs, strict=True)
        return [row if count == deepest else row[:count] for row, count in zip(rows, counts, strict=True)]

    def ids(self) -> list[EntryId | None]:
        """Entry ids, None for what never stood in a stream."""
        return [
            None if ms is None or n is None else (ms, n)
            for ms, n in zip(self["ms"].to_list(), self["n"].to_list(), strict=True)
        ]

    def place_range(self) -> tuple[EntryId, EntryId] | None:
        """The lowest and the highest entry id, or None where there is none."""
        ms, n = self["ms"], self["n"]
        there = np.ones(self.rows, bool) if n.valid is None else n.valid
        if not there.any():
            return None
        millis, numbers = ms.values[there], n.values[there]
        low, high = millis.min(), millis.max()
        first, last = numbers[millis == low].min(), numbers[millis == high].max()
        return (int(low), int(first)), (int(high), int(last))


def empty_column(name: str, rows: int) -> Column:
    """A column without a value."""
    kind: Any = np.int64 if name in WHOLE else object if name in TEXTS else np.float64
    return Column(np.zeros(rows, kind), np.zeros(rows, bool))


def column_of(name: str, values: list[Any]) -> Column:
    """A column of Python values, None for none."""
    valid = None
    if None in values:
        valid = np.array([value is not None for value in values], bool)
        filling: Any = "" if name in TEXTS else 0
        values = [filling if value is None else value for value in values]
    kind: Any = np.int64 if name in WHOLE else object if name in TEXTS else np.float64
    return Column(np.array(values, kind), valid)


def from_records(kind: str, contract: str, records: Sequence[MarketRecord], ids: Sequence[EntryId | None]) -> Columns:
    """Records of one contract as columns; inverse of `Columns.records` and `Columns.ids`.

    Raises:
        InvalidValue: a whole number does not fit into 64 bits.
    """
    columns = {
        "ms": column_of("ms", [entry[0] if entry else None for entry in ids]),
        "n": column_of("n", [entry[1] if entry else None for entry in ids]),
    }
    try:
        for name in KINDS[kind].__struct_fields__:
            if name in COUNTS:
                columns |= _levels(name, [getattr(record, name) for record in records])
            elif name != "contract":
                columns[name] = column_of(name, [getattr(record, name) for record in records])
    except OverflowError as error:
        raise InvalidValue(kind, str(error)) from error
    return Columns(kind, contract, len(records), columns)


def _levels(side: str, rows: list[tuple[Level, ...]]) -> dict[str, Column]:
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    deepest = int(counts.max(initial=0))
    grid = np.zeros((len(rows), deepest, 2))
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(rows)), np.float64, int(counts.sum()) * 2)
    there = np.arange(deepest) < counts[:, None]
    grid[there] = flat.reshape(-1, 2)
    columns = {COUNTS[side]: Column(counts)}
    for k in range(deepest):
        valid = None if there[:, k].all() else there[:, k].copy()
        for part, tail in enumerate(("", "_size")):
            columns[f"{side[:-1]}{k + 1}{tail}"] = Column(np.ascontiguousarray(grid[:, k, part]), valid)
    return columns


def joined(parts: Sequence[Columns]) -> Columns:
    """Several as one, in the order given; a level that a part lacks is empty there."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {}
    for name in names:
        found = [part.get(name) for part in parts]
        valid = None
        if any(column.valid is not None for column in found):
            valid = np.concatenate(
                [np.ones(len(one.values), bool) if one.valid is None else one.valid for one in found]
            )
        columns[name] = Column(np.concatenate([column.values for column in found]), valid)
    return Columns(parts[0].kind, parts[0].contract, sum(part.rows for part in parts), columns)


def digest(columns: Columns) -> str:
    """SHA-256 of what the rows say, whichever way they were stored."""
    total = hashlib.sha256(f"{columns.contract} {columns.kind} {columns.rows}".encode())
    for name in sorted(columns.columns):
        column = columns[name]
        if column.valid is not None and not column.valid.any() and LEVEL.match(name):
            continue  # a level that no row has is the same as no such column
        total.update(f"\n{name}\n".encode())
        if column.valid is not None and not column.valid.all():
            total.update(np.packbits(column.valid).tobytes())
        values = column.values if column.valid is None else column.values[column.valid]
        if values.dtype == object:
            total.update("\0".join(values.tolist()).encode())
        else:
            total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()


def stored_names(kind: str, wanted: Collection[str]) -> list[str]:
    """The columns that have to be read for some fields, `time`, `ms` and `n` among them."""
    names = dict.fromkeys(("time", *PLACE))
    for name in wanted:
        if name != "contract" and not (name in COUNTS and kind in ("tick", "book")):
            names[name] = None
    return list(names)


def from_documents(kind: str, contract: str, documents: Sequence[Any], names: Collection[str]) -> Columns:
    """Some stored columns of documents as they stand in a collection.

    Levels are taken as deep as the documents have them.
    """
    columns: dict[str, Column] = {}
    for side in COUNTS:
        if any(_side_of(name) == side for name in names):
            columns |= _levels(side, [document[side] for document in documents])
    for name in names:
        if _side_of(name) is None:
            columns[name] = column_of(name, [document.get(name) for document in documents])
    return Columns(kind, contract, len(documents), columns)


def once(columns: Columns) -> Columns:
    """The rows by time, those of one moment by entry id, each record once; of two that differ the first given."""
    time, ms, n = (columns[name] for name in ("time", *PLACE))
    blank = np.zeros(columns.rows, bool) if n.valid is None else ~n.valid
    ms_key = np.where(blank, -1, ms.values)
    n_key = np.where(blank, -1, n.values)
    order = np.lexsort((n_key, ms_key, time.values))
    columns, blank = columns.take(order), blank[order]
    time_key, ms_key, n_key = time.values[order], ms_key[order], n_key[order]
    again = np.zeros(columns.rows, bool)
    again[1:] = (time_key[1:] == time_key[:-1]) & (ms_key[1:] == ms_key[:-1]) & (n_key[1:] == n_key[:-1])
    again &= ~blank
    columns = columns.take(~again) if again.any() else columns
    return columns.take(_best(columns, blank[~again])) if blank.any() else columns


def _best(columns: Columns, blank: Array) -> list[int]:
    """Rows that stay where some have no entry id: of each natural key the one that has one, else the first."""
    names = columns["period" if columns.kind == "bar" else "trade_id"].values.tolist()
    times = columns["time"].values.tolist()
    best: dict[Any, int] = {}
    for row, name in enumerate(names):
        key = (name, times[row]) if columns.kind == "bar" else name
        if key not in best or (blank[best[key]] and not blank[row]):
            best[key] = row
    return sorted(best.values())


def _side_of(name: str) -> str | None:
    level = LEVEL.match(name)
    if level is not None:
        return f"{level[1]}s"
    return next((side for side, count in COUNTS.items() if name in (side, count)), None)
