"""Where messages begin and end on a wire, and what they are called: RESP, HTTP, WebSocket frames, MongoDB's messages.

Just enough for a proxy that acts on whole messages; nothing is decoded that has no part in a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import bson

Namer = Callable[[bytes], str]
_CRLF = b"\r\n"
_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_BULKS = frozenset(b"$=!")


def resp_end(data: bytes, start: int) -> int:
    """End of the RESP value that begins at `start`; -1 while it is not whole."""
    wanted, at = 1, start
    while wanted:
        line = data.find(_CRLF, at)
        if line < 0:
            return -1
        kind = data[at]
        wanted -= 1
        if kind in _BULKS:
            size = int(data[at + 1 : line])
            at = line + 2 + (size + 2 if size >= 0 else 0)
            if at > len(data):
                return -1
            continue
        if kind in _AGGREGATES:
            wanted += max(0, int(data[at + 1 : line])) * _AGGREGATES[kind]
            if kind == ord("|"):
                wanted += 1
        at = line + 2
    return at


def resp_words(request: bytes, count: int) -> list[bytes]:
    """The first words of a command."""
    at, words = request.index(_CRLF) + 2, []
    while len(words) < count and at < len(request):
        line = request.index(_CRLF, at)
        size = int(request[at + 1 : line])
        words.append(request[line + 2 : line + 2 + size])
        at = line + 4 + size
    return words


def redis_namer(scripts: Mapping[str, str]) -> Namer:
    """Names of Redis commands; `scripts` gives names to digests."""

    def name(request: bytes) -> str:
        command, *rest = resp_words(request, 2)
        word = command.decode("latin-1").upper()
        if word == "EVALSHA":
            digest = rest[0].decode()
            return f"redis:{scripts.get(digest, digest[:8])}"
        if word in ("SCRIPT", "CLIENT", "XGROUP", "INFO"):
            return f"redis:{word} {rest[0].decode('latin-1').upper()}" if rest else f"redis:{word}"
        return f"redis:{word}"

    return name


_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


def http_end(data: bytes, start: int) -> int:
    """End of the HTTP message that begins at `start`; -1 while it is not whole."""
    head = data.find(b"\r\n\r\n", start)
    if head < 0:
        return -1
    length = _LENGTH.search(data, start, head + 2)
    end = head + 4 + (int(length.group(1)) if length else 0)
    return end if end <= len(data) else -1


def http_name(request: bytes) -> str:
    """`http:POST order`: method and path without what is the same everywhere, or differs with each request."""
    method, path = request.split(b" ", 2)[:2]
    bare = path.split(b"?")[0].decode().removeprefix("/api/v1/").removeprefix("/api/v2/")
    if bare.startswith("order/"):
        bare = "order/id"
    if b"upgrade: websocket" in request.lower():
        bare = "socket"
    return f"http:{method.decode()} {bare}"


def socket_end(data: bytes, start: int) -> int:
    """End of the WebSocket frame that begins at `start`; -1 while it is not whole."""
    if len(data) < start + 2:
        return -1
    size, at = data[start + 1] & 0x7F, start + 2
    if size > 125:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(data[at : at + width], "big"), at + width
    end = at + size + (4 if data[start + 1] & 0x80 else 0)
    return end if end <= len(data) else -1


_KIND = re.compile(rb"\[\s*(\d+)")


def socket_name(frame: bytes) -> str:
    """`socket:423` for a message of the venue, `socket:sent` for one of ours, which is masked."""
    if frame[1] & 0x80:
        return "socket:sent" if frame[0] & 0x0F == 1 else "socket:control"
    found = _KIND.search(frame, 2, 20)
    return f"socket:{found.group(1).decode()}" if found else "socket:control"


def mongo_end(data: bytes, start: int) -> int:
    """End of the MongoDB message that begins at `start`; -1 while it is not whole."""
    if len(data) < start + 4:
        return -1
    end = start + int.from_bytes(data[start : start + 4], "little")
    return end if end <= len(data) else -1


def mongo_name(request: bytes) -> str:
    """`mongo:find`: the first key of the command."""
    if int.from_bytes(request[12:16], "little") != 2013:
        return "mongo:hello"
    size = int.from_bytes(request[21:25], "little")
    word = next(iter(bson.decode(request[21 : 21 + size])))
    return "mongo:hello" if word.lower() == "ismaster" else f"mongo:{word}"


@dataclass(slots=True)
class Cutter:
    """Takes bytes as they come and gives whole messages."""

    end: Callable[[bytes, int], int]
    rest: bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages that are there now."""
        data = self.rest + data
        found, at = [], 0
        while at < len(data) and (end := self.end(data, at)) > 0:
            found.append(data[at:end])
            at = end
        self.rest = data[at:]
        return found
