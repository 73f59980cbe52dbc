"""Connections to Redis: none of them repeats a command by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tickrouter.errors import StorageError

Redis = redis.Redis


def connect(url: str, *, timeout: float | None = 5.0, connections: int = 64) -> Redis:
    """A client for `url` that retries nothing by itself: a repeat is decided by whoever knows what it means.

    Args:
        url: `redis://[:password@]host:port/db` or `rediss://…`.
        timeout: seconds after which an unanswered command raises; None waits for ever (blocking reads).
        connections: most connections at once.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        socket_timeout=timeout,
        socket_connect_timeout=5.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        health_check_interval=0,
    )
    return redis.Redis(connection_pool=pool)


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Make the driver's errors ours, so that no room but this one has to know the driver."""
    try:
        yield
    except RedisError as error:
        raise StorageError(f"Redis: {what}: {error}") from error
