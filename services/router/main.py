"""The router process: one engine for each account, until it is told to stop."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tickrouter import logs, metrics
from tickrouter.bus.connection import connect
from tickrouter.clock import SystemClock
from tickrouter.config import Config
from tickrouter.errors import ConfigError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.model.account import Account

from .engine import Engine

STATE_EVERY = 1.0
"""Seconds between two writings of the state file."""
PATIENCE = 3.0
"""Seconds that calls under way have to come back before the process ends without them: the journal knows them."""


def run(config: Config, accounts: list[str] | None = None) -> int:
    """Route the accounts of the configuration, or those named, until SIGINT or SIGTERM.

    Raises:
        ConfigError: an account is not in the configuration, or has no keys.
    """
    names = accounts or sorted(config.accounts)
    for name in names:
        if name not in config.accounts:
            raise ConfigError(f"{config.file}: accounts: no account {name!r}; there are: {', '.join(config.accounts)}")
        config.keys(Account.parse(name))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    redis = connect(config.orders_redis_url, timeout=5.0, connections=config.router.workers + 64)
    market_redis = connect(config.redis_url, timeout=2.0)
    mongo = database(connect_mongo(config.mongo_url), config.servers.mongo_database)
    engines = [
        Engine(config, Account.parse(name), redis=redis, market_redis=market_redis, mongo=mongo, clock=SystemClock())
        for name in names
    ]
    threads = [threading.Thread(target=engine.run, name=f"engine-{engine.account}", daemon=True) for engine in engines]
    for thread in threads:
        thread.start()
    metrics.expose("router", config.metrics_ports.get("router", 0), lambda: _state(engines))
    state = config.data_folder / "state" / "router.json"
    while not stop.wait(STATE_EVERY):
        write_state(state, engines)
    for engine in engines:
        engine.stop()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    write_state(state, engines)
    logs.get("router").info("stopped")
    if any(thread.is_alive() for thread in threads):
        # A venue call that does not come back: the journal shows it as sent, and the next start looks it up.
        os._exit(0)
    return 0


def write_state(path: Path, engines: list[Engine]) -> None:
    """Write what the live view shows, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(_state(engines)))
    temporary.replace(path)


def _state(engines: list[Engine]) -> dict[str, Any]:
    accounts = {str(engine.account): engine.status() for engine in engines}
    return {"pid": os.getpid(), "time": time.time_ns(), "accounts": accounts}
