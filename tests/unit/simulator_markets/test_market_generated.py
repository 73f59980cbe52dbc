"""The generated flow at the venue: real orders in the real matching engine."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from services.simulator.engine.events import BookChanged
from services.simulator.markets.generated import SHAPES, Desk, GeneratedMarket
from tests.engine_venue import Venue


def desk_of(venue: Venue, pair: str, seconds: float) -> Desk:
    """A desk that has played so long."""
    desk = Desk(venue, pair, GeneratedMarket([pair], seed=3).flow(pair))
    desk.act(desk.flow.start())
    play(desk, 0.0, seconds)
    return desk


def play(desk: Desk, begin: float, end: float, step: float = 0.015) -> None:
    at = begin
    while at < end:
        at = min(end, at + step)
        desk.act(desk.flow.until(at))


@pytest.mark.parametrize("pair", SHAPES)
def test_the_venue_shows_the_flow_as_it_is(venue: Venue, pair: str) -> None:
    desk = desk_of(venue, pair, 10.0)
    bids, asks = venue.book(pair)
    assert len(bids) >= 100
    assert len(asks) >= 100
    assert bids[0][0] < asks[0][0]
    assert (bids[0][0] + asks[0][0]) / 2 == desk.flow.mid


def test_two_venues_with_one_seed_say_the_same() -> None:
    one, other = Venue(), Venue()
    for venue in (one, other):
        desk_of(venue, "BTCUSDT", 5.0)
    told = [
        [(event.number, event.bids, event.asks) for event in venue.events if isinstance(event, BookChanged)]
        for venue in (one, other)
    ]
    assert told[0] == told[1]
    prints = [[(trade.price, trade.amount, trade.side) for trade in v.trades("BTCUSDT")] for v in (one, other)]
    assert prints[0] == prints[1]
    assert len(prints[0]) >= 20


def test_clients_trade_with_the_flow_and_the_book_heals(venue: Venue) -> None:
    desk = desk_of(venue, "BTCUSDT", 5.0)
    _, asks = venue.book("BTCUSDT")
    bought = sum(amount for _, amount in asks[:20])
    order = venue.client_order("BTCUSDT", "buy", str(asks[19][0]), str(bought))
    assert order.left == 0
    assert venue.best("BTCUSDT")[1] == asks[20]
    play(desk, 5.0, 60.0)
    best_bid, best_ask = venue.best("BTCUSDT")
    assert best_bid is not None
    assert best_ask is not None
    assert (best_bid[0] + best_ask[0]) / 2 == desk.flow.mid


def test_the_flow_reaches_a_clients_resting_order(venue: Venue) -> None:
    desk = desk_of(venue, "ETHUSDT", 5.0)
    best = venue.best("ETHUSDT")[0]
    assert best is not None
    order = venue.client_order("ETHUSDT", "buy", str(best[0]), "0.5")
    play(desk, 5.0, 60.0)
    assert order.left == 0


def test_nothing_of_the_house_is_left_behind(venue: Venue) -> None:
    """A client's order in the queue takes what was meant for the house; what the flow takes for filled must go."""
    desk = desk_of(venue, "ETHUSDT", 2.0)
    best = venue.best("ETHUSDT")[0]
    assert best is not None
    venue.client_order("ETHUSDT", "buy", str(best[0]), "1000")
    play(desk, 2.0, 30.0)
    bids, asks = desk.flow.shelves
    resting = [order for order, venue_id in desk.ids.items() if venue.house_left("ETHUSDT", venue_id)]
    assert resting
    assert all(order in bids or order in asks for order in resting)


@pytest.mark.parametrize(("waits", "rooms"), [(True, 3), (False, 0)])
def test_it_runs_in_real_time_and_takes_a_pause_out_of_its_clock(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, waits: bool, rooms: int
) -> None:
    market = GeneratedMarket(["BTCUSDT"], seed=3, rate=2.0, waits=waits)
    moments = iter([0.0, 0.5, 100.0, 100.25])
    asked: list[float] = []

    async def turn(seconds: float) -> None:
        asked.append(seconds)

    class Loop:
        @staticmethod
        def time() -> float:
            try:
                return next(moments)
            except StopIteration:
                raise asyncio.CancelledError from None

    monkeypatch.setattr("services.simulator.markets.generated.asyncio.sleep", turn)
    monkeypatch.setattr("services.simulator.markets.generated.asyncio.get_running_loop", Loop)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(market.run(venue))
    expected = Venue()
    desk = Desk(expected, "BTCUSDT", market.flow("BTCUSDT"))
    desk.act(desk.flow.start())
    play(desk, 0.0, 1.75)
    assert venue.book("BTCUSDT") == expected.book("BTCUSDT")
    assert all(seconds < 0.021 for seconds in asked)
    assert venue.rooms == rooms


def test_the_times_are_the_venues(venue: Venue) -> None:
    venue.clock.skew_ms = -3_600_000
    before = venue.now_ms()
    desk_of(venue, "BTCTRY", 3.0)
    stamps = [trade.time_ms for trade in venue.trades("BTCTRY")]
    assert stamps
    assert all(before <= stamp <= venue.now_ms() for stamp in stamps)
    assert all(trade.price == trade.price.to_integral_value() for trade in venue.trades("BTCTRY"))
    assert all(trade.amount > Decimal(0) for trade in venue.trades("BTCTRY"))
