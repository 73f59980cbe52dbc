"""Killed at every message of a packing: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.stack.servers import Server, mongo_server
from tests.mongo_gate import MongoGate, Phase
from tests.packing import BEFORE, Nursery, pack_all
from tickrouter.errors import StorageError
from tickrouter.history.archive import Archive
from tickrouter.history.chunks import decode
from tickrouter.history.connection import connect, database, ensure_indexes, initiate
from tickrouter.history.documents import to_document
from tickrouter.history.queries import History, between
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
TIME = 1_785_585_600_000_000_000
MS = 1_000_000
ROWS = 60
TRADES = 110
LATE_ID = "150500"


def trade(number: int, *, live: bool = True, late: int = 0) -> Trade:
    time = TIME + number * MS + late
    return Trade(time, 100 + number / 100, number / 1000, "b", str(150_000 + number), C, "live" if live else "backfill")


def live_document(number: int) -> dict[str, Any]:
    return to_document(trade(number), TIME // MS + number, (1 << 40) + number)


@dataclass
class Room:
    """A database whose trades are partly archived: 50 backfilled ones, ten of which came live since, and 60 more."""

    url: str
    name: str
    port: int

    def __post_init__(self) -> None:
        self.client = connect(self.url)
        self.db = database(self.client, self.name)
        ensure_indexes(self.db)
        self.db.trades.insert_many([to_document(trade(number, live=False)) for number in range(50)])
        self.db.through.insert_one({"_id": f"{C}#trade", "contract": C, "kind": "trade", "ms": BEFORE // MS, "n": 0})
        Archive(self.db, "trade", C, ROWS).pack(BEFORE, BEFORE)
        again = [live_document(number) for number in range(20, 30)]
        repeated = [to_document(trade(number, live=False, late=5 * MS)) for number in range(5)]
        more = [live_document(number) for number in range(50, 100)]
        backfilled = [to_document(trade(number, live=False, late=-30 * MS)) for number in range(100, TRADES)]
        self.hot = again + repeated + more + backfilled
        self.chunks = list(self.db.chunks.find())
        assert [chunk["rows"] for chunk in self.chunks] == [50]

    def reset(self) -> None:
        """As at the beginning."""
        for collection, documents in ((self.db.chunks, self.chunks), (self.db.trades, self.hot)):
            collection.delete_many({})
            collection.insert_many(documents)

    def meddle(self) -> None:
        """A trade that is read after the fact in the midst of the others, while they are packed."""
        late = Trade(TIME + 75 * MS, 1.0, 1.0, "s", LATE_ID, C, "backfill")
        self.db.trades.insert_one(to_document(late))

    def wrong(self, *, packed: bool) -> list[str]:
        """What does not hold."""
        found = []
        expected = Counter([str(150_000 + number) for number in range(TRADES)] + [LATE_ID])
        history: list[Trade] = list(History(self.db, "trade", C, 0))
        for name, ids in (("history", Counter(one.trade_id for one in history)), ("copies", self._copies())):
            if name == "copies" and not packed:
                continue
            found += [f"{name}: {number} {ids[number]} times" for number in expected | ids if ids[number] != 1]
        sources = {one.trade_id: one.source for one in history}
        found += [
            f"{n}: backfilled copy"
            for n in (*range(20, 30), *range(50, 100))
            if sources.get(str(150_000 + n)) != "live"
        ]
        places = [entry for entry, _ in between(self.db, "trade", C, (0, 0), (BEFORE, 0))]
        if places != sorted(set(places)) or len(places) != 60:
            found.append(f"{len(places)} entries by their place")
        return found

    def _copies(self) -> Counter[str]:
        documents = [document["trade_id"] for document in self.db.trades.find()]
        archived = [
            number
            for chunk in self.db.chunks.find({"state": "live"})
            for number in decode(chunk["top"])["trade_id"].to_list()
        ]
        return Counter(documents + archived)


@pytest.fixture
def room(mongo_process: Server, mongo_url: str, unique: str) -> Iterator[Room]:
    room = Room(mongo_url, unique, mongo_process.port)
    yield room
    room.client.drop_database(unique)
    room.client.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery.start()
    yield nursery
    nursery.stop()


def struck(room: Room, nursery: Nursery, at: int, phase: Phase, *, twin: bool = False) -> tuple[list[str], list[str]]:
    """Kill a packer at one message, let another go on; the messages of the first, and what does not hold."""
    room.reset()
    gate = MongoGate(room.port, at, phase)
    pid = 0

    def strike() -> None:
        room.meddle()
        os.kill(pid, signal.SIGKILL)

    gate.strike = strike
    try:
        # The packer's first message waits in the gate until its process id is known.
        with gate.hold():
            pid = nursery.pack(gate.url, room.name, C, ROWS, twin=twin)
        status = nursery.status()
    finally:
        gate.close()
    if not gate.struck.is_set():
        assert status == 0
        return gate.seen, []
    assert status == -signal.SIGKILL
    wrong = [f"killed: {text}" for text in room.wrong(packed=False)]
    nursery.pack(room.url, room.name, C, ROWS, twin=twin)
    assert nursery.status() == 0
    return gate.seen, wrong + room.wrong(packed=True)


def writes(names: list[str]) -> list[int]:
    """Numbers of the messages that change something: between them a death changes nothing."""
    return [at for at, name in enumerate(names, 1) if name.split()[0] in ("insert", "update", "delete")]


def test_a_packer_killed_at_every_write(room: Room, nursery: Nursery) -> None:
    names, _ = struck(room, nursery, 0, "before")
    assert {"insert chunks", "find chunks", "update chunks", "delete trades", "delete chunks"} <= set(names)
    for at in writes(names):
        seen, wrong = struck(room, nursery, at, "before")
        assert wrong == [], f"killed before message {at}, {seen[-1]}"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_packer_killed_at_every_message(room: Room, nursery: Nursery, phase: Phase) -> None:
    names, _ = struck(room, nursery, 0, phase)
    for at in range(1, len(names) + 1):
        seen, wrong = struck(room, nursery, at, phase)
        assert wrong == [], f"killed {phase} message {at}, {seen[-1]}"


def test_the_twin_that_removes_by_range_is_caught(room: Room, nursery: Nursery) -> None:
    names, _ = struck(room, nursery, 0, "before", twin=True)
    lost = []
    for at in (number for number, name in enumerate(names, 1) if name == "delete trades"):
        lost += struck(room, nursery, at, "before", twin=True)[1]
    assert f"history: {LATE_ID} 0 times" in lost


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[Server]:
    server = mongo_server(tmp_path / "mongo")
    server.start()
    initiate(server.url)
    yield server
    server.stop()


def test_a_mongod_killed_in_the_midst(own_mongo: Server, unique: str) -> None:
    room = Room(own_mongo.url, unique, own_mongo.port)
    names = _messages(room)
    chosen = {name: names.index(name) + 1 for name in ("insert chunks", "update chunks", "delete trades")}
    for at in chosen.values():
        _kill_mongod(room, own_mongo, at, "after")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_mongod_killed_at_every_message(own_mongo: Server, unique: str, phase: Phase) -> None:
    room = Room(own_mongo.url, unique, own_mongo.port)
    for at in range(1, len(_messages(room)) + 1):
        _kill_mongod(room, own_mongo, at, phase)


def _messages(room: Room) -> list[str]:
    room.reset()
    gate = MongoGate(room.port)
    pack_all(gate.url, room.name, C, ROWS)
    gate.close()
    return gate.seen


def _kill_mongod(room: Room, server: Server, at: int, phase: Phase) -> None:
    room.reset()

    def strike() -> None:
        room.meddle()
        server.kill()

    gate = MongoGate(room.port, at, phase, strike)
    with pytest.raises(StorageError):
        pack_all(gate.url + "&serverSelectionTimeoutMS=300", room.name, C, ROWS)
    gate.close()
    server.start()
    initiate(server.url)
    assert [f"killed: {text}" for text in room.wrong(packed=False)] == []
    pack_all(room.url, room.name, C, ROWS)
    assert room.wrong(packed=True) == [], f"mongod killed {phase} message {at}, {gate.seen[at - 1]}"
