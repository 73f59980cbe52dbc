"""Saying once that a server is away and once that it is back, and waiting ever longer in between."""

from __future__ import annotations

import threading

from structlog.typing import FilteringBoundLogger

from tickrouter.clock import Clock

FIRST_WAIT = 0.05
LAST_WAIT = 1.0


class Outage:
    """The outages of one server, as one sink sees them."""

    def __init__(self, server: str, log: FilteringBoundLogger, clock: Clock) -> None:
        self._server = server
        self._log = log
        self._clock = clock
        self._since: float | None = None
        self._wait = FIRST_WAIT

    @property
    def is_on(self) -> bool:
        """True while the server is away."""
        return self._since is not None

    def began(self, error: Exception) -> None:
        """A call failed."""
        if self._since is None:
            self._since = self._clock.monotonic()
            self._log.error(f"{self._server} does not answer, records are queued", error=str(error))

    def over(self, queued: int) -> None:
        """A call succeeded."""
        if self._since is not None:
            seconds = round(self._clock.monotonic() - self._since, 2)
            self._log.warning(f"{self._server} answers again", away=seconds, to_catch_up=queued)
            self._since = None
        self._wait = FIRST_WAIT

    def wait(self, error: Exception, ending: threading.Event, deadline: float) -> bool:
        """Wait before the next attempt; True if there shall be none, because the process ends."""
        self.began(error)
        if self._clock.monotonic() >= deadline:
            return True
        if ending.wait(self._wait):
            # Ending: what is left of the patience is spent in short steps, not in one.
            threading.Event().wait(FIRST_WAIT)
        self._wait = min(self._wait * 2, LAST_WAIT)
        return False
