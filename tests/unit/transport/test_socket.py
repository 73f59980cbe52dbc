"""The socket against a real WebSocket server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.waiting import until
from tickrouter.errors import SocketClosed
from tickrouter.transport.socket import Socket


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


def test_what_was_read_and_what_waits_is_counted() -> None:
    asked, ended = threading.Event(), threading.Event()

    def twice(connection: ServerConnection) -> None:
        connection.send("x" * 100_000)
        asked.wait(5.0)
        connection.send("short")
        ended.wait(5.0)

    with server(twice) as url, Socket.connect(url, 2.0) as socket:
        while not socket.recv_all(2.0):
            assert socket.received > 0
        assert (socket.received, socket.waiting()) == (100_010, 0)
        asked.set()
        until(lambda: socket.waiting() == 7)
        assert socket.recv_all(2.0) == [b"short"]
        assert (socket.received, socket.waiting()) == (100_017, 0)
        ended.set()
