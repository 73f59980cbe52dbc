"""A TCP proxy before a mongod that counts a program's messages, and strikes at one of them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import bson

Phase = Literal["before", "after"]
_SILENT = frozenset({"hello", "isMaster", "ismaster", "ping", "endSessions"})
_OP_MSG = 2013


@dataclass
class MongoGate:
    """Passes messages on until the one at which it strikes; from then on it passes nothing.

    Attributes:
        server: port of the mongod.
        at: number of the message to strike at, from 1; 0 for none.
        phase: `before` it reaches the server, or `after` its answer left the server and before anybody reads it.
        strike: what to do then.
        seen: names of the messages so far, monitoring left out.
    """

    server: int
    at: int = 0
    phase: Phase = "before"
    strike: Callable[[], None] = lambda: None
    seen: list[str] = field(default_factory=list)
    struck: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """No message passes meanwhile."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def close(self) -> None:
        """End it and all its connections."""
        for one in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection: a request and its answer in turn, as drivers speak on theirs."""
        try:
            server = socket.create_connection(("127.0.0.1", self.server))
        except OSError:
            client.close()
            return
        self._connections += [client, server]
        with contextlib.suppress(OSError, EOFError), client, server:
            while True:
                request = _message(client)
                self._open.wait()
                number = self._number(_name(request))
                if self.struck.is_set() or (number and self._hits(number, "before")):
                    return
                server.sendall(request)
                while True:
                    answer = _message(server)
                    if self.struck.is_set() or (number and self._hits(number, "after")):
                        return
                    client.sendall(answer)
                    if not _more_to_come(answer):
                        break

    def _number(self, name: str) -> int:
        if name in _SILENT:
            return 0
        with self._lock:
            self.seen.append(name)
            return len(self.seen)

    def _hits(self, number: int, phase: Phase) -> bool:
        if (number, phase) != (self.at, self.phase):
            return False
        self.strike()
        self.struck.set()
        return True


def _message(connection: socket.socket) -> bytes:
    head = _exactly(connection, 4)
    return head + _exactly(connection, struct.unpack("<i", head)[0] - 4)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _name(message: bytes) -> str:
    """The command, with its collection: `insert chunks`."""
    if struct.unpack_from("<i", message, 12)[0] != _OP_MSG:
        return "hello"
    size = struct.unpack_from("<i", message, 21)[0]
    command = bson.decode(message[21 : 21 + size])
    name, collection = next(iter(command.items()))
    return f"{name} {collection}" if isinstance(collection, str) else name


def _more_to_come(answer: bytes) -> bool:
    return struct.unpack_from("<i", answer, 12)[0] == _OP_MSG and bool(struct.unpack_from("<I", answer, 16)[0] & 2)
