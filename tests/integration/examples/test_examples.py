"""The example programs, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.publishing import CollectorPen, RouterPen
from tickrouter import Status
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes

ROOT = Path(__file__).parents[3]
ACCOUNT = "btcturk/main"


def run(name: str, *arguments: str, status: int = 0, **environment: str) -> str:
    """Output of an example; fails where its exit status is not `status`."""
    paths = os.pathsep.join([str(ROOT / "shared"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture
def own_redis(redis_url: str) -> Iterator[str]:
    """A database number of its own: the examples trade as btcturk/main."""
    url = redis_url.rpartition("/")[0] + "/5"
    with connect_redis(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()


class RouterTwin:
    """Takes commands and answers as a router with a venue would that fills market orders and rests limit orders."""

    def __init__(self, url: str) -> None:
        self.redis = connect_redis(url)
        self.pen = RouterPen(self.redis, ACCOUNT)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        position = "0-0"
        while not self.stop.is_set():
            for _, entries in self.redis.xread({AccountKeys(ACCOUNT).orders: position}, block=100):
                for entry_id, fields in entries:
                    position = entry_id
                    self.answer(unpack_map(fields[b"d"]))

    def answer(self, wire: dict[str, Any]) -> None:
        oid = wire["client_oid"]
        if wire["action"] == "cancel":
            self.pen.order(oid, Status.CANCELED)
            self.pen.event(client_oid=oid, status="Canceled", filled="0")
            return
        self.pen.order(oid)
        self.pen.event(client_oid=oid, status="New")
        if wire["type"] == "market":
            self.pen.fill(oid, amount="0.0008")
            self.pen.order(oid, Status.FILLED)
            self.pen.event(client_oid=oid, status="Filled", filled="0.0008", average_price="1000.5")

    def __enter__(self) -> RouterTwin:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(5)
        self.redis.close()


@pytest.fixture
def recorded(own_redis: str, mongo_url: str, unique: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Ticks of this minute in both stores, and the environment that names them."""
    config = tmp_path / "tickrouter.yaml"
    config.write_text(f"servers: {{mongo_database: {unique}}}\n")
    with connect_redis(own_redis) as redis, connect_mongo(mongo_url) as mongo:
        db = database(mongo, unique)
        ensure_indexes(db)
        pen = CollectorPen(redis, db, "btcturk/btc.usdt", start=time.time_ns() - 60_000_000_000)
        pen.record(30)
        pen.store(1, 20, through=20)
        pen.trim(12)
        yield {"REDIS_URL": own_redis, "MONGO_URL": mongo_url, "TICKROUTER_CONFIG": str(config)}
        mongo.drop_database(unique)


def test_watching_ticks(recorded: dict[str, str]) -> None:
    lines = run("watch_ticks.py", "btcturk/btc.usdt", "30", **recorded).splitlines()
    assert [line.split()[2] for line in lines] == [f"{number}.0" for number in range(1, 31)]


def test_a_frame_of_history(recorded: dict[str, str]) -> None:
    output = run("history_frame.py", **recorded)
    assert "[5 rows x 8 columns]" in output
    assert "spread, mean:" in output


def test_placing_orders(recorded: dict[str, str], own_redis: str) -> None:
    with RouterTwin(own_redis) as twin:
        value = {"total": "1.5", "free": "1", "locked": "0.5", "time": 1}
        twin.redis.hset(AccountKeys(ACCOUNT).balance, "btc", pack_map(value))
        output = run("place_order.py", **recorded)
    assert output.splitlines() == [
        "limit order: Canceled",
        "market order: Filled 0.0008 at 1000.5 ",
        "fill 1-1 0.0008 at 1000.5 fee 0.45",
        "btc 1 free of 1.5",
    ]


def test_an_order_with_a_plain_redis_client(own_redis: str) -> None:
    with RouterTwin(own_redis):
        lines = run("plain_redis.py", ORDERS_REDIS_URL=own_redis).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["1-1", "order", "New"],
        ["1-2", "fill", "PartiallyFilled"],
        ["1-3", "order", "Filled"],
    ]


def test_fills_are_consumed_once_over_restarts(own_redis: str, tmp_path: Path) -> None:
    where = {"ORDERS_REDIS_URL": own_redis, "POSITION_FILE": str(tmp_path / "position")}
    with connect_redis(own_redis) as redis:
        pen = RouterPen(redis, ACCOUNT)

        def consume(status: int = 0) -> list[str]:
            return run("consume_fills.py", "0.2", status=status, **where).splitlines()

        def fill(count: int) -> None:
            for _ in range(count):
                pen.fill("a" * 32)

        assert consume() == []
        fill(3)
        assert [line.split()[0] for line in consume()] == ["1-1", "1-2", "1-3"]
        fill(2)
        assert [line.split()[0] for line in consume()] == ["1-4", "1-5"]
        fill(4)
        redis.xtrim(pen.keys.fills, maxlen=2, approximate=False)
        said = "\n".join(consume(status=3))
        assert "1-5 is not followed by 1-8; read MongoDB" in said
        assert "{epoch: 1, seq: {$gt: 5}}" in said
        (tmp_path / "position").write_text("1-7")
        assert [line.split()[0] for line in consume()] == ["1-8", "1-9"]
        pen.epoch, pen.fill_seq = 2, 0
        fill(1)
        assert "1-9 is not followed by 2-1" in consume(status=3)[0]


def test_the_consumer_is_thirty_lines() -> None:
    source = (ROOT / "examples/consume_fills.py").read_text().partition('"""\n\n')[2]
    assert len([line for line in source.splitlines() if line]) <= 30
    assert "tickrouter" not in source.replace("TICKROUTER_ACCOUNT", "")


def test_the_plain_program_is_short_and_imports_nothing_of_ours() -> None:
    source = (ROOT / "examples/plain_redis.py").read_text()
    code = [line for line in source.splitlines() if line and not line.startswith(('"""', "import "))]
    assert len(code) <= 20
    assert "import tickrouter" not in source
    assert "from tickrouter" not in source
