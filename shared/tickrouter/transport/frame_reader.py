"""Bytes of a WebSocket to messages (RFC 6455, section 5): no socket, so that it can be tested cut by cut.

Every whole frame is cut out of what one read of the connection gave. A text's UTF-8 is left to its decoder.
What is allowed is what websocket-client allows, a masked frame from a server included.
"""

from __future__ import annotations

import struct
from typing import Final

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one message at most: a length beyond it is a fault, not an order to collect so much."""

_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_WHOLE_TEXT: Final = _FIN | _TEXT
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_LONGEST_CONTROL: Final = 125
_SHORT: Final = 0x7F
_TEXT_OF_16: Final = _WHOLE_TEXT << 8 | _LENGTH_16
"""The first two bytes of a whole text whose length follows in two more."""
_two_words: Final = struct.Struct("!HH").unpack_from
_NO_CODE: Final = (1004, 1005, 1006)
"""Codes from 1000 to 1014 that no close frame may carry (section 7.4.1)."""


class FrameReader:
    """Takes bytes as they come; what is not whole yet waits for the rest.

    Attributes:
        pings: payloads to be answered, in order; the caller empties it.
        goodbye: payload of the other side's close frame, or None. Nothing is read behind it.
        fault: how the other side broke the protocol, or None. Nothing is read behind it.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """Args: limit: bytes of one message at most."""
        self.pings: list[bytes] = []
        self.goodbye: bytes | None = None
        self.fault: str | None = None
        self._limit = limit
        # The beginning of a frame, in the pieces in which it came, and how many bytes are wanted before a next look.
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = 0
        # The fragments of a message so far; None outside of one.
        self._fragments: list[bytes] | None = None
        self._fragmented = 0

    @property
    def is_partial(self) -> bool:
        """True while a frame or a message has begun and not ended."""
        return bool(self._size) or self._fragments is not None

    @property
    def is_over(self) -> bool:
        """True after a close frame or a fault."""
        return self.goodbye is not None or self.fault is not None

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that these bytes complete, in order."""
        if self.goodbye is not None or self.fault is not None:
            return []
        if self._size:
            self._pieces.append(data)
            self._size += len(data)
            if self._size < self._wanted:
                return []
            data = b"".join(self._pieces)
        messages: list[bytes] = []
        at, end, wanted = 0, len(data), 2
        while end - at >= 2:
            # What nearly every frame is: a whole text of less than 64 kB. Anything else takes the longer way below.
            if self._fragments is None:
                while end - at >= 4:
                    kind, length = _two_words(data, at)
                    if kind == _TEXT_OF_16:
                        body = at + 4
                    elif kind < _TEXT_OF_16 and kind & ~_SHORT == _WHOLE_TEXT << 8:
                        length, body = kind & _SHORT, at + 2
                    else:
                        break
                    if end - body < length:
                        break
                    at = body + length
                    messages.append(data[body:at])
                if end - at < 2:
                    break
            first, length = data[at], data[at + 1]
            body = at + 2
            masked = length & _MASKED
            length &= ~_MASKED
            if length >= _LENGTH_16:
                body += 2 if length == _LENGTH_16 else 8
                if end < body:
                    wanted = body - at
                    break
                length = int.from_bytes(data[at + 2 : body], "big")
            if masked:
                body += 4
            if length > self._limit:
                self.fault = f"a frame of {length} bytes, more than {self._limit}"
                break
            if end - body < length:
                wanted = body - at + length
                break
            payload = data[body : body + length]
            if masked:
                payload = _unmasked(payload, data[body - 4 : body])
            at = body + length
            if first == _WHOLE_TEXT and self._fragments is None:
                messages.append(payload)
            else:
                self._take(first, payload, messages)
                if self.goodbye is not None or self.fault is not None:
                    break
        rest = data[at:]
        self._pieces, self._size, self._wanted = [rest], len(rest), wanted
        return messages

    def _take(self, first: int, payload: bytes, messages: list[bytes]) -> None:
        """One frame that is more, or less, than a whole text."""
        opcode, is_last = first & _OPCODE, bool(first & _FIN)
        if first & _RESERVED:
            self.fault = "a reserved bit is set, and no extension was agreed to"
        elif opcode in (_TEXT, _BINARY, _CONTINUATION):
            self._take_data(opcode, is_last, payload, messages)
        elif opcode == _PING:
            if not is_last or len(payload) > _LONGEST_CONTROL:
                self.fault = "a ping that is too long or in fragments"
            else:
                self.pings.append(payload)
        elif opcode == _CLOSE:
            if len(payload) == 1 or len(payload) > _LONGEST_CONTROL or not _is_close_code(payload):
                self.fault = f"an invalid close frame {payload[:20]!r}"
            else:
                self.goodbye = payload
        elif opcode != _PONG:
            self.fault = f"unknown opcode {opcode}"

    def _take_data(self, opcode: int, is_last: bool, payload: bytes, messages: list[bytes]) -> None:
        if (opcode == _CONTINUATION) != (self._fragments is not None):
            self.fault = "fragments of messages out of order"
            return
        if self._fragments is None:
            self._fragments, self._fragmented = [], 0
        self._fragments.append(payload)
        self._fragmented += len(payload)
        if self._fragmented > self._limit:
            self.fault = f"a message of more than {self._limit} bytes"
        elif is_last:
            messages.append(b"".join(self._fragments))
            self._fragments = None


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def _is_close_code(payload: bytes) -> bool:
    if not payload:
        return True
    code = int.from_bytes(payload[:2], "big")
    return (1000 <= code <= 1014 and code not in _NO_CODE) or 3000 <= code < 5000
