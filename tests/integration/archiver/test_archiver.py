"""The outbox over real servers: everything once, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from services.archiver.copier import Copier
from services.archiver.main import Archiver, run
from services.stack.servers import Server, mongo_server, redis_server
from tests.publishing import TIME, RouterPen
from tests.waiting import until
from tickrouter import Client, Status
from tickrouter.bus.connection import Redis
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.outbox import GROUP, Outbox
from tickrouter.bus.subscribe import last_entry
from tickrouter.clock import SystemClock
from tickrouter.config import AccountConfig, Config, Servers, Streams
from tickrouter.errors import ConfigError, StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes, initiate
from tickrouter.model.account import Account

OID = "0123456789abcdef" * 2


@dataclass
class Rig:
    """An account, its router's pen, and the stores."""

    redis: Redis
    db: Any
    account: Account
    router: RouterPen
    client: Client

    def copier(self, keep: int = 10_000) -> Copier:
        """One that begins as after a start."""
        outbox = Outbox(self.redis, self.account)
        outbox.open()
        return Copier(outbox, self.db, self.account, keep, SystemClock(), threading.Event())

    def drain(self, copier: Copier) -> None:
        while copier.step(block_ms=1):
            pass

    def numbers(self, collection: str) -> list[tuple[int, int]]:
        found = self.db[collection].find({"account": str(self.account)}).sort([("epoch", 1), ("seq", 1)])
        return [(document["epoch"], document["seq"]) for document in found]

    def pending(self) -> int:
        return int(self.redis.xpending(self.router.keys.events, GROUP)["pending"])


@pytest.fixture
def rig(redis_url: str, mongo_url: str, unique: str) -> Iterator[Rig]:
    account = f"btcturk/{unique}"
    with (
        connect_redis(redis_url) as redis,
        connect_mongo(mongo_url) as mongo,
        Client(Config(), account=account, redis_url=redis_url, mongo_url=mongo_url, mongo_database=unique) as client,
    ):
        db = database(mongo, unique)
        ensure_indexes(db)
        yield Rig(redis, db, Account.parse(account), RouterPen(redis, account), client)
        mongo.drop_database(unique)


def test_events_fills_and_orders_are_copied_as_documents_of_their_fields(rig: Rig) -> None:
    rig.router.order(OID, Status.PARTIALLY_FILLED, step=3)
    rig.router.event(client_oid=OID, status="New", filled="0", remaining="1", tags={"a": 1 << 63, "b": {"c": None}})
    rig.router.fill(OID, amount="0.25000001")
    rig.drain(rig.copier())
    event = rig.db.events.find_one({"account": str(rig.account), "seq": 1})
    assert (event["_id"], event["type"], event["status"]) == (f"{rig.account}#1-1", "order", "New")
    assert event["remaining"] == Decimal128("1")
    assert event["tags"] == {"a": str(1 << 63), "b": {"c": None}}
    assert event["at"].isoformat() == "2026-08-01T12:00:00+00:00"
    fill = rig.db.fills.find_one({"account": str(rig.account)})
    assert (fill["epoch"], fill["seq"], fill["event"], fill["trade_id"]) == (1, 1, 2, "701")
    assert (fill["price"], fill["amount"]) == (Decimal128("1000.5"), Decimal128("0.25000001"))
    assert (fill["client_oid"], fill["time"]) == (OID, TIME)
    order = rig.db.orders.find_one({"_id": f"{rig.account}#{OID}"})
    assert (order["status"], order["step"], order["contract"]) == ("PartiallyFilled", 3, "btcturk/btc.try")
    assert (order["amount"], order["filled"]) == (Decimal128("1"), Decimal128("0"))
    assert rig.pending() == 0


def test_a_second_copy_changes_nothing(rig: Rig) -> None:
    for _ in range(5):
        rig.router.fill(OID)
    rig.drain(rig.copier())
    before = list(rig.db.events.find({"account": str(rig.account)}))
    rig.redis.xgroup_destroy(rig.router.keys.events, GROUP)
    again = rig.copier()
    rig.drain(again)
    assert list(rig.db.events.find({"account": str(rig.account)})) == before
    assert (again.progress.events, again.progress.conflicts) == (5, 0)
    assert rig.numbers("fills") == [(1, seq) for seq in range(1, 6)]


def test_what_was_taken_and_not_acknowledged_comes_first_after_a_restart(rig: Rig) -> None:
    for _ in range(3):
        rig.router.event()
    died = Outbox(rig.redis, rig.account)
    died.open()
    assert len(died.fresh(2)) == 2
    successor = rig.copier()
    assert successor.step(block_ms=1) == 2
    assert rig.numbers("events") == [(1, 1), (1, 2)]
    rig.drain(successor)
    assert rig.numbers("events") == [(1, 1), (1, 2), (1, 3)]
    assert rig.pending() == 0


