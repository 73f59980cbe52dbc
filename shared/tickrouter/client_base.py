"""What both halves of the client share: connections that are made when needed, and the name of the account."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tickrouter.bus.connection import Redis
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.keys import replay_prefix
from tickrouter.clock import Clock, SystemClock
from tickrouter.config import Config, find_config, load_config
from tickrouter.errors import ConfigError, InvalidValue
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.model.account import Account
from tickrouter.model.ids import MARK
from tickrouter.tape.follower import Follower


class ClientBase:
    """Connections, account, and the end of both."""

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        account: str | None = None,
        redis_url: str | None = None,
        orders_redis_url: str | None = None,
        mongo_url: str | None = None,
        mongo_database: str | None = None,
        id_mark: str | None = None,
        prefix: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """What is not given comes from REDIS_URL, ORDERS_REDIS_URL and MONGO_URL, else from the configuration.

        Args:
            config: a configuration or its file; None takes the file that TICKROUTER_CONFIG names,
                `tickrouter.yaml` here, `configs/tickrouter.yaml`, or without any of them the defaults.
            account: e.g. `btcturk/main`; None takes the configuration's, if it has just one.
            redis_url: Redis of the market data.
            orders_redis_url: Redis of the orders; with `redis_url` given and this not, the same one.
            mongo_url: MongoDB of the history.
            mongo_database: its database.
            id_mark: eight hex digits with which the client order ids made here begin, by which the router knows
                orders of this deployment; None takes the first eight of the SHA-256 of the account's name.
            prefix: name of a replay, whose streams are followed in place of the live ones (`tickrouter replay`).
            clock: for tests.

        Raises:
            ConfigError: the configuration is wrong.
            InvalidValue: the account, the mark or the prefix is wrong.
        """
        self._config = _configuration(config)
        self._account = Account.parse(account) if account is not None else _only_account(self._config)
        self._redis_url = redis_url or self._config.redis_url
        self._orders_url = orders_redis_url or redis_url or self._config.orders_redis_url
        self._mongo_url = mongo_url or self._config.mongo_url
        self._mongo_database = mongo_database or self._config.servers.mongo_database
        if id_mark is not None and not MARK.match(id_mark):
            raise InvalidValue("id_mark", f"{id_mark!r} is not eight hex digits in lower case")
        self._id_mark = id_mark or self._config.id_mark
        self._prefix = "" if prefix is None else replay_prefix(prefix)
        self._clock = clock or SystemClock()
        self._closed = threading.Event()

    def close(self) -> None:
        """End the iterators, within a second, and let go of the connections."""
        self._closed.set()
        for name in ("_redis", "_orders", "_mongo"):
            connection = self.__dict__.pop(name, None)
            if connection is not None:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client(account={str(self._account) if self._account else None!r})"

    @cached_property
    def _redis(self) -> Redis:
        return connect_redis(self._redis_url)

    @cached_property
    def _orders(self) -> Redis:
        return connect_redis(self._orders_url)

    @cached_property
    def _mongo(self) -> Any:
        return connect_mongo(self._mongo_url)

    def _db(self) -> Any:
        return database(self._mongo, self._mongo_database)

    def _follower(self, redis: Redis, key: str) -> Follower:
        return Follower(redis, key, self._clock, self._closed)

    def _owner(self, account: str | None) -> Account:
        if account is not None:
            return Account.parse(account)
        if self._account is None:
            named = ", ".join(self._config.accounts) or "none"
            raise ConfigError(
                f"which account? Client(account='<venue>/<name>'), or one under accounts in {self._config.file} "
                f"(there: {named})"
            )
        return self._account


def _configuration(given: str | Path | Config | None) -> Config:
    if isinstance(given, Config):
        return given
    try:
        file = find_config(None if given is None else Path(given))
    except ConfigError:
        return Config()  # addresses from the arguments, the environment or the defaults are enough
    return load_config(file)


def _only_account(config: Config) -> Account | None:
    return Account.parse(next(iter(config.accounts))) if len(config.accounts) == 1 else None
