"""HTTP over requests' connections: one request, one attempt, no redirect followed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from tickrouter.errors import AmbiguousError
from tickrouter.venues.request import Answer, Request

MAX_BODY = 32 * 1024 * 1024
"""Largest answer that is read, in bytes."""
_NO_RETRY = urllib3.Retry(0, read=False, redirect=False)


class LeanAdapter(HTTPAdapter):
    """requests' adapter without what it adds to each call: cookies, hooks, redirects, a response object.

    TLS, proxies' absence and pools are as requests makes them; the pool of an origin is looked up once.
    """

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self._pools: dict[str, Any] = {}

    def exchange(self, request: Request, timeout: float) -> urllib3.BaseHTTPResponse:
        """Send once and read the answer whole.

        Raises:
            urllib3.exceptions.HTTPError, OSError: no whole answer.
        """
        origin, path = _parts(request.url)
        pool = self._pools.get(origin)
        if pool is None:
            prepared = requests.Request(request.method, request.url).prepare()
            found: Any = self.get_connection_with_tls_context(prepared, verify=True)
            pool = self._pools[origin] = found
        response: urllib3.BaseHTTPResponse = pool.urlopen(
            request.method,
            path,
            body=request.body or None,
            headers=request.headers,
            retries=_NO_RETRY,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=True,
        )
        return response


class HttpClient:
    """Sends requests; safe to share between threads.

    Neither requests nor urllib3 repeats anything here: an order that may have been executed must not leave twice.
    """

    def __init__(self, venue: str, *, timeout: float = 10.0, connections: int = 64) -> None:
        self._venue = venue
        self._timeout = timeout
        self._adapter = LeanAdapter(connections)

    def send(self, request: Request, *, timeout: float | None = None) -> Answer:
        """Send once and read the answer.

        Raises:
            AmbiguousError: no answer, or none that could be read to its end: the request may have been executed.
        """
        try:
            response = self._adapter.exchange(request, timeout or self._timeout)
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise AmbiguousError(self._venue, "timeout", _words(error)) from error
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError, ValueError) as error:
            raise AmbiguousError(self._venue, "venue_down", _words(error)) from error
        if len(response.data) > MAX_BODY:
            raise AmbiguousError(self._venue, "unreadable", f"{len(response.data)} bytes", http_status=response.status)
        return Answer(response.status, response.data, _seconds(response.headers))

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()


def _parts(url: str) -> tuple[str, str]:
    """Origin, and path with query."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", path


def _words(error: Exception) -> str:
    """What happened without the address, which may hold a query with ids."""
    reason = error.args[0] if error.args else error
    cause = getattr(reason, "reason", reason)
    return f"{type(error).__name__}: {str(cause).rpartition(': ')[2]}"[:200]


def _seconds(headers: Any) -> float | None:
    text = headers.get("Retry-After") or headers.get("x-retry-after")
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
