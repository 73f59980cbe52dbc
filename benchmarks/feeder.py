"""An exchange's socket that sends prepared frames as fast as its one reader takes them."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Iterable
from typing import Self

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT = 0x81


def packed(frames: Iterable[str]) -> bytes:
    """WebSocket frames of a server, one behind the other (RFC 6455, section 5.2)."""
    parts = []
    for frame in frames:
        data = frame.encode()
        if len(data) < 126:
            parts.append(bytes((_TEXT, len(data))))
        elif len(data) < 65_536:
            parts.append(struct.pack("!BBH", _TEXT, 126, len(data)))
        else:
            parts.append(struct.pack("!BBQ", _TEXT, 127, len(data)))
        parts.append(data)
    return b"".join(parts)


class Feeder:
    """Listens on loopback; takes one reader after the other, and sends to the last one what it is told.

    It sends from a thread of its own, in one call of the system, so that its Python costs the reader nothing.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._reader: socket.socket | None = None
        self._sending: threading.Thread | None = None
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"

    def accept(self, timeout: float = 20.0) -> None:
        """Wait for a reader and shake hands; no extension is agreed to, so nothing is compressed.

        Raises:
            TimeoutError: nobody came.
        """
        self._listener.settimeout(timeout)
        reader, _ = self._listener.accept()
        reader.settimeout(timeout)
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while b"\r\n\r\n" not in head:
            more = reader.recv(4096)
            if not more:
                raise ConnectionError("the reader went away before the handshake")
            head += more
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        reader.sendall(answer + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        reader.settimeout(None)
        self._reader = reader

    def send(self, frames: bytes) -> None:
        """Begin to send; returns at once."""
        reader = self._reader
        if reader is None:
            raise ConnectionError("no reader")
        self._sending = threading.Thread(target=reader.sendall, args=(frames,), name="feeder", daemon=True)
        self._sending.start()

    def send_now(self, frames: bytes) -> None:
        """Send in this thread."""
        if self._reader is None:
            raise ConnectionError("no reader")
        self._reader.sendall(frames)

    def hang_up(self) -> None:
        """Let the reader go, once everything is sent."""
        if self._sending is not None:
            self._sending.join(10)
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._listener.close()
