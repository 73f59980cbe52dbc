"""A connection to Redis: redis-py makes, authenticates and secures it; from then on it is bytes and hiredis."""

from __future__ import annotations

from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeout

_CHUNK = 16 * 1024
_MOST_UNREAD = 64
"""Answers that may wait for others to be read; then they are."""
_MORE = object()
"""What the parser says while an answer is not whole."""


class Line:
    """For one thread. After an error it is to be closed: nobody knows whose answers still come."""

    def __init__(self, connection: Any) -> None:
        """Connect; `connection` is one of redis-py's that is not connected yet.

        Raises:
            redis.RedisError: no server there, or it refuses us.
        """
        connection.connect()
        self._connection = connection
        self._sock = connection._sock
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=connection._parser.parse_error, notEnoughData=_MORE
        )
        self._unread = 0
        """Answers on their way that nobody waits for."""

    def send(self, packed: bytes) -> None:
        """Send packed commands.

        Raises:
            redis.ConnectionError, redis.TimeoutError: they did not leave whole.
        """
        try:
            self._sock.sendall(packed)
        except TimeoutError as error:
            raise RedisTimeout("timeout writing to Redis") from error
        except OSError as error:
            raise RedisConnectionError(f"writing to Redis: {error}") from error

    def leave(self, packed: bytes) -> None:
        """Send one command whose answer is passed over when others are read; errors as `send` and `answers`."""
        if self._unread == _MOST_UNREAD:
            self.answers(0)
        self.send(packed)
        self._unread += 1

    def answers(self, count: int) -> list[Any]:
        """So many answers; a refusal comes as a value, so that the answers behind it are read too.

        Raises:
            redis.ConnectionError, redis.TimeoutError: not all came.
        """
        while self._unread:
            self._answer()
            self._unread -= 1
        return [self._answer() for _ in range(count)]

    def close(self) -> None:
        """Let the connection go."""
        self._connection.disconnect()

    def _answer(self) -> Any:
        """The next answer; what the server says unasked is passed over."""
        while True:
            answer = self._reader.gets()
            if answer is _MORE:
                self._receive()
            elif not isinstance(answer, hiredis.PushNotification):
                return answer

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except TimeoutError as error:
            raise RedisTimeout("timeout reading from Redis") from error
        except OSError as error:
            raise RedisConnectionError(f"reading from Redis: {error}") from error
        if not data:
            raise RedisConnectionError("Redis closed the connection")
        self._reader.feed(data)
