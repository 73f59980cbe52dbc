"""One connection a thread, commands packed in C: for scripts on the path of an order.

The connections (bus/line.py) are made as redis-py's pool makes them. What its client adds to each call, a lock, a
lookup and a retry policy, costs as much as the round trip itself. They are none of the pool's own: a thread that ends
takes its connection with it, and would leave the pool one place less for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, RedisError

from tickrouter.bus.connection import Cluster, Redis
from tickrouter.bus.line import Line
from tickrouter.bus.scripts import Script
from tickrouter.errors import RedisForgot

Part = str | bytes | int | float
Meanwhile = Callable[[], None]
Call = tuple[Script, list[str], list[Part]]
"""A script, its keys, its arguments."""


class Direct:
    """Calls scripts over a connection that belongs to the calling thread."""

    def __init__(self, redis: Redis) -> None:
        # Which node of a cluster has a key is known to the driver's client: there is no one connection to hold.
        self._cluster = redis if isinstance(redis, Cluster) else None
        self._pool: Any = None if isinstance(redis, Cluster) else redis.connection_pool
        self._local = threading.local()

    def call(self, script: Script, keys: list[str], args: list[Part]) -> Any:
        """Run a script.

        Raises:
            RedisForgot: the server does not know it any more: it was restarted, or another one took its place.
            redis.RedisError: no answer, or a refusal; it may have run where there was no answer.
        """
        return self.call_all((script, keys, args))[0]

    def call_all(self, *calls: Call, meanwhile: Meanwhile | None = None) -> list[Any]:
        """Run scripts one after the other in one write; none waits for another's answer.

        Args:
            calls: the scripts.
            meanwhile: called once they are on their way.

        Raises:
            RedisForgot, redis.RedisError: as `call`, for the first that failed; the others may have run.
        """
        if self._cluster is not None:
            if meanwhile is not None:
                meanwhile()
            return [script.call(self._cluster, keys, args) for script, keys, args in calls]
        packed = b"".join([_pack(script, keys, args) for script, keys, args in calls])
        answers = self.exchange(packed, len(calls), meanwhile)
        for answer in answers:
            if isinstance(answer, NoScriptError):
                raise RedisForgot("the server does not know our scripts: it was restarted or replaced") from answer
            if isinstance(answer, RedisError):
                raise answer
        return answers

    @property
    def is_whole(self) -> bool:
        """True if one connection leads to every key: it is no cluster."""
        return self._cluster is None

    def exchange(self, packed: bytes, answers: int, meanwhile: Meanwhile | None = None) -> list[Any]:
        """Send commands packed by `hiredis.pack_command` and read so many answers; a refusal comes as a value.

        `meanwhile` is called between the two.

        Raises:
            redis.ConnectionError, redis.TimeoutError: not all answers came; any command may have run.
        """
        line = self._line()
        try:
            line.send(packed)
            if meanwhile is not None:
                meanwhile()
            return line.answers(answers)
        except BaseException:
            # Whatever it was: answers may still come over it that nobody would take for his.
            self._let_go(line)
            raise

    def leave(self, script: Script, keys: list[str], args: list[Part]) -> None:
        """Run a script whose answer nobody needs: it is read, and dropped, behind the next calls.

        Raises:
            RedisForgot, redis.RedisError: as `call`, of what is known at once.
        """
        if self._cluster is not None:
            script.call(self._cluster, keys, args)
            return
        line = self._line()
        try:
            line.leave(_pack(script, keys, args))
        except BaseException:
            self._let_go(line)
            raise

    def _let_go(self, line: Line) -> None:
        """Away with it: the next one leads to another server, where Sentinels name one by now."""
        line.close()
        self._local.line = None

    def _line(self) -> Line:
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = Line(self._pool.connection_class(**self._pool.connection_kwargs))
        return line


def _pack(script: Script, keys: list[str], args: list[Part]) -> bytes:
    parts: Any = ("EVALSHA", script.digest, len(keys), *keys, *args)
    packed: bytes = hiredis.pack_command(parts)
    return packed
