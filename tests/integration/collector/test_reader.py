"""The reader at a small venue that says what the test wants."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from services.collector.item import Item
from services.collector.pipeline import Pipeline
from services.collector.reader import SILENCE_NS, Reader
from services.collector.refusals import Refusals
from services.collector.session import Session
from services.collector.sink_queue import SinkQueue
from tests.simulation import ROOT
from tests.waiting import until
from tickrouter.clock import SystemClock
from tickrouter.config import Recording
from tickrouter.core.coverage import paint
from tickrouter.core.entry_ids import EntryIds
from tickrouter.core.market import Refused, TradeSeen
from tickrouter.model.contract import Contract
from tickrouter.model.coverage import Claim
from tickrouter.model.feed import Feed
from tickrouter.model.trade import Trade
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import market_adapter

CONTRACT = Contract.parse("btcturk/btc.try")
NAME = str(CONTRACT)


class Venue:
    """Sends what it is given; None closes the connection. Keeps what it was asked."""

    def __init__(self) -> None:
        self.frames: queue.Queue[str | bytes | None] = queue.Queue()
        self.asked: list[dict[str, Any]] = []
        self.connects = 0

    def handle(self, connection: ServerConnection) -> None:
        self.connects += 1
        listener = threading.Thread(target=self._listen, args=(connection,))
        listener.start()
        while (frame := self.frames.get()) is not None:
            connection.send(frame)
        connection.close()
        listener.join()

    def _listen(self, connection: ServerConnection) -> None:
        try:
            for text in connection:
                self.asked.append(json.loads(text)[1])
        except ConnectionClosed:
            return

    def say(self, kind: int, **fields: Any) -> None:
        self.frames.put(json.dumps([kind, {"type": kind, **fields}]))


@pytest.fixture
def venue() -> Iterator[tuple[Venue, str]]:
    made = Venue()
    with serve(made.handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made, f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        made.frames.put(None)
        server.shutdown()
        thread.join()


class Ahead(SystemClock):
    """A clock that may be set forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


class Room:
    """A reader with the queues of both sinks, which nobody empties but the test."""

    def __init__(self, url: str, folder: Path) -> None:
        card = load_card(ROOT / "configs/venues/btcturk.yaml").with_hosts({"socket": url})
        channels = card.channels.model_copy(update={"backoff_first": 0.05})
        card = card.model_copy(update={"channels": channels})
        pipeline = Pipeline(NAME, Recording(book_interval_ms=0), channels)
        pipeline.session = Session(1, 0, {kind: EntryIds(1) for kind in ("tick", "trade", "book", "feed")})
        self.pipeline = pipeline
        self.clock = Ahead()
        self.queues = {"redis": SinkQueue(), "mongo": SinkQueue()}
        self.refusals = Refusals(folder / "refused.jsonl")
        adapter = market_adapter(card, [CONTRACT])
        self.reader = Reader(card, adapter, {NAME: pipeline}, self.queues, self.refusals, self.clock, lambda: 0.5)
        self.items: list[Item] = []
        self.told: list[Claim] = []

    def until(self, condition: Callable[[list[Item]], object]) -> None:
        def look() -> object:
            fresh = self.queues["redis"].take(1000)
            self.queues["redis"].settle(stored=fresh)
            self.items += fresh
            return condition(self.items)

        until(look, 10)

    def claims(self, kind: str) -> list[Claim]:
        """What the ledger was told of a kind so far."""
        fresh = self.queues["mongo"].take(1000, 0.0)
        self.queues["mongo"].settle(stored=fresh)
        self.told += [item.record for item in fresh if isinstance(item.record, Claim)]
        return list({claim.name: claim for claim in self.told if claim.kind == kind}.values())

    def feed(self) -> list[str]:
        return [item.record.state for item in self.items if isinstance(item.record, Feed) and item.record.kind == "all"]