def test_another_content_under_a_number_is_kept_apart_and_counted(rig: Rig) -> None:
    rig.router.event(status="New")
    rig.drain(rig.copier())
    rig.redis.delete(rig.router.keys.events)
    rig.router.seq = 0
    rig.router.event(status="Canceled")
    rig.router.event(status="New")
    copier = rig.copier()
    rig.drain(copier)
    assert copier.progress.conflicts == 1
    (conflict,) = rig.db.conflicts.find({"account": str(rig.account)})
    assert (conflict["collection"], conflict["epoch"], conflict["seq"]) == ("events", 1, 1)
    assert rig.db.events.find_one({"account": str(rig.account), "seq": 1})["status"] == "New"
    assert rig.numbers("events") == [(1, 1), (1, 2)]


def test_what_cannot_be_read_or_held_is_kept_apart_and_holds_nothing_up(rig: Rig) -> None:
    rig.redis.xadd(rig.router.keys.events, {"d": b"junk"}, id="1-1")
    rig.redis.xadd(rig.router.keys.events, {"other": b"x"}, id="1-2")
    rig.router.seq = 2
    rig.router.event(status="New")
    rig.redis.xadd(
        rig.router.keys.events, {"d": rig.redis.xrange(rig.router.keys.events)[-1][1][b"d"]}, id=f"{1 << 63}-1"
    )
    copier = rig.copier()
    rig.drain(copier)
    assert rig.numbers("events") == [(1, 3)]
    kept = {document["epoch"]: document for document in rig.db.conflicts.find({"account": str(rig.account)})}
    assert kept[1]["d"] == b"junk"
    assert kept[str(1 << 63)]["collection"] == "events"
    assert rig.pending() == 0


def test_an_older_step_never_replaces_a_newer_one(rig: Rig) -> None:
    def stored() -> tuple[int, str]:
        document = rig.db.orders.find_one({"_id": f"{rig.account}#{OID}"})
        return document["step"], document["status"]

    for step, status, expected in [
        (5, Status.NEW, (5, "New")),
        (3, Status.PENDING_NEW, (5, "New")),
        (6, Status.CANCELED, (6, "Canceled")),
    ]:
        rig.router.order(OID, status, step)
        rig.router.event(client_oid=OID)
        rig.drain(rig.copier())
        assert stored() == expected
    rig.router.epoch, rig.router.seq = 2, 0
    rig.router.order(OID, Status.IN_DOUBT, 2)
    rig.router.event(client_oid=OID)
    rig.drain(rig.copier())
    assert stored() == (2, "InDoubt")


def test_redis_is_trimmed_behind_the_copy_and_the_client_reads_on_without_a_hole(rig: Rig) -> None:
    for _ in range(30):
        rig.router.event()
        rig.router.fill(OID)
    rig.drain(rig.copier())
    outbox = Outbox(rig.redis, rig.account)
    assert outbox.trim((1, 60), (1, 30), keep=10) == 70
    assert rig.redis.xlen(rig.router.keys.events) == 10
    assert rig.redis.xlen(rig.router.keys.fills) == 10
    assert rig.redis.xrange(rig.router.keys.fills)[0][0] == b"1-21"
    rig.router.fill(OID)
    fills = list(rig.client.fills("0-0", block=0.1))
    assert [event.fill_id for event in fills] == [f"1-{seq}" for seq in range(1, 32)]
    assert [event.fill_id for event in rig.client.fills("1-15", block=0.1)] == [f"1-{seq}" for seq in range(16, 32)]
    assert [event.id for event in rig.client.events("1-2", block=0.1)] == [f"1-{seq}" for seq in range(3, 62)]
    assert fills[0].fill is not None
    assert fills[0].fill.price == Decimal("1000.5")


def test_nothing_is_trimmed_that_is_not_copied_or_within_what_is_kept(rig: Rig) -> None:
    for _ in range(20):
        rig.router.event()
    outbox = Outbox(rig.redis, rig.account)
    assert outbox.trim(None, None, keep=5) == 0
    assert outbox.trim((1, 5), None, keep=5) == 0
    assert outbox.trim((1, 12), None, keep=5) == 7
    assert rig.redis.xrange(rig.router.keys.events)[0][0] == b"1-8"
    assert outbox.trim((2, 3), None, keep=5) == 0


def test_waiting_finds_the_end_of_an_order_that_redis_has_trimmed(rig: Rig) -> None:
    rig.router.order(OID, Status.FILLED)
    rig.router.event(client_oid=OID, status="Filled", filled="1")
    for _ in range(20):
        rig.router.event()
    rig.drain(rig.copier())
    Outbox(rig.redis, rig.account).trim((1, 21), None, keep=2)
    assert rig.client.wait(OID, timeout=2).id == "1-1"


def test_a_wiped_redis_is_followed_from_its_beginning(rig: Rig) -> None:
    copier = rig.copier()
    rig.router.event()
    rig.drain(copier)
    rig.redis.delete(rig.router.keys.events)
    rig.router.epoch, rig.router.seq = 2, 0
    rig.router.event(type="epoch")
    until(lambda: copier.step(block_ms=1) == 1 or rig.numbers("events")[-1] == (2, 1))
    assert rig.numbers("events") == [(1, 1), (2, 1)]


