"""Calls to the venue: permit, stamp, send, read. The only place where the router speaks HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tickrouter import logs
from tickrouter.bus.permits import Permits
from tickrouter.clock import Clock
from tickrouter.errors import DefiniteError
from tickrouter.transport.http import HttpClient
from tickrouter.venues.request import Answer, Request
from tickrouter.venues.trading import TradingAdapter

from .venue_clock import VenueClock

T = TypeVar("T")
Build = Callable[[int], Request]
Read = Callable[[Answer], T]

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
        self._permits = permits
        self._stop = stop
        self._log = logs.get("venue")

    def permit(self, endpoint: str, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Wait for permits of every window of `endpoint`.

        Args:
            endpoint: `METHOD /path`.
            wanted: asked while waiting; False ends the wait.

        Returns:
            True if they are taken, False if nobody wants them any more.

        Raises:
            Stopped: the router ends.
        """
        while wanted():
            wait = self._permits.take(endpoint)
            if not wait:
                return True
            if self._stop.wait(min(wait, 0.25)):
                raise Stopped
        return False

    def send(self, request: Request, read: Read[T]) -> T:
        """Send a signed request once and read its answer.

        Raises:
            DefiniteError, AmbiguousError: see `tickrouter.errors`.
        """
        try:
            return read(self._http.send(request))
        except DefiniteError as error:
            if error.kind == "rate_limit":
                seconds = error.retry_after or COOLDOWN
                self._log.warning("refused by limit", endpoint=request.endpoint, seconds=seconds)
                self._permits.cool_down(request.endpoint, seconds)
            raise

    def ask(self, build: Build, read: Read[T]) -> T:
        """A read: permits, stamp, send; signed again once where the venue calls the stamp invalid.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see there.
        """
        endpoint = build(0).endpoint
        self.permit(endpoint)
        try:
            return self.send(build(self.clock.stamp()), read)
        except DefiniteError as error:
            if error.kind != "nonce":
                raise
        self.measure_clock()
        self.permit(endpoint)
        return self.send(build(self.clock.stamp()), read)

    def measure_clock(self) -> int:
        """Ask the venue's time; returns it, ns.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see `ask`.
        """
        request = self.adapter.server_time()
        self.permit(request.endpoint)
        sent = self._own_clock.now()
        venue_time = self.send(request, self.adapter.read_server_time)
        self.clock.measured(sent, venue_time, self._own_clock.now())
        return venue_time

    def permits_used(self) -> dict[str, tuple[int, int]]:
        """Permits granted and usable, by rule."""
        return self._permits.used()
