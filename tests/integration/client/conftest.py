"""A client over real servers, with names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.publishing import CollectorPen, RouterPen
from tickrouter import Client
from tickrouter.bus.connection import Redis
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.config import Config


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect_redis(redis_url) as connection:
        yield connection


@pytest.fixture
def account(unique: str) -> str:
    return f"btcturk/{unique}"


@pytest.fixture
def contract(unique: str) -> str:
    return f"btcturk/{unique}.try"


@pytest.fixture
def client(redis_url: str, mongo_url: str, unique: str, account: str) -> Iterator[Client]:
    with Client(Config(), account=account, redis_url=redis_url, mongo_url=mongo_url, mongo_database=unique) as one:
        yield one


@pytest.fixture
def router(redis: Redis, account: str) -> RouterPen:
    return RouterPen(redis, account)


@pytest.fixture
def collector(redis: Redis, db: Any, contract: str) -> CollectorPen:
    return CollectorPen(redis, db, contract)
