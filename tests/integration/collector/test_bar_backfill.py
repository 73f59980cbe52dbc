"""Bars of the venue take the place of ours where trades are lacking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.collector.asker import Asker
from services.collector.bar_backfill import LATE, MINUTE, BarBackfill
from services.stack.servers import Server
from tests.collecting import collecting
from tests.simulation import Simulation, start_simulator
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.permits import Permits
from tickrouter.config import load_config
from tickrouter.core.permits import Rule
from tickrouter.history.bar_store import BarStore, stored_bars
from tickrouter.history.bars import PERIODS, resample
from tickrouter.history.connection import connect, database, ensure_indexes
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.bar import Bar
from tickrouter.model.contract import Contract
from tickrouter.model.coverage import Interval
from tickrouter.model.trade import Trade
from tickrouter.transport.http import HttpClient
from tickrouter.venues.registry import market_adapter

C = "btcturk/btc.usdt"
KLINES = "GET /v1/klines/history"
MS = 1_000_000


class Room:
    """A venue whose trades of five minutes are half recorded, and the bars made of that half."""

    def __init__(self, venue: Simulation, db: Any, adapter: Any, asker: Asker) -> None:
        self.venue, self.db = venue, db
        for minute in range(5, 0, -1):
            for _ in range(4):
                venue.skew(-(minute + 5) * 60_000)
                venue.trade("BTCUSDT", f"{100 + minute}.5", f"0.{minute}", "buy")
        self.trades = [
            Trade(row["time"] * MS, float(row["price"]), float(row["amount"]), "b", str(row["id"]), C, "live",
                  row["time"] * MS)
            for row in venue.trades("BTCUSDT")
        ]  # fmt: skip
        kept = self.trades[::2]
        writer = MarketWriter(db)
        writer.write([Row("trade", (one.time // MS, number), one) for number, one in enumerate(kept, 1)])
        self.now = kept[-1].time + 60 * MINUTE
        writer.tell_through({(C, "trade"): (self.now // MS, len(kept))})
        while BarStore(db, C).advance():
            pass
        self.backfill = BarBackfill(adapter, asker, db)
        self.minutes = [bar.time for bar in resample(self.trades, "1m")]

    def hole(self, first: int, last: int) -> Interval:
        """Some of the minutes, not from their beginning to their end."""
        start, end = self.minutes[first] + 7, self.minutes[last] + MINUTE // 2
        return Interval(start, end, "missing", "for the test")

    def asked(self) -> int:
        return int(self.venue.counts()["requests"].get(KLINES, 0))

    def bars(self, period: str) -> list[Bar]:
        return list(stored_bars(self.db, C, period, 0, None))


@pytest.fixture
def make(tmp_path: Path, redis_url: str, mongo_url: str, unique: str) -> Iterator[Any]:
    with (
        start_simulator(tmp_path, record_frames=True) as venue,
        connect(mongo_url) as client,
        closing(connect_redis(redis_url)) as redis,
    ):
        venue.book("BTCUSDT", [("99.00", "5")], [("109.00", "5")])
        server = Server("redis", [], 0, redis_url, Path("none"))
        with collecting(tmp_path / "c", server, mongo_url, unique, venue.socket, [C], public=venue.base) as configured:
            db = database(client, unique)
            ensure_indexes(db)
            card = load_config(configured.folder / "tickrouter.yaml").card("btcturk")

            def made(*rules: Rule) -> Room:
                permits = Permits(redis, unique, rules, account="", ip="here", unused=lambda: True)
                permits.prepare()
                asker = Asker(HttpClient("btcturk", connections=1), permits)
                return Room(venue, db, market_adapter(card, [Contract.parse(C)]), asker)

            yield made


def test_the_minutes_of_a_hole_are_the_venues_and_the_others_ours(make: Any) -> None:
    room = make()
    ours = room.bars("1m")
    whole = resample(room.trades, "1m")
    assert [bar.time for bar in ours] == room.minutes
    room.backfill.look_after(C, [room.hole(1, 2)], room.now)
    found = room.bars("1m")
    assert found[:1] + found[3:] == ours[:1] + ours[3:]
    for bar, right in zip(found[1:3], whole[1:3], strict=True):
        assert (bar.open, bar.high, bar.low, bar.close) == (right.open, right.high, right.low, right.close)
        assert bar.volume == pytest.approx(right.volume, rel=1e-12)
        assert bar.trades is None
    for period in ("5m", "1h"):
        if longer := room.bars(period):
            within = [bar for bar in found if longer[0].time <= bar.time < longer[0].time + PERIODS[period]]
            assert longer[0].volume == pytest.approx(sum(bar.volume for bar in within), rel=1e-12)
    assert len(room.bars("5m")) >= 1
    while BarStore(room.db, C).advance():
        pass
    assert room.bars("1m") == found  # the archiver leaves the venue's alone


def test_a_hole_is_asked_for_once_and_not_before_the_venue_may_have_told_it(make: Any) -> None:
    room = make()
    hole = room.hole(1, 1)
    over = room.minutes[1] + MINUTE
    room.backfill.look_after(C, [hole], over + LATE - 1)
    assert room.asked() == 0
    room.backfill.look_after(C, [hole], over + LATE)
    room.backfill.look_after(C, [hole], over + LATE + MINUTE)
    assert room.asked() == 1


def test_without_a_permit_nothing_is_asked_and_it_is_left_for_later(make: Any) -> None:
    room = make(Rule("graph", 1, 600.0, KLINES, use=1.0))
    before = room.bars("1m")
    room.backfill.look_after(C, [room.hole(0, 0), room.hole(3, 3)], room.now)
    room.backfill.look_after(C, [room.hole(0, 0), room.hole(3, 3)], room.now)
    assert room.asked() == 1
    after = room.bars("1m")
    assert [index for index, bar in enumerate(after) if bar != before[index]] == [0]


def test_an_answer_that_cannot_be_read_changes_nothing_and_is_asked_for_again(make: Any) -> None:
    room = make()
    before = room.bars("1m")
    room.venue.fault("server_error", KLINES, status=502)
    room.backfill.look_after(C, [room.hole(1, 2)], room.now)
    assert room.bars("1m") == before
    room.backfill.look_after(C, [room.hole(1, 2)], room.now)
    assert [bar.trades for bar in room.bars("1m")][1:3] == [None, None]
