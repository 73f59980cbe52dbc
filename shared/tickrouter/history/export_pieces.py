"""What an export has read of a day so far: one file an hour beside the day's own, so that no hour is read twice."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import parquet

from tickrouter.history.columns import Columns
from tickrouter.history.frames import to_arrow

PIECE: Final = 3_600_000_000_000
"""Nanoseconds of one piece."""
_GROUP: Final = 65_536
"""Rows of a Parquet row group, wherever the batches end that were read."""


class Pieces:
    """The pieces of one file, for one choice of columns."""

    def __init__(self, file: Path, names: Sequence[str], start: int, end: int, length: int) -> None:
        """Nothing is touched.

        Args:
            file: the day's own.
            names: of the columns.
            start: first moment, ns.
            end: first moment that is left out, ns.
            length: of a piece, ns.
        """
        self._names = names
        self.schema: pa.Schema = to_arrow([], names).schema
        mark = hashlib.sha256(repr((tuple(names), start, end, length)).encode()).hexdigest()[:8]
        self._folder = file.with_name(f".{file.name}.{mark}.pieces")
        self._spans = [(first, min(end, first + length)) for first in range(start, end, length)]

    def read(self, batches: Callable[[int, int], Iterable[Columns]]) -> Iterator[int]:
        """Read what is not there yet; yields how many rows each batch had, those of pieces that are there included.

        Args:
            batches: gives the records of start <= time < end.

        Raises:
            OSError: a piece cannot be written; those before it stay.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for start, end in self._spans:
            file = self._file(start)
            if file.exists():
                yield parquet.read_metadata(file).num_rows
                continue
            with whole(file) as opened, written(opened, self.schema) as writer:
                for batch in batches(start, end):
                    writer.write_table(to_arrow([batch], self._names))
                    yield batch.rows
            yield 0  # what is told behind a piece is told when it is there

    def tables(self) -> Iterator[pa.Table]:
        """All rows, as many at once as a row group takes: the same tables, whichever batches they came in."""
        waiting: list[pa.Table] = []
        rows = 0
        for start, _ in self._spans:
            with parquet.ParquetFile(self._file(start)) as file:
                for number in range(file.num_row_groups):
                    waiting.append(file.read_row_group(number))
                    rows += waiting[-1].num_rows
                    while rows >= _GROUP:
                        held = pa.concat_tables(waiting)
                        yield held.slice(0, _GROUP).combine_chunks()
                        waiting, rows = [held.slice(_GROUP)], rows - _GROUP
        if rows:
            yield pa.concat_tables(waiting).combine_chunks()

    def discard(self) -> None:
        """Remove them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, start: int) -> Path:
        return self._folder / f"{start}.parquet"


def written(file: IO[bytes], schema: pa.Schema) -> Any:
    """A writer of Parquet."""
    return parquet.ParquetWriter(file, schema, compression="zstd")


@contextmanager
def whole(file: Path) -> Iterator[IO[bytes]]:
    """A file that stands in its place with all its bytes, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    fresh = file.with_name(f".{file.name}.new")
    try:
        with fresh.open("wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    fresh.replace(file)
