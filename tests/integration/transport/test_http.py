"""One request, one attempt, over real sockets to a venue that answers as it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tickrouter.errors import AmbiguousError
from tickrouter.transport import http
from tickrouter.transport.http import HttpClient
from tickrouter.venues.request import Request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\nhi"


class Venue:
    """Hands each connection to a function, and keeps what came."""

    def __init__(self, serve: Callable[[Venue, socket.socket], None]) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self._serve(self, connection)

    def take(self, connection: socket.socket) -> bool:
        """Read one request, which is told to come in one write; False at the end of the connection."""
        data = connection.recv(65536)
        if data:
            self.received.append(data)
        return bool(data)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient("venue", timeout=0.5)
    yield client
    client.close()


def answering(answer: bytes = ANSWER) -> Iterator[Venue]:
    def serve(venue: Venue, connection: socket.socket) -> None:
        while venue.take(connection):
            connection.sendall(answer)

    venue = Venue(serve)
    yield venue
    venue.close()


@pytest.fixture
def venue() -> Iterator[Venue]:
    yield from answering()


def post(venue: Venue, body: bytes = b'{"a":1}', **headers: str) -> Request:
    return Request("POST", f"{venue.base}/order?x=1", "POST /order", headers, body)


def test_a_request_leaves_in_one_write_and_its_answer_is_read(client: HttpClient, venue: Venue) -> None:
    answer = client.send(post(venue, Stamp="7"))
    assert (answer.status, answer.body, answer.retry_after) == (200, b"hi", 3.0)
    head, _, body = venue.received[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /order?x=1 HTTP/1.1"
    assert {b"Host: " + venue.base[7:].encode(), b"Stamp: 7", b"Content-Length: 7"} <= set(lines)
    assert body == b'{"a":1}'


def test_connections_are_used_again_also_those_that_were_made_ready_for_nothing(
    client: HttpClient, venue: Venue
) -> None:
    first, second = post(venue), post(venue, b"[]")
    client.send(first)
    client.ready(first)
    client.ready(second)
    client.send(first)
    client.ready(second)
    client.send(second)
    assert venue.connections == 1
    assert [data.rpartition(b"\r\n\r\n")[2] for data in venue.received] == [first.body, first.body, second.body]


def test_nobody_waits_for_who_waits_for_the_venue(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to go on before a connection is made, and while an answer takes long; not where the venue is quick."""
    may_answer, told = threading.Event(), threading.Event()

    def serve(venue: Venue, connection: socket.socket) -> None:
        while venue.take(connection) and may_answer.wait(5):
            connection.sendall(ANSWER)

    venue = Venue(serve)
    connections: list[int] = []
    may_answer.set()
    client.send(post(venue), slow=lambda: connections.append(venue.connections), timeout=5.0)
    assert connections == [0]

    monkeypatch.setattr(http, "QUICK", 5.0)
    client.send(post(venue), timeout=5.0)
    client.send(post(venue), slow=told.set, timeout=5.0)
    assert not told.is_set()

    monkeypatch.setattr(http, "QUICK", 0.001)
    for _ in range(2):  # while it is thought to be quick, and when it is known to be slow
        may_answer.clear()
        sending = threading.Thread(target=client.send, args=(post(venue),), kwargs={"slow": told.set, "timeout": 5.0})
        sending.start()
        assert told.wait(5)
        assert sending.is_alive()
        told.clear()
        may_answer.set()
        sending.join(5)
        assert not sending.is_alive()
    venue.close()
    assert venue.connections == 1


def test_nobody_waits_for_an_answer_that_begins_soon_and_goes_on_late(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, told = threading.Event(), threading.Event()

    def serve(venue: Venue, connection: socket.socket) -> None:
        while venue.take(connection):
            connection.sendall(ANSWER[:20])
            if may_end.wait(5):
                connection.sendall(ANSWER[20:])

    monkeypatch.setattr(http, "QUICK", 5.0)
    venue = Venue(serve)
    may_end.set()
    client.send(post(venue), timeout=5.0)
    may_end.clear()
    sending = threading.Thread(target=client.send, args=(post(venue),), kwargs={"slow": told.set, "timeout": 5.0})
    sending.start()
    assert told.wait(4)
    may_end.set()
    sending.join(5)
    venue.close()
    assert not sending.is_alive()


def test_an_answer_that_drips_ends_with_the_time_of_the_whole_request(client: HttpClient) -> None:
    def serve(venue: Venue, connection: socket.socket) -> None:
        venue.take(connection)
        pause = threading.Event()
        for number in range(len(ANSWER)):
            connection.sendall(ANSWER[number : number + 1])
            pause.wait(0.1)

    venue = Venue(serve)
    began = time.monotonic()
    with pytest.raises(AmbiguousError, match="timeout"):
        client.send(post(venue))
    assert time.monotonic() - began < 2.0
    venue.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"", "venue_down"), (ANSWER[:-1], "venue_down"), (b"no http\r\n\r\n", "venue_down")],
    ids=["nothing", "cut", "noise"],
)
def test_no_whole_answer_is_ambiguous_and_nothing_is_sent_again(client: HttpClient, answer: bytes, kind: str) -> None:
    def serve(venue: Venue, connection: socket.socket) -> None:
        venue.take(connection)
        connection.sendall(answer)
        connection.close()

    venue = Venue(serve)
    with pytest.raises(AmbiguousError) as error:
        client.send(post(venue))
    venue.close()
    assert error.value.kind == kind
    assert len(venue.received) == 1


def test_a_header_with_a_line_break_never_leaves(client: HttpClient, venue: Venue) -> None:
    with pytest.raises(AmbiguousError, match="line break"):
        client.send(post(venue, Evil="a\r\nInjected: b"))
    assert venue.received == []
