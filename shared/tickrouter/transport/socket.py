"""A WebSocket as a plain object: connect, send, receive with a timeout, close. One thread uses it."""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any, Self

import websocket

from tickrouter.errors import SocketClosed

CLOSE_TIMEOUT = 0.5
_DATA = (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY)


class Socket:
    """One connection. Pings are answered while receiving; a frame cut by a timeout is continued at the next call."""

    def __init__(self, connection: Any, url: str) -> None:
        self._connection = connection
        self._url = url
        self._timeout: float | None = None
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
        if timeout != self._timeout:
            self._connection.settimeout(timeout)
            self._timeout = timeout
        try:
            opcode, data = self._connection.recv_data()
        except websocket.WebSocketTimeoutException:
            return None
        except (OSError, websocket.WebSocketException) as error:
            raise SocketClosed(f"{self._url}: {_first_line(error)}") from error
        if opcode in _DATA:
            message: bytes = data
            return message
        self._connection.shutdown()
        code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 0
        raise SocketClosed(f"{self._url}: closed by the other side ({code} {data[2:80].decode(errors='replace')!r})")

    def has_more(self) -> bool:
        """True if bytes have already arrived: `recv` will not wait, or only for the rest of a frame."""
        connection = self._connection.sock
        if connection is None:
            return False
        pending = getattr(connection, "pending", None)
        return bool(pending and pending()) or bool(self._readable.poll(0))

    def close(self) -> None:
        """Say goodbye, wait at most half a second for the answer, and let go. Harmless if already closed."""
        with suppress(OSError, websocket.WebSocketException):
            self._connection.close(timeout=CLOSE_TIMEOUT)
        self._connection.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
