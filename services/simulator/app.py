"""The ASGI application of the venue and the small changes to uvicorn's protocols that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as Handshake

from .request import Answer, Request
from .socket import Receive, Scope, Send, Socket

Serve = Callable[[Request], Awaitable[Answer | None]]
KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than a client's pause, so that none meets the close."""


class HttpProtocol(HttpToolsProtocol):
    """Hands the transport to the application, which may have to cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class SocketProtocol(WebSocketsSansIOProtocol):
    """Hands the transport to the application, which may have to cut it."""

    def handle_connect(self, event: Handshake) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["state"]["transport"] = self.transport


class Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class App:
    """One port: HTTP requests to `serve`, WebSocket connections to `socket`."""

    def __init__(self, serve: Serve, socket: Socket | None = None) -> None:
        self._serve = serve
        self._socket = socket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._socket is not None:
            await self._socket.serve(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        request = Request(
            scope["method"], scope["path"], scope["query_string"], dict(scope["headers"]), body, scope["client"][0]
        )
        answer = await self._serve(request)
        if answer is None:
            await _cut(scope, receive)
            return
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in answer.headers),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


async def _cut(scope: MutableMapping[str, Any], receive: Receive) -> None:
    """Close the connection without a word, and wait until the server has noticed."""
    scope["state"]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


def server_of(app: App, ping_interval: float) -> Server:
    """A server for the application; the caller gives it a listening socket."""
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=SocketProtocol,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_interval,
        ws_ping_timeout=ping_interval,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    return Server(config)
