"""Calls to the venue: permit, stamp, send, read. The only place where the router speaks HTTP."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from tickrouter import logs
from tickrouter.bus.permits import Grant, Permits
from tickrouter.clock import Clock
from tickrouter.errors import DefiniteError, StorageError
from tickrouter.transport.http import HttpClient, Slow
from tickrouter.venues.request import Answer, Request
from tickrouter.venues.trading import TradingAdapter

from .venue_clock import VenueClock

T = TypeVar("T")
Build = Callable[[int], Request]
Read = Callable[[Answer], T]

RETURN_AFTER = 0.002
"""Seconds by which a return waits: the answer itself is journaled first."""
MOST_RETURNS = 100
"""Most permits returned in one write."""
LONGEST_WAIT = 0.25
"""Seconds after which a wait for permits looks again whether it is still wanted."""
COOLDOWN = 1.0
"""Seconds of quiet after a refusal by limit that does not say how long."""


class Stopped(Exception):
    """The router ends while a permit was waited for."""


class VenueLink:
    """One account at one venue."""

    def __init__(
        self, adapter: TradingAdapter, http: HttpClient, permits: Permits, clock: Clock, stop: threading.Event
    ) -> None:
        self.adapter = adapter
        self.clock = VenueClock(clock)
        self._own_clock = clock
        self._http = http
        self.permits = permits
        self._stop = stop
        self._returns = permits.owed
        self._log = logs.get("venue")

    def permit(self, endpoint: str, wanted: Callable[[], bool] = lambda: True) -> Grant | None:
        """Wait for permits of every window of `endpoint`.

        Args:
            endpoint: `METHOD /path`.
            wanted: asked while waiting; False ends the wait.

        Returns:
            The grant, or None if nobody wants it any more.

        Raises:
            Stopped: the router ends.
        """
        while wanted():
            taken = self.permits.take(endpoint)
            if isinstance(taken, Grant):
                return taken
            if self._stop.wait(min(taken, LONGEST_WAIT)):
                raise Stopped
        return None

    def needed(self, endpoint: str) -> Grant:
        """Permits that are wanted until the router ends.

        Raises:
            Stopped: the router ends.
        """
        grant = self.permit(endpoint)
        if grant is None:
            raise Stopped
        return grant

    def give_back(self, grant: Grant) -> None:
        """The answer to a request that was not sent by `send` is back."""
        self._returns.put(grant)

    def give_back_soon(self, grant: Grant) -> None:
        """As `give_back`, by the calling thread; what does not leave is owed."""
        try:
            self.permits.send_back(grant)
        except StorageError:
            self.give_back(grant)

    def ready(self, request: Request) -> None:
        """Have at hand what `exchange` needs for this very request, if the calling thread sends it."""
        self._http.ready(request)

    def exchange(self, request: Request, slow: Slow | None = None) -> Answer:
        """Send a signed request once; `slow` is called if its answer takes its time.

        Raises:
            AmbiguousError: no answer.
        """
        return self._http.send(request, slow=slow)

    def read(self, request: Request, answer: Answer, read: Read[T]) -> T:
        """What an answer says; after a refusal by limit nobody asks that endpoint for a while.

        Raises:
            DefiniteError, AmbiguousError: see `tickrouter.errors`.
        """
        try:
            return read(answer)
        except DefiniteError as error:
            if error.kind == "rate_limit":
                seconds = error.retry_after or COOLDOWN
                self._log.warning("refused by limit", endpoint=request.endpoint, seconds=seconds)
                self.permits.cool_down(request.endpoint, seconds)
            raise

    def send(self, request: Request, read: Read[T], grant: Grant) -> T:
        """Send a signed request once, return its permits and read its answer.

        Raises:
            DefiniteError, AmbiguousError: see `tickrouter.errors`.
        """
        # Without an answer the permits stay taken for as long as the request may still reach the venue.
        answer = self.exchange(request)
        self._returns.put(grant)
        return self.read(request, answer, read)

    def run_returns(self) -> None:
        """Until the router ends: return permits whose answers are back, off the path of orders."""
        while not self._stop.is_set():
            with suppress(queue.Empty):
                first = self._returns.get(timeout=LONGEST_WAIT)
                self._stop.wait(RETURN_AFTER)
                self._give_back(first)

    def drain_returns(self) -> None:
        """Return what is left, at the end and before the next tenure asks for anything."""
        with suppress(queue.Empty, StorageError):
            while True:
                self._give_back(self._returns.get_nowait())

    def _give_back(self, first: Grant) -> None:
        """Return permits, and others that wait; what Redis does not take is owed until it does."""
        grants = [first]
        with suppress(queue.Empty):
            while len(grants) < MOST_RETURNS:
                grants.append(self._returns.get_nowait())
        try:
            self.permits.give_back(*grants)
        except StorageError:
            for grant in grants:
                self._returns.put(grant)
            raise

    def ask(self, build: Build, read: Read[T]) -> T:
        """A read: permits, stamp, send; signed again once where the venue calls the stamp invalid.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see there.
        """
        endpoint = build(0).endpoint
        grant = self.needed(endpoint)
        try:
            return self.send(build(self.clock.stamp()), read, grant)
        except DefiniteError as error:
            if error.kind != "nonce":
                raise
        self.measure_clock()
        grant = self.needed(endpoint)
        return self.send(build(self.clock.stamp()), read, grant)

    def measure_clock(self) -> int:
        """Ask the venue's time; returns it, ns.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see `ask`.
        """
        request = self.adapter.server_time()
        grant = self.needed(request.endpoint)
        sent = self._own_clock.now()
        venue_time = self.send(request, self.adapter.read_server_time, grant)
        self.clock.measured(sent, venue_time, self._own_clock.now())
        return venue_time

    def permits_used(self) -> dict[str, tuple[int, int]]:
        """Permits granted and usable, by rule."""
        return self.permits.used()
