"""Balances: read after executions and hints, written for whoever asks."""

from __future__ import annotations

import threading

from tickrouter import logs
from tickrouter.core.order_life import Change
from tickrouter.errors import VenueError

from .desk import Desk
from .lane import Lane

SETTLE = 0.3
"""Seconds to wait after a hint: several come together, and the limit is two a second."""
REFRESH = 60.0
"""Seconds between two readings without a hint."""


class Balances:
    """Reads balances when something hints at a change."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted = threading.Event()
        self._wanted.set()
        self._log = logs.get("balances")
        desk.listeners.append(self._changed)

    def soon(self) -> None:
        """They may have changed."""
        self._wanted.set()

    def _changed(self, _lane: Lane, change: Change) -> None:
        """What the venue holds for an order changes with its status and its executions."""
        if change.order.exchange_oid is not None and change.events:
            self.soon()

    def run(self) -> None:
        """Until the tenure ends."""
        since = 0.0
        while not self._desk.stop.wait(SETTLE):
            since += SETTLE
            if self._wanted.is_set() or since >= REFRESH:
                self._wanted.clear()
                since = 0.0
                self._desk.guarded(self._read)

    def _read(self) -> None:
        venue = self._desk.venue
        now = self._desk.clock.now()
        try:
            found = venue.ask(venue.adapter.balances, lambda answer: venue.adapter.read_balances(answer, now))
        except VenueError as error:
            self._log.warning("balances not read", error=str(error))
            self._wanted.set()
            return
        self._desk.journal.write_balances(found)
