"""Export to Parquet or CSV, day by day, so that it may be stopped and gone on with.

Each day of UTC is a file of its own, read hour by hour (`export_pieces`) and moved to its place when it is whole; a day
whose file stands there is not read again, unless it was not over when it was written: such a file ends in `.part`, then
its form. Whenever it is cut off, it ends in the same bytes as if it had not been.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pyarrow import csv
from pymongo.database import Database

from tickrouter.history.connection import Document
from tickrouter.history.export_pieces import PIECE, Pieces, whole, written
from tickrouter.history.queries import History
from tickrouter.model.moment import utc

Format = Literal["parquet", "csv"]
DAY: Final = 86_400_000_000_000
LATE: Final = 3_600_000_000_000
"""How long after its end a day may be given more, ns: as far back as a collector looks for trades after the fact."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file.

    Attributes:
        file: where it goes.
        start: first moment, ns.
        end: first moment that is left out, ns.
        is_whole: True if nothing can come into it any more: a whole day that has been over for `LATE`.
    """

    file: Path
    start: int
    end: int
    is_whole: bool

    @property
    def is_done(self) -> bool:
        """True if it was written before."""
        return self.is_whole and self.file.exists()


def plan(folder: Path, contract: str, kind: str, start: int, end: int, stored: int, form: Format) -> list[Part]:
    """The files of a range, oldest first: `<folder>/<venue>_<base>.<quote>_<kind>_<day>.<form>`.

    `stored`: up to when everything that will be is (ns), but for what comes after the fact.
    """
    parts = []
    for day in range(start - start % DAY, end, DAY):
        first, last = max(start, day), min(end, day + DAY)
        is_whole = (first, last) == (day, day + DAY) and last + LATE <= stored
        name = f"{contract.replace('/', '_')}_{kind}_{utc(day):%Y-%m-%d}{'' if is_whole else '.part'}.{form}"
        parts.append(Part(folder / name, first, last, is_whole))
    return parts


def write(
    db: Database[Document],
    contract: str,
    kind: str,
    part: Part,
    form: Format,
    columns: tuple[str, ...] | None = None,
    piece: int = PIECE,
) -> Iterator[int]:
    """Write one file; yields how many rows were read, after each batch. What an earlier try has read is not read again.

    A day without a record is a file without rows, so that it is known to have been looked at. A Parquet file says in
    its schema's metadata, under `coverage`, what there is of that time: a JSON list of the ledger's intervals.

    Raises:
        InvalidValue: no such column.
        StorageError: MongoDB did not answer; the file is not there then.
        OSError: it cannot be written; the file is not there then.
    """
    history: History[Any] = History(db, kind, contract, part.start, part.end, columns)
    names = history.columns
    if form == "csv":
        names = tuple(name for name in names if name not in ("bids", "asks"))
    pieces = Pieces(part.file, names, part.start, part.end, piece)
    if not part.is_whole:
        pieces.discard()  # what was read before may lack what has come since
    yield from pieces.read(lambda start, end: History(db, kind, contract, start, end, columns).batches())
    schema = pieces.schema.with_metadata({"coverage": json.dumps([asdict(one) for one in history.coverage])})
    with whole(part.file) as file, _writer(file, schema, form) as writer:
        for table in pieces.tables():
            writer.write_table(table)
    pieces.discard()


def _writer(file: Any, schema: pa.Schema, form: Format) -> Any:
    return written(file, schema) if form == "parquet" else csv.CSVWriter(file, schema)
