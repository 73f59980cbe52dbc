"""A thread's own connection: it ends with its thread, and takes nothing from anybody."""

from __future__ import annotations

import gc
import threading
from typing import Any

from tests.waiting import until
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.direct import Direct
from tickrouter.bus.scripts import Script

SCRIPT = Script("clock", "permit_return")
CONNECTIONS = 3


def test_threads_that_end_leave_room_for_others(redis_url: str) -> None:
    redis = connect(redis_url, connections=CONNECTIONS)
    try:
        SCRIPT.load(redis)
        before = clients(redis)
        for _ in range(4 * CONNECTIONS):
            direct = Direct(redis)
            thread = threading.Thread(target=direct.call, args=(SCRIPT, [], ["name"]))
            thread.start()
            thread.join()
        assert redis.ping()
        gc.collect()
        until(lambda: clients(redis) <= before)
    finally:
        redis.close()


def clients(redis: Redis) -> int:
    """Connections that the server has now."""
    info: Any = redis.info("clients")
    return int(info["connected_clients"])
