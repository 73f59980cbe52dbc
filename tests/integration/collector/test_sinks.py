"""The sinks on real servers, with what goes wrong made to go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.collector.give_back import GiveBack
from services.collector.item import CLAIM, OPENING, Item
from services.collector.mongo_sink import MongoSink
from services.collector.pipeline import Pipeline
from services.collector.redis_sink import RedisSink
from services.collector.session import Session, SessionOpener
from services.collector.sink_queue import SinkQueue
from services.collector.takeover import Takeovers
from services.collector.through import ThroughBoard
from services.stack.servers import Server, redis_server
from tests.simulation import ROOT
from tests.waiting import until
from tickrouter.bus.codec import pack_record
from tickrouter.bus.connection import connect
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.publish import Entry, Publisher
from tickrouter.clock import SystemClock
from tickrouter.config import Recording
from tickrouter.core.entry_ids import EntryId
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.history.coverage import CoverageWriter, claims_of
from tickrouter.history.sink import MarketWriter, Row, Stored, behind
from tickrouter.model.coverage import Claim
from tickrouter.model.trade import Trade
from tickrouter.venues.card import load_card

C = "btcturk/btc.try"
KEYS = MarketKeys(C)
CHANNELS = load_card(ROOT / "configs/venues/btcturk.yaml").channels


class Room:
    """Both sinks of one contract, without a reader."""

    def __init__(self, folder: Path, redis: Server, mongo_url: str, name: str, *, gives_back: bool = True) -> None:
        self.name = name
        self.redis = connect(redis.url)
        self.client = connect_mongo(mongo_url)
        clock = SystemClock()
        self.writer = MarketWriter(database(self.client, name))
        self.queues = {"redis": SinkQueue(), "mongo": SinkQueue()}
        self.pipeline = Pipeline(C, Recording(), CHANNELS)
        limits = dict.fromkeys(("tick", "trade", "book", "feed"), 100_000)
        publisher = Publisher(connect(redis.url, timeout=1.0), C, limits, lease_ms=400)
        board, takeovers = ThroughBoard(), Takeovers()
        opener = SessionOpener(folder / "sessions", self.writer, ("tick", "trade", "book"), clock)
        self.redis_sink = RedisSink(
            self.queues["redis"],
            self.queues["mongo"],
            {C: (self.pipeline, publisher)},
            opener,
            board,
            takeovers,
            clock,
            lease_ms=400,
            give_back=GiveBack(self.queues["redis"], {}, self.surplus if gives_back else None),
        )
        ledger = CoverageWriter(database(self.client, name))

        def read(_: str, kind: str, after: EntryId, count: int) -> Sequence[Entry]:
            return publisher.read_after(kind, after, count)

        self.mongo_sink = MongoSink(
            self.queues["mongo"], self.writer, ledger, board, takeovers, read, self.surplus, clock
        )
        self.redis_sink.start()
        self.mongo_sink.start()
        self.made = 0

    def session(self) -> Session:
        return until(lambda: self.pipeline.session)

    def surplus(self, contract: str, kind: str, after: EntryId, below: int, count: int) -> Sequence[Stored]:
        return behind(database(self.client, self.name), kind, contract, after, below, count)

    def notes(self) -> list[Claim]:
        """What the ledger says of the stream alone."""
        found = claims_of(database(self.client, self.name), C, "trade", 0, None)
        return [claim for claim in found if claim.note == "redis"]

    def announce(self) -> None:
        """What the reader does when a session begins."""
        self.session()
        self.queues["mongo"].put(
            [item for item in self.pipeline.passed(SystemClock().now()) if item.kind in (CLAIM, OPENING)]
        )

    def trades(self, count: int, price: float = 1.0) -> list[Item]:
        """New trades, with ids of the present session."""
        ids = self.session().ids["trade"]
        made = []
        for _ in range(count):
            self.made += 1
            trade = Trade(self.made, price, 1.0, "b", str(self.made), C)
            made.append(Item(C, "trade", ids.next(SystemClock().now()), trade))
        return made

    def put(self, items: list[Item]) -> None:
        for queue in self.queues.values():
            queue.put(items)

    def stream(self) -> list[bytes]:
        return [fields[b"d"] for _, fields in self.redis.xrange(KEYS.stream("trade"))]

    def account(self, sink: str) -> dict[str, int]:
        return self.queues[sink].accounts().get("trade", {})

    def until_settled(self) -> None:
        until(lambda: all(self.account(sink).get("queued") == 0 for sink in self.queues))

    def stop(self) -> None:
        for sink in (self.mongo_sink, self.redis_sink):
            sink.stop(1.0)
            sink.join(5.0)
            assert not sink.is_alive()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    server = redis_server(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def room(tmp_path: Path, own_redis: Server, mongo_url: str, unique: str) -> Iterator[Room]:
    made = Room(tmp_path, own_redis, mongo_url, unique)
    yield made
    made.stop()
    made.client.drop_database(unique)
    made.client.close()


def packed(items: list[Item]) -> list[bytes]:
    return [pack_record(item.record) for item in items]


def test_both_get_all_and_the_lease_is_given_up_at_the_end(room: Room) -> None:
    items = room.trades(1200)
    room.put(items)
    room.until_settled()
    room.stop()
    assert room.stream() == packed(items)
    last = "{}-{}".format(*items[-1].id or ()).encode()
    through = room.redis.hgetall(KEYS.through)
    assert int(through.pop(b"alive")) <= SystemClock().now()
    assert through == {b"redis:trade": last, b"mongo:trade": last}
    assert room.redis.get(KEYS.lease) is None


def test_what_redis_lost_of_the_last_seconds_is_sent_again(room: Room) -> None:
    first = room.trades(10)
    room.put(first)
    room.until_settled()
    before = room.session().number
    room.redis.flushall()
    room.redis.script_flush()
    second = until(lambda: room.pipeline.session if room.session().number > before else None)
    assert second is not None
    third = room.trades(3)
    room.put(third)
    room.until_settled()
    assert room.stream() == packed([*first, *third])


def test_an_entry_that_another_stands_in_the_way_of_is_refused_and_the_rest_is_stored(room: Room) -> None:
    first, second, third = room.trades(3)
    assert second.id is not None
    room.redis.xadd(KEYS.stream("trade"), {"d": b"foreign"}, id="{}-{}".format(*second.id))
    room.put([first, second, third])
    room.until_settled()
    assert room.stream() == [b"foreign", *packed([third])]
    account = room.account("redis")
    assert (account["stored"], account["refused"]) == (1, 2)
    assert room.account("mongo")["stored"] == 3


def test_another_holder_stops_the_recording_until_it_is_gone(room: Room) -> None:
    before = room.session().number
    room.redis.set(KEYS.lease, "another", px=60_000)
    until(lambda: room.pipeline.session is None)
    room.queues["redis"].put([Item(C, "trade", (1, 1), Trade(1, 1.0, 1.0, "b", "9", C))])
    until(lambda: room.account("redis").get("given_up") == 1)
    assert room.stream() == []
    room.redis.delete(KEYS.lease)
    until(lambda: room.pipeline.session is not None)
    assert room.session().number > before


def test_a_document_that_holds_something_else_is_refused_and_kept(room: Room) -> None:
    (item,) = room.trades(1)
    room.put([item])
    room.until_settled()
    other = Trade(5, 2.0, 1.0, "b", "1", C)
    room.queues["mongo"].put([Item(C, "trade", (SystemClock().now() // 10**6, 2**50), other)])
    until(lambda: room.account("mongo").get("refused") == 1)
    found = room.writer.highest(C, ("trade",))
    assert found[0] == room.session().number
    assert room.account("mongo")["stored"] == 1


@pytest.mark.parametrize("gives_back", [True, False])
def test_what_mongodb_alone_has_is_given_back_to_redis_or_noted(
    tmp_path: Path, own_redis: Server, mongo_url: str, unique: str, gives_back: bool
) -> None:
    first = Room(tmp_path, own_redis, mongo_url, unique)
    first.announce()
    both, alone = first.trades(3), first.trades(2)
    first.put(both)
    first.until_settled()
    first.stop()
    first.writer.write([Row("trade", item.id, item.record) for item in alone if isinstance(item.record, Trade)])
    second = Room(tmp_path, own_redis, mongo_url, unique, gives_back=gives_back)
    second.announce()
    until(lambda: second.writer.through(C, ("trade",)).get("trade") == both[-1].id)
    until(lambda: gives_back or second.notes())
    second.stop()
    assert second.stream() == packed([*both, *alone] if gives_back else both)
    expected = [] if gives_back else [("missing", alone[0].id, alone[1].id, 2)]
    assert [(note.state, note.first, note.last, note.count) for note in second.notes()] == expected
    for room in (first, second):
        room.client.drop_database(unique)
        room.client.close()


def test_what_redis_alone_had_is_handed_to_mongodb(
    tmp_path: Path, own_redis: Server, mongo_url: str, unique: str
) -> None:
    redis = connect(own_redis.url)
    trades = [Trade(time, 1.0, 1.0, "b", str(time), C) for time in range(1, 8)]
    for trade in trades:
        session = 2**40 if trade.time > 2 else 0
        redis.xadd(KEYS.stream("trade"), {"d": pack_record(trade)}, id=f"{trade.time}-{session + trade.time}")
    room = Room(tmp_path, own_redis, mongo_url, unique)
    room.announce()
    until(lambda: room.writer.through(C, ("trade",)) == {"trade": (7, 2**40 + 7)})
    room.stop()
    found = [entry["trade_id"] for entry in room.client[unique].trades.find().sort("_id")]
    assert found == ["3", "4", "5", "6", "7"]
    room.client.drop_database(unique)
    room.client.close()
