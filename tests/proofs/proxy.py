"""A TCP proxy that passes whole messages on and lets a gate strike before, in the middle of, or after each."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from tests.proofs.framing import (
    Cutter,
    Namer,
    http_end,
    http_name,
    mongo_end,
    mongo_name,
    resp_end,
    socket_end,
    socket_name,
)
from tests.proofs.gate import Gate

Protocol = Literal["redis", "venue", "mongo"]
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class _Upstream(asyncio.Protocol):
    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.upstream_made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._link.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.upstream_lost()


class Link(asyncio.Protocol):
    """One connection of the router, and the one to the server that it stands for."""

    def __init__(self, gate: Gate, kind: Protocol, namer: Namer, server: Address) -> None:
        self._gate = gate
        self._kind = kind
        self._namer = namer
        self._server = server
        self._client: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._pending: deque[tuple[str, int]] = deque()
        self._is_socket = False
        self._held: list[Callable[[], None]] | None = None
        end = {"redis": resp_end, "venue": http_end, "mongo": mongo_end}[kind]
        self._requests, self._answers = Cutter(end), Cutter(end)

    # --- the router's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)
        if self._gate.closed:
            self._abort()
            return
        self._gate.on_close(self._abort)
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(loop))

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await loop.create_connection(lambda: _Upstream(self), self._server.host, self._server.port)
        except OSError:
            self._abort()

    def data_received(self, data: bytes) -> None:
        for message in self._requests.feed(data):
            self._when_free(partial(self._request, message))

    def _request(self, message: bytes) -> None:
        if self._gate.closed:
            return
        name = socket_name(message) if self._is_socket else self._namer(message)
        number = self._gate.number(name)

        def forward() -> None:
            if not self._is_socket and not (self._kind == "mongo" and name == "mongo:hello"):
                self._pending.append((name, number))
            self._forward(message)

        if self._gate.hits(name, number, "before"):
            self._strike(name, number, "before", forward)
        elif self._gate.hits(name, number, "middle"):
            self._forward(message[: len(message) // 2])
            rest = message[len(message) // 2 :]
            self._pending.append((name, number))
            self._strike(name, number, "middle", lambda: self._forward(rest))
        else:
            forward()
            if self._is_socket and self._gate.hits(name, number, "after"):
                self._strike(name, number, "after", lambda: None)

    def _forward(self, data: bytes) -> None:
        if self._upstream is None:
            self._early.append(data)
        elif not self._upstream.is_closing():
            # A message may have been held until its server was gone: then nobody gets it, and the router is told.
            self._upstream.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None:
            self._upstream.close()

    # --- the server's side

    def upstream_made(self, transport: asyncio.Transport) -> None:
        self._upstream = transport
        if self._client is None or self._client.is_closing():
            transport.abort()
            return
        for data in self._early:
            transport.write(data)
        self._early.clear()

    def answered(self, data: bytes) -> None:
        for message in self._answers.feed(data):
            self._when_free(partial(self._answer, message))

    def _answer(self, message: bytes) -> None:
        if self._gate.closed or self._client is None:
            return
        if self._is_socket:
            self._frame(message)
            return
        name, number = self._pending.popleft() if self._pending and self._is_answer(message) else ("mongo:hello", 0)
        if name == "http:GET socket" and message.startswith(b"HTTP/1.1 101"):
            self._is_socket = True
            rest, self._answers = self._answers.rest, Cutter(socket_end)
            self._requests = Cutter(socket_end)
            if rest:
                asyncio.get_running_loop().call_soon(self.answered, rest)
        client = self._client
        if self._gate.hits(name, number, "after"):
            # It may have been held for so long that nobody waits for it any more.
            self._strike(name, number, "after", lambda: None if client.is_closing() else client.write(message))
        elif self._gate.wants_reset(name):
            client.write(message[: len(message) // 2])
            asyncio.get_running_loop().call_soon(self._reset)
        else:
            client.write(message)

    def _is_answer(self, message: bytes) -> bool:
        """MongoDB's monitoring answers come unasked; RESP's pushes do too."""
        return not message.startswith(b">")

    def _frame(self, frame: bytes) -> None:
        name = socket_name(frame)
        number, client = self._gate.number(name), self._client
        if client is None:
            return
        if self._gate.hits(name, number, "before"):
            self._strike(name, number, "before", lambda: client.write(frame))
        elif self._gate.hits(name, number, "middle"):
            client.write(frame[: len(frame) // 2])
            self._strike(name, number, "middle", lambda: client.write(frame[len(frame) // 2 :]))
        else:
            client.write(frame)
            if self._gate.hits(name, number, "after"):
                self._strike(name, number, "after", lambda: None)

    def upstream_lost(self) -> None:
        if self._client is not None:
            self._when_free(self._client.close)

    # --- both

    def _when_free(self, act: Callable[[], None]) -> None:
        """Behind a message that is held, everything of its connection waits."""
        if self._held is not None:
            self._held.append(act)
        else:
            act()

    def _strike(
        self, name: str, number: int, phase: Literal["before", "middle", "after"], act: Callable[[], None]
    ) -> None:
        self._held = []

        def go_on() -> None:
            act()
            held, self._held = self._held or [], None
            for one in held:
                self._when_free(one)

        self._gate.strike(name, number, phase, go_on)

    def _reset(self) -> None:
        if self._client is not None:
            connection = self._client.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._abort()

    def _abort(self) -> None:
        for transport in (self._client, self._upstream):
            if transport is not None:
                transport.abort()


class Proxy:
    """Listens for one router in front of one server."""

    def __init__(self, gate: Gate, kind: Protocol, server: Address, namer: Namer | None = None) -> None:
        self._gate = gate
        self._kind = kind
        self._server = server
        self._namer = namer or {"venue": http_name, "mongo": mongo_name}[kind]
        self._listener: asyncio.Server | None = None

    async def open(self) -> int:
        """Listen; returns the port."""
        loop = asyncio.get_running_loop()
        make = partial(Link, self._gate, self._kind, self._namer, self._server)
        self._listener = await loop.create_server(make, "127.0.0.1", 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Take no more connections; those there are end with the gate."""
        if self._listener is not None:
            self._listener.close()
