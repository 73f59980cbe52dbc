"""Connections to Redis: none of them repeats a command by itself."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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
