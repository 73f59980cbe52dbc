"""Addresses of Redis: alone, under Sentinels, a cluster. Nothing is asked before it is needed, but of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from services.stack.servers import free_port
from tickrouter.bus.connection import connect, node_of
from tickrouter.errors import StorageError


def test_a_server_alone() -> None:
    client: Any = connect("redis://user:p%40ss@127.0.0.1:7/3", timeout=1.5)
    options = client.connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["db"]) == ("127.0.0.1", 7, 3)
    assert (options["username"], options["password"], options["socket_timeout"]) == ("user", "p@ss", 1.5)
    assert options["retry"].get_retries() == 0
    assert node_of(client, "tick:{a/b.c}") is client


def test_under_sentinels() -> None:
    client: Any = connect("redis+sentinel://user:p%40ss@127.0.0.1:7,host.example:8/market/2", timeout=1.5)
    pool = client.connection_pool
    options = pool.connection_kwargs
    assert (pool.service_name, pool.is_master) == ("market", True)
    assert (options["db"], options["username"], options["password"]) == (2, "user", "p@ss")
    assert options["retry"].get_retries() == 0
    asked = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("127.0.0.1", 7), ("host.example", 8)]
    assert all("p@ss" not in str(one.get("password")) for one in asked)


@pytest.mark.parametrize("url", ["redis+sentinel://127.0.0.1:7", "redis+sentinel://127.0.0.1:7/", "redis+cluster://x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        connect(url)


def test_a_cluster_of_which_no_node_answers_is_an_error_of_storage() -> None:
    with pytest.raises(StorageError, match="cluster"):
        connect(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}")
