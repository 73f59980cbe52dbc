"""A question to the venue's REST, inside the permits that all processes share."""

from __future__ import annotations

from tickrouter.bus.permits import Permits
from tickrouter.transport.http import HttpClient
from tickrouter.venues.request import Answer, Request

COOLDOWN = 10.0
"""Seconds without a request after a refusal that names no time."""


class Asker:
    """Asks where a permit is to be had."""

    def __init__(self, http: HttpClient, permits: Permits) -> None:
        self._http = http
        self._permits = permits

    def ask(self, request: Request) -> Answer | None:
        """The venue's answer; None if there is no permit now, or the venue wants quiet.

        Raises:
            StorageError: no permit to be had, so nothing was sent.
            AmbiguousError: no answer.
        """
        grant = self._permits.take(request.endpoint)
        if isinstance(grant, float):
            return None
        try:
            answer = self._http.send(request)
        finally:
            self._permits.give_back(grant)
        if answer.status in (418, 429):
            self._permits.cool_down(request.endpoint, answer.retry_after or COOLDOWN)
            return None
        return answer
