"""The packer of the archiver, over everything that is recorded."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from services.archiver.main import Archiver
from services.archiver.packer import Packer
from tests.integration.archive.test_history import COUNT, MS, TIME, C, book, stored, tick, trade
from tests.waiting import until
from tickrouter.clock import SystemClock
from tickrouter.config import Archive, Config, Recording, Servers
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect, database
from tickrouter.history.queries import History

HOUR = 3_600_000_000_000


class Clock(SystemClock):
    """A clock that stands where it is put."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


def packer(db: Any, now: int, **fields: Any) -> Packer:
    return Packer(db, Archive(**fields), Clock(now), threading.Event())


def test_what_is_older_than_the_hot_window_is_packed_in_its_time(db: Any) -> None:
    records = {kind: stored(db, kind) for kind in ("tick", "trade", "book")}
    one = packer(db, TIME + 24 * HOUR, hot_hours=24, wait_hours=2)
    while one.step():
        pass
    assert db.chunks.count_documents({}) == 0
    one._clock.time = TIME + 26 * HOUR + HOUR
    while one.step():
        pass
    assert {name: db[name].count_documents({}) for name in ("ticks", "trades", "books")} == dict.fromkeys(
        ("ticks", "trades", "books"), 0
    )
    assert (one.progress.chunks, one.progress.rows, one.progress.error) == (3, 3 * COUNT, None)
    for kind, expected in records.items():
        found = list(History[Any](db, kind, C, 0))
        assert sorted(found, key=expected.index) == expected


def test_each_kind_is_kept_as_long_as_it_is_told(db: Any) -> None:
    for kind in ("tick", "trade", "book"):
        stored(db, kind)
    one = packer(db, TIME + 48 * HOUR, hot_hours=1, wait_hours=0)
    while one.step():
        pass
    db.ticks.insert_one({"_id": "x", "contract": C, "time": TIME, "ms": 1, "n": 1})
    expiring = packer(db, TIME + 48 * HOUR, enabled=False, keep_days={"tick": 1, "book": 3})
    expiring.step()
    kinds = {"tick": tick, "trade": trade, "book": book}
    found = {kind: sum(1 for _ in History[Any](db, kind, C, 0)) for kind in kinds}
    assert found == {"tick": 0, "trade": COUNT, "book": COUNT}
    assert expiring.progress.expired == COUNT + 1


def test_one_damaged_chunk_holds_up_nothing_else(db: Any) -> None:
    for kind in ("tick", "trade"):
        stored(db, kind)
    one = packer(db, TIME + 48 * HOUR, hot_hours=1, wait_hours=0)
    while one.step():
        pass
    db.chunks.update_one({"kind": "trade"}, {"$set": {"top": b"junk", "settled": False}})
    stored(db, "book")
    one.step()
    assert "not a chunk" in (one.progress.error or "")
    assert db.chunks.count_documents({"kind": "book"}) == 1


def test_without_mongo_it_says_so() -> None:
    client = connect("mongodb://127.0.0.1:1", timeout=0.05)
    with pytest.raises(StorageError):
        packer(database(client, "nowhere"), TIME).step()
    client.close()


def test_the_archiver_packs_without_an_account(
    db: Any, mongo_url: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGO_URL", raising=False)
    records = stored(db, "tick")
    config = Config(
        data=tmp_path,
        servers=Servers(mongo_url=mongo_url, mongo_database=unique),
        record=Recording(contracts=(C,)),
        archive=Archive(hot_hours=0.001, wait_hours=0, every_seconds=0.05),
    )
    archiver = Archiver(config, (), Clock(TIME + COUNT * MS + HOUR))
    thread = threading.Thread(target=archiver.run)
    thread.start()
    try:
        file = tmp_path / "state" / "archiver.json"
        until(lambda: file.exists() and json.loads(file.read_text())["packing"]["rows"] == COUNT)
        assert db.ticks.count_documents({}) == 0
        assert list(History[Any](db, "tick", C, 0)) == records
    finally:
        archiver.stop.set()
        thread.join(5)
    assert not thread.is_alive()
