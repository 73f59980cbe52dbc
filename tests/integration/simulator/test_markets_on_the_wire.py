"""A market on the socket: every trade once, and a book that can be rebuilt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.simulator.client import Client, Feed
from tests.simulation import Simulation, start_simulator
from tests.waiting import until

PAIRS = ("BTCUSDT", "ETHUSDT", "BTCTRY")


class _Rebuilt:
    """A book kept by the rules of the BTCTurk reference, section 4.5."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.expected = snapshot["CS"]
        self.sides = [{level["P"]: level["A"] for level in snapshot[side]} for side in ("BO", "AO")]

    def apply(self, difference: dict[str, Any]) -> None:
        if difference["CS"] < self.expected:
            return
        assert difference["CS"] == self.expected, "a hole in the numbers"
        self.expected += 1
        for side, name in zip(self.sides, ("BO", "AO"), strict=True):
            for level in difference[name]:
                assert (level["P"] in side) is (level["CP"] != 1)
                if level["CP"] == 3:
                    assert side.pop(level["P"]) == level["A"]
                else:
                    side[level["P"]] = level["A"]


def _rebuild(feed: Feed, pair: str) -> _Rebuilt:
    (snapshot,) = (body for body in feed.of(431) if body["event"] == pair)
    book = _Rebuilt(snapshot)
    for difference in feed.of(432):
        if difference["event"] == pair:
            book.apply(difference)
    return book


def _seen(feed: Feed, pair: str) -> list[tuple[str, str, int, str]]:
    """Trades that came over the socket, oldest first."""
    (listed,) = (body["items"] for body in feed.of(421) if body["event"] == pair)
    single = [body for body in feed.of(422) if body["event"] == pair]
    return [(trade["I"], trade["P"], trade["S"], trade["D"]) for trade in [*reversed(listed), *single]]


def test_all_trades_once_and_the_book_exactly(tmp_path: Path) -> None:
    with start_simulator(
        tmp_path, market="generated", seed=7, speed=20.0, record_frames=True, hold_market=True
    ) as venue:
        with Feed(venue) as feed:
            for pair in PAIRS:
                feed.join("trade", pair)
                feed.join("obdiff", pair)
            venue.start_market()
            feed.wait(lambda kind, _: kind == 422 and len(feed.of(422)) >= 100 and len(feed.of(432)) >= 1000)
        for pair in PAIRS:
            seen = _seen(feed, pair)
            sent = venue.trades(pair)[: len(seen)]
            expected = [(row["id"], _ten(row["price"]), int(row["side"] == "buy"), str(row["time"])) for row in sent]
            assert seen == expected
            assert len(_rebuild(feed, pair).sides[0]) > 0


def test_the_rebuilt_book_is_the_venues_own(venue: Simulation, client: Client) -> None:
    with Feed(venue) as feed:
        feed.join("obdiff")
        client.placed("buy", "limit", "1", price="100.50")
        venue.levels("BTCUSDT", bids=[("98.00", "7")], asks=[("100.25", "0.4"), ("102.25", "0")])
        order_id = client.placed("sell", "limit", "1", price="100.60")
        client.placed("buy", "market", "80")
        client.cancel(order_id)
        until(lambda: client.one(order_id)["status"] == "Canceled")
        published = venue.published_book("BTCUSDT")
        feed.wait(lambda kind, body: kind == 432 and body["CS"] == published["number"] - 1)
    book = _rebuild(feed, "BTCUSDT")
    assert book.sides == [dict(published["bids"]), dict(published["asks"])]


@pytest.mark.parametrize("seed", [1, 2])
def test_clients_trade_with_the_generated_flow(tmp_path: Path, seed: int) -> None:
    with start_simulator(tmp_path, market="generated", seed=seed, speed=5.0) as venue:
        client = Client(venue)
        until(lambda: venue.published_book("BTCUSDT")["asks"] and venue.published_book("BTCUSDT")["bids"])
        order_id = client.placed("buy", "market", "500.00")
        assert client.one(order_id)["status"] == "Closed"
        bid = venue.published_book("BTCUSDT")["bids"][0][0]
        resting = client.placed("buy", "limit", "0.001", price=bid)
        until(lambda: client.one(resting)["status"] == "Closed", timeout=60)
        (fill,) = {row["price"] for row in client.data("/api/v1/users/transactions/trade", orderId=resting)}
        assert float(fill) <= float(bid)


def _ten(price: str) -> str:
    whole, _, fraction = price.partition(".")
    return f"{whole}.{fraction.ljust(10, '0')}"
