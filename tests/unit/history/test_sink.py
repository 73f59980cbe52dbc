"""Writing market records, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tickrouter.core.entry_ids import SESSION_BITS, EntryId
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect, database, ensure_indexes
from tickrouter.history.documents import from_document
from tickrouter.history.sink import MarketWriter, Row, Written
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
FIRST: EntryId = (1_700_000_000_000, (3 << SESSION_BITS) + 1)
SECOND: EntryId = (1_700_000_000_000, (3 << SESSION_BITS) + 2)


@dataclass
class Room:
    writer: MarketWriter
    url: str
    name: str

    def documents(self, collection: str) -> list[dict[str, object]]:
        client = connect(self.url)
        try:
            return list(client[self.name][collection].find().sort("_id"))
        finally:
            client.close()


@pytest.fixture
def room(mongo_url: str, unique: str) -> Iterator[Room]:
    client = connect(mongo_url)
    db = database(client, unique)
    ensure_indexes(db)
    yield Room(MarketWriter(db), mongo_url, unique)
    client.drop_database(unique)
    client.close()


def tick(price: float = 100.0) -> Tick:
    return Tick(1_700_000_000_000_000_000, price, None, ((99.0, 1.0),), (), C, "book")


def trade(number: str = "7", source: str = "live", price: float = 100.0, time: int = 5) -> Trade:
    return Trade(time, price, 1.0, "b", number, C, source, 4)


def test_a_batch_is_stored_by_kind(room: Room) -> None:
    rows = [Row("tick", FIRST, tick()), Row("trade", FIRST, trade()), Row("tick", SECOND, tick(101.0))]
    assert room.writer.write(rows) == Written(3)
    assert [from_document("tick", found) for found in room.documents("ticks")] == [tick(), tick(101.0)]
    assert [from_document("trade", found) for found in room.documents("trades")] == [trade()]


def test_the_same_batch_again_is_success(room: Room) -> None:
    rows = [Row("tick", FIRST, tick()), Row("trade", FIRST, trade())]
    room.writer.write(rows)
    assert room.writer.write([*rows, Row("tick", SECOND, tick())]) == Written(3, repeated=2)
    assert len(room.documents("ticks")) == 2


def test_other_content_under_a_key_is_a_conflict_and_what_stood_there_stays(room: Room) -> None:
    room.writer.write([Row("tick", FIRST, tick()), Row("trade", FIRST, trade())])
    rows = [Row("tick", FIRST, tick(1.0)), Row("trade", SECOND, trade(price=1.0)), Row("tick", SECOND, tick())]
    done = room.writer.write(rows)
    assert (done.stored, done.repeated) == (1, 0)
    assert [row for row, _ in done.conflicts] == rows[:2]
    assert [key for _, key in done.conflicts][1] == f"{C}#t7"
    assert from_document("tick", room.documents("ticks")[0]) == tick()


def test_a_live_trade_replaces_a_backfilled_one_and_not_the_other_way_round(room: Room) -> None:
    backfilled = Row("trade", None, trade(source="backfill", time=9))
    live = Row("trade", FIRST, trade(time=6))
    assert room.writer.write([backfilled]) == Written(1)
    assert room.documents("trades")[0]["ms"] is None
    assert room.writer.write([live]) == Written(1, replaced=1)
    assert room.writer.write([backfilled]) == Written(1, repeated=1)
    (found,) = room.documents("trades")
    assert (found["source"], found["ms"], found["n"], found["time"]) == ("live", *FIRST, 6)


def test_a_trade_twice_in_one_batch_is_stored_once(room: Room) -> None:
    rows = [Row("trade", None, trade(source="backfill")), Row("trade", FIRST, trade())]
    done = room.writer.write(rows)
    assert (done.stored, done.conflicts, done.repeated + done.replaced) == (2, (), 1)
    (found,) = room.documents("trades")
    assert found["source"] == "live"


def test_through_is_kept_by_contract_and_kind(room: Room) -> None:
    room.writer.tell_through({})
    room.writer.tell_through({(C, "tick"): FIRST, (C, "trade"): FIRST})
    room.writer.tell_through({(C, "tick"): SECOND})
    found = {entry["_id"]: (entry["ms"], entry["n"]) for entry in room.documents("through")}
    assert found == {f"{C}#tick": SECOND, f"{C}#trade": FIRST}
    assert room.writer.through(C, ("tick", "trade", "book")) == {"tick": SECOND, "trade": FIRST}


def test_the_highest_session_is_found_in_sessions_and_in_records(room: Room) -> None:
    kinds = ("tick", "trade")
    assert room.writer.highest(C, kinds) == (0, 0)
    room.writer.open_session(C, 2, 1)
    room.writer.open_session(f"{C}.perp", 9, 1)
    assert room.writer.highest(C, kinds) == (2, 0)
    room.writer.write([Row("tick", FIRST, tick()), Row("trade", None, trade("8"))])
    assert room.writer.highest(C, kinds) == (3, FIRST[0])
    room.writer.open_session(C, 12, 1)
    assert room.writer.highest(C, kinds) == (12, FIRST[0])


def test_no_server_is_said() -> None:
    client = connect("mongodb://127.0.0.1:1", timeout=0.05)
    writer = MarketWriter(database(client, "nowhere"), timeout=0.1)
    with pytest.raises(StorageError, match="MongoDB"):
        writer.write([Row("tick", FIRST, tick())])
    with pytest.raises(StorageError, match="through"):
        writer.tell_through({(C, "tick"): FIRST})
    with pytest.raises(StorageError, match="through"):
        writer.through(C, ("tick",))
    with pytest.raises(StorageError, match="indexes"):
        writer.prepare()
    with pytest.raises(StorageError, match="sessions"):
        writer.open_session(C, 1, 1)
    with pytest.raises(StorageError, match="MongoDB"):
        writer.highest(C, ("tick",))
    client.close()