@pytest.fixture
def room(venue: tuple[Venue, str], tmp_path: Path) -> Iterator[Room]:
    made = Room(venue[1], tmp_path)
    made.reader.start()
    yield made
    made.reader.stop()
    venue[0].frames.put(None)
    made.reader.join(5)
    assert not made.reader.is_alive()


def trade(number: str, price: str = "2000000") -> dict[str, Any]:
    return {"D": "1700000000123", "I": number, "A": "0.5", "P": price, "S": 1, "PS": "BTCTRY"}


def test_bad_frames_are_counted_and_kept_and_what_came_beside_them_is_recorded(
    room: Room, venue: tuple[Venue, str], tmp_path: Path
) -> None:
    venue[0].say(991, current="6.0.0")
    for bad in (b"\xff\xfe", "no JSON", "[]", "[" * 50_000):
        venue[0].frames.put(bad)
    venue[0].say(422, **trade("1", "nan"))
    venue[0].say(422, **trade("2", "1234567.890123456"))
    venue[0].say(422, **trade("3"))
    venue[0].say(9999, unknown=True)
    room.until(lambda items: any(item.kind == "trade" for item in items))
    assert [item.record.trade_id for item in room.items if isinstance(item.record, Trade)] == ["3"]
    assert room.refusals.counts == {"unreadable": 5, "quarantine": 1}
    lines = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["unreadable"] * 5 + ["quarantine"]
    causes = [item.record.cause for item in room.items if isinstance(item.record, Feed) and item.record.state == "gap"]
    assert [cause.partition(":")[0] for cause in causes] == ["unreadable", "quarantine"]
    for kind in ("tick", "trade", "book"):
        assert [claim.state for claim in room.claims(kind) if claim.cause in causes] == ["unknown", "missing"]


def test_every_channel_is_joined_and_joined_again(room: Room, venue: tuple[Venue, str]) -> None:
    until(lambda: len(venue[0].asked) == 4)
    assert [ask["channel"] for ask in venue[0].asked] == ["ticker", "trade", "obdiff", "orderbook"]
    venue[0].say(422, **trade("1"))
    room.until(lambda items: any(item.kind == "trade" for item in items))
    venue[0].frames.put(None)
    until(lambda: len(venue[0].asked) == 8)
    venue[0].say(422, **trade("2"))
    room.until(lambda items: sum(item.kind == "trade" for item in items) == 2)
    assert room.feed()[-4:] == ["live", "down", "gap", "live"]
    assert (room.reader.connects, venue[0].connects) == (2, 2)


def test_a_connection_on_which_nothing_comes_is_left_though_tcp_holds_it(room: Room, venue: tuple[Venue, str]) -> None:
    venue[0].say(422, **trade("1"))
    room.until(lambda items: any(item.kind == "trade" for item in items))
    room.clock.ahead = SILENCE_NS
    until(lambda: venue[0].connects == 2)
    for _ in range(2):  # the end that was left may take one
        venue[0].say(422, **trade("2"))
    room.until(lambda items: sum(item.kind == "trade" for item in items) == 2)
    first, second = (item.record.time for item in room.items if isinstance(item.record, Trade))
    downs = [item.record.cause for item in room.items if isinstance(item.record, Feed) and item.record.state == "down"]
    assert "silent for 30 s" in downs[-1]
    until(lambda: any(claim.end > second for claim in room.claims("trade")))
    holes = [part for part in paint(room.claims("trade"), first, second + 1) if part.is_hole]
    assert [(hole.start, hole.end, hole.state) for hole in holes] == [(first, second, "missing")]


def test_a_gap_in_the_differences_asks_for_a_new_book(room: Room, venue: tuple[Venue, str]) -> None:
    levels = {"AO": [{"P": "101", "A": "1"}], "BO": [{"P": "100", "A": "1"}], "PS": "BTCTRY"}
    venue[0].say(431, CS=5, channel="obdiff", **levels)
    venue[0].say(432, CS=7, PS="BTCTRY", AO=[], BO=[])
    until(lambda: len(venue[0].asked) == 6)
    assert [(ask["channel"], ask["join"]) for ask in venue[0].asked[4:]] == [("obdiff", False), ("obdiff", True)]
    venue[0].say(431, CS=9, channel="obdiff", **levels)
    room.until(
        lambda items: (
            [item.record.state for item in items if isinstance(item.record, Feed) and item.record.kind == "book"]
            == ["live", "resync", "live"]
        )
    )


