"""HTTP answers, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.transport.reply import Reply

WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{\r\n}"
CHUNKED = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


def read(data: bytes, cuts: tuple[int, ...] = (), most: int = 1000) -> Reply:
    reply = Reply(most)
    ends = sorted({*(cut for cut in cuts if cut < len(data)), len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        reply.feed(data[start:end])
    return reply


@given(st.sampled_from([WITH_LENGTH, CHUNKED, INTERIM + WITH_LENGTH]), st.sets(st.integers(1, 120)))
def test_an_answer_is_the_same_however_it_is_cut(data: bytes, cuts: set[int]) -> None:
    reply, whole = read(data, tuple(cuts)), read(data)
    assert reply.is_whole
    assert reply.keeps_alive
    assert (reply.status, reply.body) == (whole.status, whole.body)


def test_status_headers_and_body_are_read() -> None:
    reply = read(WITH_LENGTH)
    assert (reply.status, reply.body) == (200, b"{\r\n}")
    assert reply.headers[b"content-type"] == b"application/json"
    assert (read(CHUNKED).status, read(CHUNKED).body) == (400, b"hi!")


@given(st.integers(1, len(WITH_LENGTH) - 1))
def test_an_answer_that_breaks_off_is_not_whole(length: int) -> None:
    reply = read(WITH_LENGTH[:length])
    assert not reply.is_whole
    assert not reply.ended()


def test_the_end_of_the_connection_ends_an_answer_that_names_no_length() -> None:
    reply = read(b"HTTP/1.1 200 OK\r\n\r\nhi")
    assert not reply.is_whole
    assert reply.ended()
    assert not reply.keeps_alive
    assert reply.body == b"hi"


@pytest.mark.parametrize("behind", [WITH_LENGTH, CHUNKED, b"noise"])
def test_what_comes_behind_an_answer_is_none_of_ours_and_ends_the_connection(behind: bytes) -> None:
    reply = read(WITH_LENGTH + behind)
    assert (reply.status, reply.body) == (200, b"{\r\n}")
    assert not reply.keeps_alive


def test_an_answer_without_a_body_is_whole_with_its_headers() -> None:
    reply = read(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (reply.is_whole, reply.status, reply.body) == (True, 204, b"")


def test_a_connection_that_the_venue_closes_is_not_used_again() -> None:
    assert not read(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").keeps_alive


@pytest.mark.parametrize(
    "data", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n"]
)
def test_what_is_no_http_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"Parser|Error|Invalid|Expected"):
        read(data)


def test_a_body_beyond_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 2 bytes"):
        read(CHUNKED, most=2)
