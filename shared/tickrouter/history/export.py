"""Export to Parquet or CSV, day by day, so that it may be stopped and gone on with.

Each day of UTC is a file of its own, written beside its place and moved there when it is whole; a day whose file
stands there is not read again, unless it was not over when it was written: such a file ends in `.part`, then its form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pyarrow import csv, parquet
from pymongo.database import Database

from tickrouter.history.columns import Columns
from tickrouter.history.connection import Document
from tickrouter.history.frames import to_arrow
from tickrouter.history.queries import History
from tickrouter.model.moment import utc

Format = Literal["parquet", "csv"]
DAY: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One file.

    Attributes:
        file: where it goes.
        start: first moment, ns.
        end: first moment that is left out, ns.
        is_whole: True if nothing can come into it any more: a whole day that is over.
    """

    file: Path
    start: int
    end: int
    is_whole: bool

    @property
    def is_done(self) -> bool:
        """True if it was written before."""
        return self.is_whole and self.file.exists()


def plan(folder: Path, contract: str, kind: str, start: int, end: int, now: int, form: Format) -> list[Part]:
    """The files of a range, oldest first: `<folder>/<venue>_<base>.<quote>_<kind>_<day>.<form>`."""
    parts = []
    for day in range(start - start % DAY, end, DAY):
        first, last = max(start, day), min(end, day + DAY)
        is_whole = (first, last) == (day, day + DAY) and last <= now
        name = f"{contract.replace('/', '_')}_{kind}_{utc(day):%Y-%m-%d}{'' if is_whole else '.part'}.{form}"
        parts.append(Part(folder / name, first, last, is_whole))
    return parts


def write(
    db: Database[Document], contract: str, kind: str, part: Part, form: Format, columns: tuple[str, ...] | None = None
) -> Iterator[int]:
    """Write one file; yields how many rows were written, after each batch.

    A day without a record is a file without rows, so that it is known to have been looked at.

    Raises:
        InvalidValue: no such column.
        StorageError: MongoDB did not answer; the file is not there then.
        OSError: it cannot be written; the file is not there then.
    """
    history: History[Any] = History(db, kind, contract, part.start, part.end, columns)
    names = history.columns
    if form == "csv":
        names = tuple(name for name in names if name not in ("bids", "asks"))
    part.file.parent.mkdir(parents=True, exist_ok=True)
    fresh = part.file.with_name(f".{part.file.name}.new")
    schema = to_arrow([], names).schema
    with _writer(fresh, schema, form) as writer:
        for batch in history.batches():
            yield _write(writer, batch, names)
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    fresh.replace(part.file)


def _write(writer: Any, batch: Columns, names: tuple[str, ...]) -> int:
    writer.write_table(to_arrow([batch], names))
    return batch.rows


def _writer(file: Path, schema: pa.Schema, form: Format) -> Any:
    if form == "parquet":
        return parquet.ParquetWriter(file, schema, compression="zstd")
    return csv.CSVWriter(str(file), schema)
