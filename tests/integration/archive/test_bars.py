"""Bars of recorded trades, against the venue's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from msgspec.structs import replace

from services.stack.servers import Server, redis_server
from tests.collecting import collecting
from tests.simulation import start_simulator
from tests.waiting import until
from tickrouter.history.archive import Archive
from tickrouter.history.bar_store import BarStore, bars, stored_bars
from tickrouter.history.bars import PERIODS, resample
from tickrouter.history.connection import connect, database
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.trade import Trade

C = "btcturk/btc.usdt"
TIME = 1_785_585_600_000_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
MS = 1_000_000


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    server = redis_server(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def trade(number: int, second: float, *, live: bool = True) -> Trade:
    at = TIME + int(second * SECOND)
    price, size = 100 + number % 7, 0.25 + number % 3
    return Trade(at + 3 * MS, price, size, "b", str(10**17 + number), C, "live" if live else "backfill", at)


class Pen:
    """Writes trades, and how far they are complete."""

    def __init__(self, db: Any) -> None:
        self.writer = MarketWriter(db)
        self.trades: list[Trade] = []

    def write(self, trades: list[Trade], through: float) -> None:
        rows = []
        for one in trades:
            self.trades.append(one)
            entry = (one.time // MS, (1 << 40) + len(self.trades))
            rows.append(Row("trade", entry if one.source == "live" else None, one))
        self.writer.write(rows)
        self.writer.tell_through({(C, "trade"): ((TIME + int(through * SECOND)) // MS, (1 << 40) + len(self.trades))})


def made(db: Any) -> None:
    store = BarStore(db, C)
    while store.advance():
        pass


def check(db: Any, pen: Pen, end: float) -> None:
    """Every stored bar is what the trades so far say, and none is missing that is over at `end` seconds."""
    for period, length in PERIODS.items():
        over = [one for one in resample(pen.trades, period) if one.time + length <= TIME + end * SECOND]
        stored = list(stored_bars(db, C, period, 0, None))
        for one, other in zip(stored, over, strict=True):
            assert one.volume == pytest.approx(other.volume, rel=1e-12)
            for name in ("time", "period", "open", "high", "low", "close", "trades"):
                assert getattr(one, name) == getattr(other, name), period


def test_bars_are_stored_as_they_complete_and_corrected_by_what_comes_late(db: Any) -> None:
    pen = Pen(db)
    pen.write([trade(number, number * 2.5) for number in range(400)], through=1000)
    made(db)
    check(db, pen, 960)
    late = [trade(10_000 + number, 100 + number * 3.1, live=False) for number in range(20)]
    pen.write(late, through=1000)
    made(db)
    check(db, pen, 960)
    pen.write([trade(number, number * 2.5) for number in range(400, 2000)], through=5000)
    made(db)
    check(db, pen, 4920)
    count = db.bars.count_documents({})
    made(db)
    assert db.bars.count_documents({}) == count


def test_bars_of_the_venue_stay_and_the_running_one_is_told(db: Any) -> None:
    pen = Pen(db)
    pen.write([trade(number, number * 2.5) for number in range(100)], through=250)
    given = resample(pen.trades[:3], "1m")[0]
    foreign = type(given).from_dict(given.to_dict() | {"trades": None, "close": 7.0})
    pen.writer.write([Row("bar", None, foreign)])
    made(db)
    stored = list(stored_bars(db, C, "1m", 0, None))
    assert stored[0] == foreign
    assert len(stored) == 3
    told = list(bars(db, C, "1m", 0, None))
    assert told[:3] == stored
    assert told[3:] == resample(pen.trades, "1m")[3:]
    assert list(bars(db, C, "1m", TIME + MINUTE, TIME + 2 * MINUTE)) == stored[1:2]


def test_archived_bars_are_read_as_before_and_corrected(db: Any) -> None:
    pen = Pen(db)
    pen.write([trade(number, number * 2.5) for number in range(200)], through=500)
    made(db)
    before = {period: list(stored_bars(db, C, period, 0, None)) for period in PERIODS}
    archive = Archive(db, "bar", C, 64)
    while archive.pack(TIME * 2, TIME * 2).chunks:
        pass
    assert db.bars.count_documents({"period": "1s"}) == 0
    assert {period: list(stored_bars(db, C, period, 0, None)) for period in PERIODS} == before
    pen.write([trade(10_000 + number, 100.5 + number * 2.5, live=False) for number in range(5)], through=500)
    made(db)
    check(db, pen, 420)
    while archive.pack(TIME * 2, TIME * 2).removed:
        archive.settle()
    assert db.bars.count_documents({"period": "1s"}) == 0
    check(db, pen, 420)


def test_bars_are_the_venues_klines(tmp_path: Path, own_redis: Server, mongo_url: str, unique: str) -> None:
    with (
        start_simulator(tmp_path) as venue,
        collecting(tmp_path / "collector", own_redis, mongo_url, unique, venue.socket, [C]) as room,
        connect(mongo_url) as client,
    ):
        venue.book("BTCUSDT", [("99.00", "5")], [("101.00", "5")])
        room.start()
        until(lambda: room.state().get("joined"), 20)
        number = 0
        for skew in (-110_000, -50_000, 0):
            venue.skew(skew)
            for _ in range(12):
                number += 1
                venue.trade("BTCUSDT", f"{100 + number % 5}.{number:02}", f"0.{number:03}", ("buy", "sell")[number % 2])
        until(lambda: len(room.documents("trade", C)) == number, 20)
        db = database(client, unique)
        made(db)
        found = list(bars(db, C, "1m", 0, None))
        query = {"symbol": "BTCUSDT", "resolution": "1", "from": "0", "to": str(4 * 10**9)}
        said = requests.get(f"{venue.base}/v1/klines/history", params=query, timeout=10).json()
        assert len(found) >= 2
        assert [bar.time // SECOND for bar in found] == said["t"]
        for name, column in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c")):
            assert [getattr(bar, name) for bar in found] == said[column]
        assert [bar.volume for bar in found] == pytest.approx(said["v"], rel=1e-12)
        assert sum(bar.trades or 0 for bar in found) == number
        assert list(stored_bars(db, C, "1m", 0, None)) == found[: db.bars.count_documents({"period": "1m"})]


@pytest.mark.parametrize("period", sorted(PERIODS))
def test_bars_that_nobody_stored_stand_once_though_trades_swap_at_midnight_or_come_days_late(
    mongo_url: str, unique: str, period: str
) -> None:
    """They come by our clock, bars count by the venue's."""
    with connect(mongo_url) as client:
        db = database(client, unique)
        pen = Pen(db)
        noon, midnight = 0.0, 12 * 3600.0
        seconds = [noon, midnight - 60, midnight - 0.1, midnight + 0.1, midnight + 86_400, midnight + 3 * 86_400]
        trades = [trade(number, second) for number, second in enumerate(seconds)]
        trades[2] = replace(trades[2], time=trades[3].time + MS)
        trades.append(replace(trade(10, midnight - 90, live=False), time=trades[-1].time + MS))
        pen.write(sorted(trades, key=lambda one: one.time), 1)
        assert list(bars(db, C, period, 0, None)) == resample(trades, period)
