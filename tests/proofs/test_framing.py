"""Messages are cut where they end, whatever pieces they come in."""

from __future__ import annotations

import json
from collections.abc import Callable

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proofs.framing import (
    Cutter,
    http_end,
    http_name,
    mongo_end,
    mongo_name,
    redis_namer,
    resp_end,
    socket_end,
    socket_name,
)
from tests.proofs.gate import Point

COMMAND = b"*3\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$4\r\n\r\n\r\n\r\n"
REPLIES = [
    b"+OK\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b"$4\r\n\r\n\r\n\r\n",
    b"*2\r\n*1\r\n$1\r\na\r\n:5\r\n",
    b"%1\r\n+a\r\n*0\r\n",
    b"*-1\r\n",
    b"-NOSCRIPT no\r\n",
]
BODY = b'{"a":1}'
POST = b"POST /api/v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
GET = b"GET /api/v1/order/77?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"


def _mongo(word: str) -> bytes:
    body = b"\0\0\0\0\0" + bson.encode({word: "orders"})
    return (16 + len(body)).to_bytes(4, "little") + b"\0" * 8 + (2013).to_bytes(4, "little") + body


def _frame(text: bytes) -> bytes:
    size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
    return b"\x81" + size + text


@pytest.mark.parametrize(
    ("end", "messages"),
    [
        (resp_end, [COMMAND, *REPLIES]),
        (http_end, [POST, GET, POST]),
        (mongo_end, [_mongo("find"), _mongo("hello")]),
        (socket_end, [_frame(b"[423,{}]"), _frame(b"x" * 300)]),
    ],
)
@given(data=st.data())
def test_messages_come_out_whole_whatever_the_pieces(
    end: Callable[[bytes, int], int], messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    cutter, found = Cutter(end), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += cutter.feed(stream[start:stop])
    assert found == messages
    assert cutter.rest == b""


def test_messages_have_names_without_what_differs_each_time() -> None:
    assert redis_namer({"abc": "step"})(COMMAND) == "redis:step"
    assert redis_namer({})(b"*2\r\n$6\r\nclient\r\n$7\r\nsetinfo\r\n") == "redis:CLIENT SETINFO"
    assert (http_name(POST), http_name(GET)) == ("http:POST order", "http:GET order/id")
    assert mongo_name(_mongo("find")) == "mongo:find"
    assert socket_name(_frame(json.dumps([423, {}]).encode())) == "socket:423"


@pytest.mark.parametrize("incarnation", [1, 2])
def test_a_point_reads_back_as_it_is_written(incarnation: int) -> None:
    point = Point("http:POST order", 3, "middle", incarnation)
    assert Point.parse(str(point)) == point
