"""HTTP over requests' connections: one request, one attempt, no redirect followed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from tickrouter.errors import AmbiguousError
from tickrouter.transport.reply import Reply
from tickrouter.venues.request import Answer, Request

MAX_BODY = 32 * 1024 * 1024
"""Largest answer that is read, in bytes."""
_CHUNK = 16 * 1024
QUICK = 0.002
"""Seconds within which a quick venue answers: nobody is told to go on without its caller meanwhile."""
Slow = Callable[[], None]
"""Called once if an answer takes its time, or seems to: others need not wait for the caller."""
_Ready = tuple[Request, Any, Any, bytes, Reply]
"""A request, its pool, a connection of that, the request's bytes, and what takes its answer."""


class LeanAdapter(HTTPAdapter):
    """requests' adapter without what it adds to each call: cookies, hooks, redirects, a response object.

    TLS, proxies' absence and pools are as requests makes them; the pool of an origin is looked up once. A request
    leaves in one write, and its time is the whole time, not that of each read.
    """

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self._pools: dict[str, Any] = {}
        self._local = threading.local()
        self._is_quick = True

    def exchange(self, request: Request, timeout: float, slow: Slow | None = None) -> Reply:
        """Send once and read the answer whole.

        `slow` is called before a connection is made, else when the request has left; if the last answer was quick,
        not before this one has taken longer.

        Raises:
            urllib3.exceptions.HTTPError, OSError, ValueError: no whole answer.
        """
        deadline = time.monotonic() + timeout
        _, pool, connection, data, reply = self._take_ready(request)
        try:
            if connection.sock is None:
                if slow is not None:
                    slow()
                    slow = None
                connection.timeout = timeout
                connection.connect()
            sock = connection.sock
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            sock.sendall(data)
            left = time.monotonic()
            if slow is not None and not (self._is_quick and _comes_soon(sock, reply) and reply.is_whole):
                slow()
            while not reply.is_whole:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                _receive(sock, reply)
            self._is_quick = time.monotonic() - left < QUICK
        finally:
            if not reply.keeps_alive:
                connection.close()
            pool._put_conn(connection)
        return reply

    def ready(self, request: Request) -> None:
        """Have a connection and the bytes at hand for what the calling thread is about to send, or not.

        Raises:
            ValueError: see `exchange`.
        """
        self._let_go()
        origin, path = _parts(request.url)
        data = _bytes_of(request, origin, path)
        pool = self._pools.get(origin) or self._pool(origin, request)
        self._local.ready = request, pool, pool._get_conn(), data, Reply(MAX_BODY)

    def _take_ready(self, request: Request) -> _Ready:
        found: _Ready | None = getattr(self._local, "ready", None)
        if found is None or found[0] is not request:
            self.ready(request)
            found = self._local.ready
        self._local.ready = None
        return found

    def _let_go(self) -> None:
        unused: _Ready | None = getattr(self._local, "ready", None)
        if unused is not None:
            _, pool, connection, _, _ = unused
            pool._put_conn(connection)
            self._local.ready = None

    def _pool(self, origin: str, request: Request) -> Any:
        prepared = requests.Request(request.method, request.url).prepare()
        found: Any = self.get_connection_with_tls_context(prepared, verify=True)
        trust: Any = self.cert_verify
        trust(found, request.url, os.environ.get("REQUESTS_CA_BUNDLE") or True, None)
        self._pools[origin] = found
        return found


class HttpClient:
    """Sends requests; safe to share between threads.

    Neither requests nor urllib3 repeats anything here: an order that may have been executed must not leave twice.
    """

    def __init__(self, venue: str, *, timeout: float = 10.0, connections: int = 64) -> None:
        self._venue = venue
        self._timeout = timeout
        self._adapter = LeanAdapter(connections)

    def send(self, request: Request, *, timeout: float | None = None, slow: Slow | None = None) -> Answer:
        """Send once and read the answer; for `slow` see `LeanAdapter.exchange`.

        Raises:
            AmbiguousError: no answer, or none that could be read to its end: the request may have been executed.
        """
        try:
            reply = self._adapter.exchange(request, timeout or self._timeout, slow)
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise AmbiguousError(self._venue, "timeout", _words(error)) from error
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError, ValueError) as error:
            raise AmbiguousError(self._venue, "venue_down", _words(error)) from error
        return Answer(reply.status, reply.body, _seconds(reply.headers))

    def ready(self, request: Request) -> None:
        """Have at hand what `send` needs for this very request, if the calling thread sends it; it may not."""
        with suppress(ValueError):  # `send` says so
            self._adapter.ready(request)

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()


def _comes_soon(sock: Any, reply: Reply) -> bool:
    """True if something of the answer came within the time of a quick venue."""
    sock.settimeout(QUICK)
    try:
        _receive(sock, reply)
    except TimeoutError:
        return False
    return True


def _receive(sock: Any, reply: Reply) -> None:
    piece = sock.recv(_CHUNK)
    if piece:
        reply.feed(piece)
    elif not reply.ended():
        raise urllib3.exceptions.ProtocolError("closed before the answer was whole")


def _bytes_of(request: Request, origin: str, path: str) -> bytes:
    """The request as it goes over the wire.

    Raises:
        ValueError: a header holds a line break, or a sign that HTTP does not carry.
    """
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {origin.partition('//')[2]}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in dict(request.headers).items()]
    if request.body or request.method == "POST":
        lines.append(f"Content-Length: {len(request.body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break inside a header")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + request.body


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


def _seconds(headers: dict[bytes, bytes]) -> float | None:
    text = headers.get(b"retry-after") or headers.get(b"x-retry-after")
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
