"""Bars as an answer: stored ones, then those that the newest trades make, in any form, with their coverage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pymongo.database import Database

from tickrouter.history import bar_store
from tickrouter.history.bars import length_of
from tickrouter.history.complete import require_whole
from tickrouter.history.connection import Document
from tickrouter.history.coverage import coverage
from tickrouter.history.queries import frames_module
from tickrouter.model.bar import Bar
from tickrouter.model.coverage import Interval

COLUMNS: Final = ("open", "high", "low", "close", "volume", "amount", "trades")


class Bars:
    """Bars of one contract and period with start <= time < end, the running one included.

    Going through it yields them by time; it may be gone through again. Nothing is fetched before that.

    Raises:
        InvalidValue: no such period.
        StorageError: while reading, MongoDB did not answer.
        HistoryGap: while reading, with `complete`: trades are missing or unknown.
    """

    def __init__(
        self,
        db: Database[Document],
        contract: str,
        period: str,
        start: int,
        end: int | None = None,
        complete: bool = False,
    ) -> None:
        """Nothing is read yet.

        Args:
            db: where from.
            contract: canonical name.
            period: `1s`, `1m`, `5m`, `1h` or `1d`.
            start: first moment, ns since 1970 UTC.
            end: first moment that is left out, ns, or None for all.
            complete: read nothing where trades of that time are missing or unknown.
        """
        length_of(period)
        self.contract = contract
        self.period = period
        self.start = start
        self.end = end
        self._db = db
        self._complete = complete

    def __iter__(self) -> Iterator[Bar]:
        if self._complete:
            require_whole(self._db, self.contract, "bar", self.start, self.end)
        return bar_store.bars(self._db, self.contract, self.period, self.start, self.end)

    @property
    def coverage(self) -> list[Interval]:
        """What there is of the trades that they are made of, interval by interval; see `History.coverage`."""
        return coverage(self._db, self.contract, "bar", self.start, self.end)

    def to_numpy(self) -> dict[str, Any]:
        """The columns as arrays by name, `time` (int64, ns) first.

        Raises:
            TickrouterError: numpy is not installed.
        """
        found: dict[str, Any] = frames_module().to_numpy([self._columns()], COLUMNS)
        return found

    def to_pandas(self) -> Any:
        """The columns as a frame, indexed by `time` in UTC.

        Raises:
            TickrouterError: pandas is not installed.
        """
        return frames_module().to_pandas([self._columns()], COLUMNS)

    def to_arrow(self) -> Any:
        """The columns as a `pyarrow.Table`, with `time` as timestamp[ns, UTC].

        Raises:
            TickrouterError: pyarrow is not installed.
        """
        return frames_module().to_arrow([self._columns()], COLUMNS)

    def to_polars(self) -> Any:
        """The columns as a `polars.DataFrame`, with `time` as Datetime[ns, UTC].

        Raises:
            TickrouterError: polars or pyarrow is not installed.
        """
        return frames_module().to_polars([self._columns()], COLUMNS)

    def _columns(self) -> Any:
        frames_module()
        from tickrouter.history.columns import from_records

        bars = list(self)
        return from_records("bar", self.contract, bars, [None] * len(bars))