@dataclass
class Stack:
    """Servers of its own, and an archiver that runs over them."""

    redis: Server
    mongo: Server
    config: Config
    archiver: Archiver
    thread: threading.Thread

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.config.data_folder / "state" / "archiver.json").read_text())


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("REDIS_URL", "ORDERS_REDIS_URL", "MONGO_URL"):
        monkeypatch.delenv(name, raising=False)
    redis, mongo = redis_server(tmp_path / "redis", appendfsync="always"), mongo_server(tmp_path / "mongo")
    redis.start()
    mongo.start()
    try:
        initiate(mongo.url)
        config = Config(
            data=tmp_path / "data",
            servers=Servers(redis_url=redis.url, mongo_url=mongo.url + "&serverSelectionTimeoutMS=500"),
            accounts={"btcturk/main": AccountConfig()},
            streams=Streams(events=50),
        )
        archiver = Archiver(config, config.accounts, SystemClock())
        thread = threading.Thread(target=archiver.run)
        thread.start()
        try:
            yield Stack(redis, mongo, config, archiver, thread)
        finally:
            archiver.stop.set()
            thread.join(10)
    finally:
        redis.stop()
        mongo.stop()


def is_loaded(redis: Redis) -> bool:
    """True if a server that was started again has read its append-only file."""
    try:
        return last_entry(redis, "orders:{btcturk/main}") is None
    except StorageError:
        return False


def test_killed_servers_lose_nothing_and_double_nothing(stack: Stack) -> None:
    redis = connect_redis(stack.redis.url)
    pen = RouterPen(redis, "btcturk/main")

    def publish(count: int) -> None:
        for _ in range(count):
            pen.event(client_oid=OID)
            pen.fill(OID)

    def copied() -> int:
        return int(stack.state["accounts"]["btcturk/main"]["events"])

    publish(300)
    until((stack.config.data_folder / "state" / "archiver.json").exists)
    until(lambda: copied() > 0, 20)
    publish(300)
    stack.mongo.kill()
    publish(100)
    until(lambda: stack.state["accounts"]["btcturk/main"]["error"], 20)
    stack.mongo.start()
    initiate(stack.mongo.url)
    with connect_mongo(stack.mongo.url) as mongo:
        db = database(mongo, "tickrouter")
        until(lambda: db.events.count_documents({}) == 1400, 40)
        stack.redis.kill()
        stack.redis.start()
        redis = pen.redis = connect_redis(stack.redis.url)
        until(lambda: is_loaded(redis))
        publish(50)
        until(lambda: db.events.count_documents({}) == 1500, 30)
        for collection, last in (("events", 1500), ("fills", 750)):
            numbers = [document["seq"] for document in db[collection].find().sort("seq", 1)]
            assert numbers == list(range(1, last + 1))
        assert db.conflicts.count_documents({}) == 0
    until(lambda: redis.xlen(pen.keys.events) == 50, 20)
    state = until(lambda: stack.state["accounts"]["btcturk/main"]["error"] is None and stack.state, 10)
    assert state["accounts"]["btcturk/main"]["through"] == "1-1500"
    assert stack.thread.is_alive()


def test_it_ends_within_three_seconds_even_without_its_servers(stack: Stack) -> None:
    stack.mongo.kill()
    stack.redis.kill()
    stack.archiver.stop.set()
    stack.thread.join(3)
    assert not stack.thread.is_alive()


def test_as_a_process_it_ends_cleanly_when_told(redis_url: str, mongo_url: str, unique: str, tmp_path: Path) -> None:
    config = tmp_path / "tickrouter.yaml"
    card = Path(__file__).parents[3] / "configs/venues/btcturk.yaml"
    config.write_text(
        f"data: {tmp_path}\nservers: {{mongo_database: {unique}}}\nvenues: {{btcturk: {{card: {card}}}}}\n"
        f"accounts: {{btcturk/{unique}: {{}}}}\n"
    )
    code = "import sys; from pathlib import Path; from tickrouter.config import load_config\n"
    code += "from services.archiver.main import run; sys.exit(run(load_config(Path(sys.argv[1]))))"
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root / 'shared'}:{root}"}
    environment |= {"ORDERS_REDIS_URL": redis_url, "MONGO_URL": mongo_url}
    process = subprocess.Popen([sys.executable, "-c", code, str(config)], env=environment, stderr=subprocess.PIPE)
    state = tmp_path / "state" / "archiver.json"
    try:
        with connect_redis(redis_url) as redis:
            RouterPen(redis, f"btcturk/{unique}").event()
            until(
                lambda: state.exists() and json.loads(state.read_text())["accounts"][f"btcturk/{unique}"]["events"], 30
            )
        process.terminate()
        assert process.wait(3) == 0
    finally:
        process.kill()
        process.communicate()
    with connect_mongo(mongo_url) as mongo:
        assert mongo[unique].events.count_documents({}) == 1
        mongo.drop_database(unique)


def test_without_accounts_it_says_so() -> None:
    with pytest.raises(ConfigError, match="accounts: none"):
        run(Config())
