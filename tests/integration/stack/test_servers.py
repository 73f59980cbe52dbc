"""The embedded servers: settings that the promises rest on, and data that outlasts them."""

from __future__ import annotations

from pathlib import Path

from services.stack.servers import mongo_server, redis_server
from tickrouter.bus import inspect as bus_inspect
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.history import inspect as history_inspect
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes, initiate


def test_the_orders_redis_says_that_it_is_fit_for_orders(tmp_path: Path) -> None:
    server = redis_server(tmp_path, appendfsync="always")
    server.start()
    try:
        with connect_redis(server.url) as redis:
            facts = bus_inspect.server_facts(redis)
    finally:
        server.stop()
    assert (facts.appendonly, facts.appendfsync, facts.eviction) == (True, "always", "noeviction")


def test_a_killed_redis_comes_back_with_what_it_acknowledged(tmp_path: Path) -> None:
    server = redis_server(tmp_path, appendfsync="always")
    server.start()
    try:
        with connect_redis(server.url) as redis:
            redis.xadd("tick:{x}", {"d": b"1"}, id="1700000000000-5")
        server.kill()
        server.start()
        with connect_redis(server.url) as redis:
            assert bus_inspect.stream_size(redis, "tick:{x}").last == (1_700_000_000_000, 5)
            assert bus_inspect.entry_ids(redis, "tick:{x}", since_ms=0, limit=10) == [(1_700_000_000_000, 5)]
            assert bus_inspect.entry_ids(redis, "tick:{x}", since_ms=1_700_000_000_001, limit=10) == []
            assert bus_inspect.stream_size(redis, "tick:{y}").length == 0
    finally:
        server.stop()


def test_mongod_moves_to_another_port_with_its_data(tmp_path: Path) -> None:
    first = mongo_server(tmp_path)
    first.start()
    try:
        initiate(first.url)
        with connect_mongo(first.url) as client:
            db = database(client, "tickrouter")
            ensure_indexes(db)
            db.ticks.insert_many(
                {"_id": f"t{n}", "contract": "btcturk/btc.try", "ms": 1_700_000_000_000 + n // 2, "n": n}
                for n in range(6)
            )
    finally:
        first.stop()
    second = mongo_server(tmp_path)
    second.start()
    try:
        initiate(second.url)
        with connect_mongo(second.url) as client:
            facts = history_inspect.server_facts(client)
            db = database(client, "tickrouter")
            sizes = history_inspect.collection_sizes(db)
            base = 1_700_000_000_000
            some = history_inspect.entry_ids(db, "ticks", "btcturk/btc.try", (base, 1), (base + 2, 4))
    finally:
        second.stop()
    assert (facts.replica_set, facts.writable, facts.is_durable) == ("tickrouter", True, True)
    assert sizes["ticks"] == 6
    assert some == [(base, 1), (base + 1, 2), (base + 1, 3), (base + 2, 4)]
