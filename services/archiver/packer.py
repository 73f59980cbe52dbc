"""Packing what is older than the hot window, making bars, and removing what is kept no longer."""

from __future__ import annotations

import threading
from typing import Any

from tickrouter import logs
from tickrouter.clock import Clock
from tickrouter.config import Archive as ArchiveConfig
from tickrouter.errors import StorageError, TickrouterError
from tickrouter.history.archive import Archive
from tickrouter.history.bar_store import BarStore
from tickrouter.history.retention import remove_before
from tickrouter.history.series import Series, recorded_series

from .copier import FIRST_WAIT, LONGEST_WAIT
from .state import Packing

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
_AT_ONCE = 64
"""Chunks of one series before the others have their turn."""


class Packer:
    """The archive of everything that is recorded."""

    def __init__(self, db: Any, config: ArchiveConfig, clock: Clock, stop: threading.Event) -> None:
        self.progress = Packing()
        self._db = db
        self._config = config
        self._clock = clock
        self._stop = stop
        self._log = logs.get("packer")
        self._archives: dict[Series, Archive] = {}
        self._refused: dict[Series, int] = {}

    def run(self) -> None:
        """Work until told to stop; what one look leaves undone the next one does."""
        wait = FIRST_WAIT
        while not self._stop.is_set():
            try:
                busy = self.step()
            except StorageError as error:
                if self.progress.error is None:
                    self._log.warning("waiting for MongoDB", error=str(error))
                self.progress.error = str(error)
                self._stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                self.progress.error = None
                wait = FIRST_WAIT
                if not busy:
                    self._stop.wait(self._config.every_seconds)

    def step(self) -> bool:
        """One look at everything; returns True if there is more to do at once.

        Raises:
            StorageError: MongoDB did not answer; the next step settles what this one left.
        """
        busy = False
        for series in recorded_series(self._db):
            if self._stop.is_set():
                return False
            try:
                busy |= self._serve(series)
            except StorageError:
                raise
            except TickrouterError as error:
                # One damaged chunk must not hold up the others.
                self.progress.error = str(error)
                self._log.error("not packed", kind=series.kind, contract=series.contract, error=str(error))
        return busy

    def _serve(self, series: Series) -> bool:
        busy = False
        if series.kind == "trade":
            while (written := BarStore(self._db, series.contract).advance()) and not self._stop.is_set():
                self.progress.bars += written
        for days in (days for kind, days in self._config.keep_days.items() if kind == series.kind):
            self.progress.expired += remove_before(self._db, series, self._clock.now() - int(days * _DAY))
        if self._config.enabled:
            busy = self._pack(series)
        return busy

    def _pack(self, series: Series) -> bool:
        if series not in self._archives:
            self._archives[series] = Archive(self._db, series.kind, series.contract)
        self.progress.removed += self._archives[series].settle()
        hot = self._clock.now() - int(self._config.hot_hours * _HOUR)
        for _ in range(_AT_ONCE):
            if self._stop.is_set():
                return False
            done = self._archives[series].pack(hot, hot - int(self._config.wait_hours * _HOUR))
            self._refused[series] = done.refused
            self.progress.chunks += done.chunks
            self.progress.rows += done.rows
            self.progress.removed += done.removed
            self.progress.refused = sum(self._refused.values())
            if not done.removed:
                return False
        return True