def test_answers_to_joins_are_counted(room: Room, venue: tuple[Venue, str]) -> None:
    venue[0].say(100, ok=True, message="join|ticker:BTCTRY")
    venue[0].say(100, ok=False, message="join|obdiff:BTCTRY")
    venue[0].say(422, **trade("1"))
    room.until(lambda items: any(item.kind == "trade" for item in items))
    assert room.reader.joined == 1


def test_what_a_sink_gave_up_is_told_in_the_stream(room: Room, venue: tuple[Venue, str]) -> None:
    venue[0].say(422, **trade("1"))
    room.until(lambda items: any(item.kind == "tick" for item in items))
    lost = room.queues["mongo"].take(1000, 0.0)
    room.queues["mongo"].settle(given_up=lost)
    room.until(
        lambda items: any(
            isinstance(item.record, Feed) and item.record.cause == "mongo: 1 trade records given up" for item in items
        )
    )


def test_what_a_sink_gave_up_without_a_session_is_told_in_the_next_one(room: Room, venue: tuple[Venue, str]) -> None:
    """What a process before left damaged in the spill is found before there is a lease; other contracts' losses are
    left to their own readers."""
    venue[0].say(422, **trade("1"))
    room.until(lambda items: any(item.kind == "tick" for item in items))
    room.pipeline.session = None
    other = "btcturk/eth.try"
    lost = [Item(one, "trade", (1, 7), Trade(5, 1.0, 1.0, "b", "7", one)) for one in (NAME, other)]
    mongo = room.queues["mongo"]
    mongo.settle(stored=mongo.take(1000))
    mongo.put(lost)
    mongo.settle(given_up=[item for item in mongo.take(1000) if item in lost])
    for looks in (1, 2):
        room.reader.hand_over([Refused("unreadable", NAME, "a look is over", b"")])
        until(lambda looks=looks: room.refusals.counts["unreadable"] == looks)
    room.pipeline.session = Session(2, 0, {kind: EntryIds(2) for kind in ("tick", "trade", "book", "feed")})
    cause = "mongo: 1 trade records given up"
    room.until(lambda items: any(isinstance(item.record, Feed) and item.record.cause == cause for item in items))
    assert [(claim.start, claim.end) for claim in room.claims("trade") if claim.cause == cause] == [(5, 6)]
    assert [loss.contract for loss in mongo.losses()] == [other]


def test_sides_that_rest_contradicts_are_turned_and_told(room: Room, venue: tuple[Venue, str]) -> None:
    for number in "123":
        venue[0].say(422, **trade(number))
    room.until(lambda items: sum(item.kind == "trade" for item in items) == 3)
    told = [TradeSeen(Trade(1, 2_000_000.0, 0.5, "s", number, NAME, "backfill"), False) for number in "123"]
    room.reader.hand_over([*told, Refused("unreadable", NAME, "why", b"")])
    until(lambda: room.pipeline.sides.verdict == "wrong")
    venue[0].say(422, **trade("4"))
    room.until(lambda items: sum(item.kind == "trade" for item in items) == 4)
    assert [item.record.side for item in room.items if isinstance(item.record, Trade)] == ["b", "b", "b", "s"]
    assert any(isinstance(item.record, Feed) and "sides" in item.record.cause for item in room.items)
    claims = [item.record for item in room.queues["mongo"].take(1000) if isinstance(item.record, Claim)]
    assert [claim.state for claim in claims if "sides" in claim.cause] == ["missing"]
    assert room.refusals.counts == {"unreadable": 1}
