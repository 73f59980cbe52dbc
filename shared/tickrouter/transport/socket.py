"""A WebSocket as a plain object: connect, send, receive with a timeout, close. One thread uses it.

websocket-client connects, shakes hands and sends; received bytes are read here, 127 kB at once. Its own reader takes
three calls of the system and a lock for every frame.
"""

from __future__ import annotations

import fcntl
import select
import struct
import termios
from collections import deque
from contextlib import suppress
from typing import Any, Self

import websocket

from tickrouter.errors import SocketClosed
from tickrouter.transport.frame_reader import FrameReader

CLOSE_TIMEOUT = 0.5
READ = 127 * 1024
"""Bytes of one read: what the heap gives. From 128 kB on each read's memory is new from the system, and with 256 kB the
rate was half."""
_INT = struct.Struct("i")


class Socket:
    """One connection. Pings are answered while receiving; a frame cut by a timeout is continued at the next call."""

    def __init__(self, connection: Any, url: str) -> None:
        self.received = 0
        """Bytes read so far."""
        self._connection = connection
        self._url = url
        self._timeout: float | None = None
        self._frames = FrameReader()
        self._ready: deque[bytes] = deque()
        self._readable = select.poll()
        self._readable.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)

    @classmethod
    def connect(cls, url: str, timeout: float) -> Self:
        """Open a connection, TLS for `wss`.

        Text is not checked for UTF-8 here, which is 98 % of a large frame's cost: the decoder does it.

        Args:
            url: `ws://…` or `wss://…`.
            timeout: seconds for the connection and the handshake.

        Raises:
            SocketClosed: no connection, or the handshake was refused; the text says why.
        """
        try:
            connection = websocket.create_connection(
                url, timeout=timeout, skip_utf8_validation=True, enable_multithread=False
            )
        except (OSError, websocket.WebSocketException, ValueError) as error:
            raise SocketClosed(f"{url}: {_first_line(error)}") from error
        return cls(connection, url)

    def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            SocketClosed: it did not leave.
        """
        try:
            self._connection.send(text)
        except (OSError, websocket.WebSocketException) as error:
            raise SocketClosed(f"{self._url}: {_first_line(error)}") from error

    def recv(self, timeout: float) -> bytes | None:
        """The next message, or None if none came within `timeout` seconds (above 0).

        Raises:
            SocketClosed: the other side closed, or the connection broke.
        """
        while not self._ready:
            if not self._read(timeout):
                return None
        return self._ready.popleft()

    def recv_all(self, timeout: float) -> list[bytes]:
        """All messages that one read of the connection completes; none if nothing came within `timeout` seconds, or
        no message became whole.

        Raises:
            SocketClosed: the other side closed, or the connection broke; what came before it was given out.
        """
        if not self._ready:
            self._read(timeout)
        messages = list(self._ready)
        self._ready.clear()
        return messages

    def has_more(self) -> bool:
        """True if anything has arrived that was not given out yet: whole messages, or the beginning of one."""
        return self._frames.is_partial or self.is_readable()

    def is_readable(self) -> bool:
        """True if messages or bytes have arrived: the next read will not wait, but its message may not be whole."""
        if self._ready:
            return True
        connection = self._connection.sock
        if connection is None:
            return False
        pending = getattr(connection, "pending", None)
        return bool(pending and pending()) or bool(self._readable.poll(0))

    def waiting(self) -> int:
        """Bytes that have arrived and were not read yet; under TLS a few more than will be read of them."""
        connection = self._connection.sock
        if connection is None:
            return 0
        pending = getattr(connection, "pending", None)
        (arrived,) = _INT.unpack(fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(_INT.size)))
        return int(arrived) + (pending() if pending is not None else 0)

    def _read(self, timeout: float) -> bool:
        """One read of the connection; False if nothing came."""
        if self._frames.is_over:
            self._end()
        if timeout != self._timeout:
            self._connection.settimeout(timeout)
            self._timeout = timeout
        connection = self._connection.sock
        if connection is None:
            raise SocketClosed(f"{self._url}: closed")
        try:
            data = connection.recv(READ)
        except TimeoutError:
            return False
        except OSError as error:
            raise SocketClosed(f"{self._url}: {_first_line(error)}") from error
        if not data:
            raise SocketClosed(f"{self._url}: the other side went away without a word")
        self.received += len(data)
        self._ready += self._frames.feed(data)
        if self._frames.pings:
            self._answer_pings()
        if self._frames.is_over and not self._ready:
            self._end()
        return True

    def _answer_pings(self) -> None:
        pings, self._frames.pings = self._frames.pings, []
        for payload in pings:
            try:
                self._connection.pong(payload)
            except (OSError, websocket.WebSocketException) as error:
                raise SocketClosed(f"{self._url}: {_first_line(error)}") from error

    def _end(self) -> None:
        """The other side said goodbye, or what it says cannot be read any more: the answer, and the reason."""
        goodbye = self._frames.goodbye
        with suppress(OSError, websocket.WebSocketException):
            self._connection.send_close(*((1002,) if goodbye is None else ()))
        self._connection.shutdown()
        if goodbye is None:
            raise SocketClosed(f"{self._url}: {self._frames.fault}")
        code = int.from_bytes(goodbye[:2], "big")
        text = goodbye[2:80].decode(errors="replace")
        raise SocketClosed(f"{self._url}: closed by the other side ({code} {text!r})")

    def close(self) -> None:
        """Say goodbye, wait at most half a second for the answer, and let go. Harmless if already closed."""
        with suppress(OSError, websocket.WebSocketException):
            if self._frames.is_partial:
                # websocket-client would wait for the answer, and cannot read on in the middle of a message.
                self._connection.send_close()
            else:
                self._connection.close(timeout=CLOSE_TIMEOUT)
        self._connection.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
