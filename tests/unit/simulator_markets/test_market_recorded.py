"""The recorded market at the venue: order, times, speed and loops."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.simulator.markets.recorded import RecordedMarket
from services.simulator.markets.recording import Recording
from tests.engine_venue import Venue
from tests.recordings import diff, snapshot, top, trade, write

D = Decimal
MS = 1_000_000
LINES = [
    (10 * MS, diff(1, 3, 5_000, [["99.00", "9.00"]], [])),
    (12 * MS, diff(4, 6, 5_002, [["100.00", "3.00"]], [])),
    (13 * MS, trade(41, "100.10", "0.50", 5_003)),
    (14 * MS, snapshot(3, [["100.00", "1.00"], ["98.00", "4.00"]], [["100.10", "2.00"], ["101.00", "5.00"]])),
    (15 * MS, top(7, ("100.00", "3.00"), ("100.10", "2.00"))),
    (20 * MS, diff(7, 9, 5_010, [["98.00", "0.00"]], [["100.10", "1.50"]])),
    (30 * MS, trade(42, "100.00", "0.25", 5_020, sold=True)),
]


def market(tmp_path: Path, **options: Any) -> RecordedMarket:
    recording = Recording.open(write(tmp_path / "a.raw.gz", LINES))
    return RecordedMarket([recording], **{"speed": 0.0, "passes": 1, **options})


def test_the_book_is_the_snapshot_and_the_differences_after_it(venue: Venue, tmp_path: Path) -> None:
    asyncio.run(market(tmp_path).run(venue))
    assert venue.book("BTCUSDT") == ([(D(100), D(3))], [(D("100.1"), D("1.5")), (D(101), D(5))])


def test_every_trade_is_printed_once_as_recorded(venue: Venue, tmp_path: Path) -> None:
    asyncio.run(market(tmp_path, shift=False).run(venue))
    assert [(trade.price, trade.amount, trade.side, trade.time_ms) for trade in venue.trades("BTCUSDT")] == [
        (D("100.1"), D("0.5"), "buy", 5_003),
        (D(100), D("0.25"), "sell", 5_020),
    ]


def test_times_are_shifted_so_that_the_first_timed_message_is_now(venue: Venue, tmp_path: Path) -> None:
    before = venue.now_ms()
    asyncio.run(market(tmp_path).run(venue))
    first, second = (trade.time_ms for trade in venue.trades("BTCUSDT"))
    assert before <= first - 3 <= venue.now_ms()
    assert second - first == 17


def test_a_loop_goes_on_where_it_ended_with_new_trade_ids(venue: Venue, tmp_path: Path) -> None:
    asyncio.run(market(tmp_path, passes=3).run(venue))
    trades = venue.trades("BTCUSDT")
    assert [trade.price for trade in trades] == [D("100.1"), D(100)] * 3
    ids = [trade.id for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 6))
    first = trades[0].time_ms
    assert [trade.time_ms - first for trade in trades] == [0, 17, 20, 37, 40, 57]
    assert venue.book("BTCUSDT") == ([(D(100), D(3))], [(D("100.1"), D("1.5")), (D(101), D(5))])


@pytest.mark.parametrize(("speed", "least", "apart"), [(1.0, 0.018, 17), (0.5, 0.036, 34)])
def test_it_keeps_the_pace(venue: Venue, tmp_path: Path, speed: float, least: float, apart: int) -> None:
    begun = time.monotonic()
    asyncio.run(market(tmp_path, speed=speed).run(venue))
    assert time.monotonic() - begun >= least
    first, second = (trade.time_ms for trade in venue.trades("BTCUSDT"))
    assert second - first == apart


def test_at_a_higher_speed_the_times_come_closer(venue: Venue, tmp_path: Path) -> None:
    asyncio.run(market(tmp_path, speed=17.0).run(venue))
    first, second = (trade.time_ms for trade in venue.trades("BTCUSDT"))
    assert second - first == 1


@pytest.mark.parametrize(("speed", "rooms"), [(0.0, 7), (2.0, 7), (1.0, 0)])
def test_it_waits_for_its_clients_unless_it_keeps_real_time(
    venue: Venue, tmp_path: Path, speed: float, rooms: int
) -> None:
    """In real time a client that does not read must not hold up the others."""
    lines = [(at, trade(at, "1.00", "1.00", at)) for at in range(1, 200)]
    recording = Recording.open(write(tmp_path / "many.raw.gz", lines))
    asyncio.run(RecordedMarket([recording], speed=speed, passes=1).run(venue))
    assert len(venue.trades("BTCUSDT")) == 199
    assert venue.rooms == rooms


def test_several_files_play_side_by_side(venue: Venue, tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{symbol}.gz", [(at, trade(at, "7.00", "1.00", 100 + at, symbol=symbol)) for at in range(5)])
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    both = RecordedMarket([Recording.open(path) for path in paths], speed=0.0, shift=False, passes=1)
    assert both.pairs == ("BTCUSDT", "ETHUSDT")
    asyncio.run(both.run(venue))
    for pair in both.pairs:
        assert [trade.time_ms for trade in venue.trades(pair)] == [100, 101, 102, 103, 104]


def test_clients_orders_match_against_the_recording(venue: Venue, tmp_path: Path) -> None:
    """The second recorded trade sells 0.25 at 100: a client who bids more was reached first."""
    order = venue.client_order("BTCUSDT", "buy", "100.05", "0.2")
    asyncio.run(market(tmp_path).run(venue))
    assert order.left == 0
    assert [trade.amount for trade in venue.trades("BTCUSDT")] == [D("0.5"), D("0.25"), D("0.2")]
