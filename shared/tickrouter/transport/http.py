"""HTTP over requests' connection pool: one request, one attempt, no redirect followed."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from tickrouter.errors import AmbiguousError
from tickrouter.venues.request import Answer, Request

MAX_BODY = 32 * 1024 * 1024
"""Largest answer that is read, in bytes."""


class HttpClient:
    """Sends requests; safe to share between threads.

    Neither requests nor urllib3 repeats anything here: an order that may have been executed must not leave twice.
    """

    def __init__(self, venue: str, *, timeout: float = 10.0, connections: int = 64) -> None:
        self._venue = venue
        self._timeout = timeout
        self._adapter = HTTPAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0)

    def send(self, request: Request, *, timeout: float | None = None) -> Answer:
        """Send once and read the answer.

        Raises:
            AmbiguousError: no answer, or none that could be read to its end: the request may have been executed.
        """
        try:
            response = self._adapter.send(_prepared(request), timeout=timeout or self._timeout, verify=True)
            body = response.content
        except requests.Timeout as error:
            raise AmbiguousError(self._venue, "timeout", _words(error)) from error
        except (requests.RequestException, OSError) as error:
            raise AmbiguousError(self._venue, "venue_down", _words(error)) from error
        if len(body) > MAX_BODY:
            raise AmbiguousError(self._venue, "unreadable", f"{len(body)} bytes", http_status=response.status_code)
        return Answer(response.status_code, body, _seconds(response.headers))

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()


def _prepared(request: Request) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(request.headers)
    headers["Host"] = urlsplit(request.url).netloc
    headers["User-Agent"] = "tickrouter"
    if request.body:
        headers["Content-Length"] = str(len(request.body))
        prepared.body = request.body
    prepared.headers = headers
    return prepared


def _words(error: Exception) -> str:
    """What happened without the address, which may hold a query with ids."""
    reason = error.args[0] if error.args else error
    cause = getattr(reason, "reason", reason)
    return f"{type(error).__name__}: {str(cause).rpartition(': ')[2]}"[:200]


def _seconds(headers: CaseInsensitiveDict[str]) -> float | None:
    text = headers.get("Retry-After") or headers.get("x-retry-after")
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
