"""The socket against a real WebSocket server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from tickrouter.errors import SocketClosed
from tickrouter.transport.socket import READ, Socket


@contextmanager
def server(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{running.socket.getsockname()[1]}"
        finally:
            running.shutdown()
            thread.join()


def test_what_is_sent_comes_back() -> None:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with server(echo) as url, Socket.connect(url, 2.0) as socket:
        socket.send("[991,{}]")
        assert socket.recv(2.0) == b"[991,{}]"


def test_silence_is_none_and_the_next_frame_still_comes() -> None:
    asked = threading.Event()

    def late(connection: ServerConnection) -> None:
        asked.wait(5.0)
        connection.send("late")

    with server(late) as url, Socket.connect(url, 2.0) as socket:
        assert socket.recv(0.02) is None
        assert not socket.has_more()
        asked.set()
        assert socket.recv(2.0) == b"late"


def test_a_ping_is_answered_while_receiving() -> None:
    answered = threading.Event()

    def pinging(connection: ServerConnection) -> None:
        if connection.ping("are you there").wait(5.0):
            answered.set()
        connection.send("thanks")

    with server(pinging) as url, Socket.connect(url, 2.0) as socket:
        received: list[bytes | None] = []
        reader = threading.Thread(target=lambda: received.append(socket.recv(5.0)))
        reader.start()
        assert answered.wait(5.0)
        reader.join(5.0)
        assert received == [b"thanks"]


def test_the_close_of_the_other_side_is_said_with_its_code() -> None:
    with (
        server(lambda connection: connection.close(4001, "enough")) as url,
        Socket.connect(url, 2.0) as socket,
        pytest.raises(SocketClosed, match=r"4001 'enough'"),
    ):
        socket.recv(2.0)


def test_nobody_listening_is_said() -> None:
    with pytest.raises(SocketClosed, match=r"ws://127\.0\.0\.1:1"):
        Socket.connect("ws://127.0.0.1:1", 0.5)


def test_sending_after_close_raises() -> None:
    with server(lambda connection: None) as url:
        socket = Socket.connect(url, 2.0)
        socket.close()
        socket.close()
        assert not socket.has_more()
        with pytest.raises(SocketClosed):
            socket.send("x")


def test_a_read_that_took_all_that_had_arrived_is_known_as_one() -> None:
    asked = threading.Event()

    def long_then_short(connection: ServerConnection) -> None:
        connection.send("x" * 200_000)
        asked.wait(5.0)
        connection.send("short")

    with server(long_then_short) as url, Socket.connect(url, 2.0) as socket:
        reads = []
        while not (found := socket.recv_all(2.0)):
            reads.append(socket.is_emptied)
        assert len(found[0]) == 200_000
        # Where a read is as long as can be, more may have arrived.
        assert reads.count(False) <= 200_000 // READ
        asked.set()
        assert socket.recv_all(2.0) == [b"short"]
        assert socket.is_emptied
