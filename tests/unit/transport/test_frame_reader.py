"""The frame reader against websocket-client's own, on the same bytes."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import websocket
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickrouter.transport.frame_reader import FrameReader

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def packed(first: int, payload: bytes, *, mask: bytes | None = None, form: int = 0) -> bytes:
    """A frame. `form`: 126 or 127 take the longer form of a length where a shorter one would do."""
    size, bit = len(payload), 0x80 if mask is not None else 0
    if form == 127 or size >= 65_536:
        head = struct.pack("!BBQ", first, bit | 127, size)
    elif form == 126 or size >= 126:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = bytes((first, bit | size))
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


class Heard(NamedTuple):
    """What a reader made of a stream that then breaks off."""

    messages: list[bytes]
    pings: list[bytes]
    goodbye: bytes | None
    is_faulty: bool


def ours(data: bytes, cuts: Sequence[int]) -> Heard:
    reader = FrameReader()
    messages: list[bytes] = []
    at = 0
    for cut in (*sorted(cuts), len(data)):
        end = min(cut, len(data))
        if end > at:
            messages += reader.feed(data[at:end])
            at = end
    return Heard(messages, reader.pings, reader.goodbye, reader.fault is not None)


def theirs(data: bytes) -> Heard:
    """websocket-client over a pair of real sockets."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.settimeout(5.0)
    client: Any = websocket.WebSocket(skip_utf8_validation=True)
    client.sock, client.connected = near.dup(), True
    messages: list[bytes] = []
    goodbye, is_faulty = None, False
    client.sock.settimeout(5.0)
    with near, far, client.sock:
        sending = threading.Thread(target=lambda: (far.sendall(data), far.shutdown(socket.SHUT_WR)))
        sending.start()
        try:
            while goodbye is None:
                opcode, payload = client.recv_data()
                if opcode == CLOSE:
                    goodbye = payload
                else:
                    messages.append(payload)
        except websocket.WebSocketConnectionClosedException:
            pass
        except websocket.WebSocketProtocolException:
            is_faulty = True
        while near.recv(65_536):
            """What it left unread would reset the connection, and with it what it answered."""
        sending.join()
        near.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: far.recv(65_536), b""))
    return Heard(messages, pongs(answers), goodbye, is_faulty)


def pongs(data: bytes) -> list[bytes]:
    source = io.BytesIO(data)
    frames: Any = websocket.frame_buffer(source.read, skip_utf8_validation=True)
    found = []
    while source.tell() < len(data):
        frame = frames.recv_frame()
        if frame.opcode == PONG:
            found.append(frame.data)
    return found


sizes = st.one_of(st.integers(0, 8), st.sampled_from((124, 125, 126, 127, 300, 65_535, 65_536)))
payloads = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda size, byte: bytes((byte,)) * size, sizes, st.integers(0, 255)),
    st.builds(lambda code, text: struct.pack("!H", code) + text, st.integers(990, 5010), st.binary(max_size=6)),
)
firsts = st.one_of(
    st.sampled_from((0x81, 0x81, 0x81, 0x82, 0x01, 0x02, 0x00, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x09, 0x0A, 0x08)),
    st.integers(0, 255),
)
masks = st.one_of(st.none(), st.none(), st.binary(min_size=4, max_size=4))
frames = st.builds(
    lambda first, payload, mask, form: packed(first, payload, mask=mask, form=form),
    firsts,
    payloads,
    masks,
    st.sampled_from((0, 0, 126, 127)),
)
streams = st.builds(
    lambda parts, lost: b"".join(parts)[: -lost or None], st.lists(frames, max_size=8), st.sampled_from((0, 0, 1, 3, 9))
)


@settings(max_examples=400, deadline=None)
@given(streams, st.lists(st.one_of(st.integers(0, 40), st.integers(0, 200_000)), max_size=8))
@example(packed(0x01, b"a") + packed(0x89, b"?") + packed(0x80, b"b"), [1, 2, 3, 4, 5, 6])
@example(packed(0x81, b"a") + packed(0xC1, b"b") + packed(0x81, b"c"), [])
@example(packed(0x81, b"a") + packed(0x88, struct.pack("!H", 1000) + b"x") + packed(0x81, b"c"), [])
@example(packed(0x00, b"a"), [])
@example(packed(0x01, b"a") + packed(0x81, b"b"), [])
def test_the_same_is_heard_as_by_websocket_client_however_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    assert ours(data, cuts) == theirs(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes_are_cut_as_they_come_or_refused(data: bytes, cuts: list[int]) -> None:
    whole = ours(data, [])
    assert ours(data, cuts) == whole
    assert not (whole.is_faulty and whole.goodbye is not None)


def test_every_cut_of_a_stream_gives_the_same() -> None:
    data = b"".join(
        (
            packed(0x81, b"one"),
            packed(0x01, b"two, "),
            packed(0x89, b"ping"),
            packed(0x00, b"in three "),
            packed(0x80, b"parts"),
            packed(0x81, b"x" * 200, mask=b"abcd"),
            packed(0x82, b"", form=127),
            packed(0x88, b""),
        )
    )
    expected = Heard([b"one", b"two, in three parts", b"x" * 200, b""], [b"ping"], b"", False)
    assert theirs(data) == expected
    assert all(ours(data, [cut, cut + 1]) == expected for cut in range(len(data)))


@pytest.mark.parametrize("length", [101, 2**31, 2**63, 2**64 - 1])
def test_a_length_out_of_bounds_is_a_fault_at_once(length: int) -> None:
    reader = FrameReader(limit=100)
    assert reader.feed(packed(0x81, b"good") + struct.pack("!BBQ", 0x81, 127, length)) == [b"good"]
    assert reader.fault == f"a frame of {length} bytes, more than 100"
    assert reader.feed(packed(0x81, b"more")) == []


def test_fragments_together_are_bounded_too() -> None:
    reader = FrameReader(limit=100)
    assert reader.feed(packed(0x01, b"x" * 60) + packed(0x00, b"x" * 60)) == []
    assert reader.fault == "a message of more than 100 bytes"


def test_what_is_not_whole_yet_is_known() -> None:
    reader = FrameReader()
    data = packed(0x01, b"a") + packed(0x80, b"b")
    assert not reader.is_partial
    for place in range(len(data) - 1):
        assert reader.feed(data[place : place + 1]) == []
        assert reader.is_partial
    assert reader.feed(data[-1:]) == [b"ab"]
    assert not reader.is_partial
