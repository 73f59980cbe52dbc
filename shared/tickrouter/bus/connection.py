"""Connections to Redis, alone, under Sentinels or as a cluster: none of them repeats a command by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from tickrouter.errors import StorageError

Redis = redis.Redis
SENTINEL = "redis+sentinel"
CLUSTER = "redis+cluster"
_CONNECT_TIMEOUT = 5.0
_ASK_TIMEOUT = 1.0
"""Seconds that one Sentinel has to say who leads; then the next is asked."""


class Cluster(RedisCluster):
    """The driver's client of a cluster, with errors of the same tree as those of a single server."""

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """One command, on the node that has its key."""
        run: Any = super().execute_command
        try:
            return run(*args, **kwargs)
        except RedisClusterException as error:
            raise RedisConnectionError(f"cluster: {error}") from error


def connect(url: str, *, timeout: float | None = 5.0, connections: int = 64) -> Redis:
    """A client for `url` that retries nothing by itself: a repeat is decided by whoever knows what it means.

    Args:
        url: `redis://[user:password@]host:port/db` or `rediss://…`;
            `redis+sentinel://[user:password@]host:port,…/service/db` for the primary that these Sentinels name;
            `redis+cluster://[user:password@]host:port,…` for a cluster, of which these are some nodes.
        timeout: seconds after which an unanswered command raises; None waits for ever (blocking reads).
        connections: most connections at once.

    Raises:
        ValueError: no such address.
        StorageError: no node of the cluster answers. Other servers are not asked before they are needed.
    """
    options: dict[str, Any] = {
        "max_connections": connections,
        "socket_timeout": timeout,
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    parts = urlsplit(url)
    client: Redis
    if parts.scheme == CLUSTER:
        client = _cluster(parts, options)
        return client
    options |= {"retry_on_timeout": False, "health_check_interval": 0}
    if parts.scheme == SENTINEL:
        client = _under_sentinels(parts, options)
        return client
    return redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url, **options))


def node_of(client: Redis, key: str) -> Any:
    """A client of the one server that holds a key: for questions about a server itself, its clock or its name.

    Raises:
        redis.RedisError: no node of the cluster has the key's slot at this moment.
    """
    if not isinstance(client, RedisCluster):
        return client
    cluster: Any = client
    try:
        return cluster.get_redis_connection(cluster.get_node_from_key(key))
    except RedisClusterException as error:
        raise RedisConnectionError(f"cluster: {error}") from error


def _cluster(parts: SplitResult, options: dict[str, Any]) -> Any:
    """It has the commands of the other clients; whoever names several keys in one call gives them one hash tag."""
    node: Any = ClusterNode
    nodes = [node(host, port) for host, port in _addresses(parts)]
    with storage_errors("cluster"):
        return Cluster(startup_nodes=nodes, **options, **_credentials(parts))


def _under_sentinels(parts: SplitResult, options: dict[str, Any]) -> Any:
    service, _, number = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("redis+sentinel://host:port,…/<service>/<db>: the service's name is missing")
    sentinels: Any = Sentinel
    hosts = sentinels(_addresses(parts), socket_timeout=_ASK_TIMEOUT, retry=options["retry"])
    return hosts.master_for(service, db=int(number or 0), **options, **_credentials(parts))


def _credentials(parts: SplitResult) -> dict[str, Any]:
    given = {"username": parts.username, "password": parts.password}
    return {name: unquote(value) for name, value in given.items() if value}


def _addresses(parts: SplitResult) -> list[tuple[str, int]]:
    hosts = (entry.rpartition(":") for entry in parts.netloc.rpartition("@")[2].split(","))
    return [(host, int(port)) for host, _, port in hosts]


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Make the driver's errors ours, so that no room but this one has to know the driver."""
    try:
        yield
    except (RedisError, RedisClusterException) as error:
        raise StorageError(f"Redis: {what}: {error}") from error
