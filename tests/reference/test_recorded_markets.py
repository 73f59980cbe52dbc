"""The recorded BTCUSDT and ETHUSDT files, through the matching engine and through a real venue's socket.

Trades must come once, as recorded. After each depth difference the best bid and ask, price and size, must equal the
newest recorded top of book that is not above the difference: the files' description counts 6,491 of 6,493 for BTCUSDT
and 6,468 of 6,468 for ETHUSDT.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from services.simulator.engine.events import BookChanged, TradePrinted
from services.simulator.markets.recorded import RecordedMarket
from services.simulator.markets.recording import Levels, Printed, Recording, Snapshot, Splice, Top
from tests.engine_venue import Venue
from tests.simulation import start_simulator

pytestmark = pytest.mark.reference

FILES = {
    "BTCUSDT": "binance_spot_btcusdt_20240808-09.raw.gz",
    "ETHUSDT": "binance_spot_ethusdt_20240808-09.raw.gz",
}
AGREEING = {"BTCUSDT": (6_491, 6_493), "ETHUSDT": (6_468, 6_468)}
TRADES = {"BTCUSDT": 19_904, "ETHUSDT": 14_515}
REMOVED = 3
Best = tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]
Print = tuple[Decimal, Decimal, str, int]


@dataclass
class Expected:
    """What a file says: its trades, and after each difference the top of book that was recorded.

    `silent` are the differences, by their place, that leave every level as it was: the venue says nothing of them.
    """

    trades: list[Print] = field(default_factory=list)
    tops: list[Best] = field(default_factory=list)
    silent: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path) -> Expected:
        found, splice = cls(), Splice()
        tops: list[Top] = []
        diffs: list[Levels] = []
        sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        for event in Recording.open(path).events():
            match event:
                case Printed():
                    found.trades.append((event.price, event.amount, event.taker, event.time_ms))
                case Top():
                    tops.append(event)
                case Levels() | Snapshot():
                    for book in splice.feed(event):
                        changes = [_set(side, lv) for side, lv in zip(sides, (book.bids, book.asks), strict=True)]
                        if isinstance(book, Levels):
                            if not any(changes):
                                found.silent.add(len(diffs))
                            diffs.append(book)
        newest = 0
        for diff in diffs:
            while newest + 1 < len(tops) and tops[newest + 1].update <= diff.last:
                newest += 1
            found.tops.append((tops[newest].bid, tops[newest].ask))
        return found

    def check(self, pair: str, best: Sequence[Best], trades: Sequence[Print]) -> None:
        """Compare what a venue said: `best` after each of its differences, silent ones left out."""
        assert len(self.trades) == TRADES[pair]
        assert list(trades) == self.trades
        spoken = iter(best)
        seen: list[Best] = []
        for at in range(len(self.tops)):
            seen.append(seen[-1] if at in self.silent else next(spoken))
        assert next(spoken, None) is None
        agreeing = sum(one == other for one, other in zip(seen, self.tops, strict=True))
        assert (agreeing, len(self.tops)) == AGREEING[pair]


def _set(side: dict[Decimal, Decimal], levels: Sequence[tuple[Decimal, Decimal]]) -> bool:
    """Apply levels; True if any of them was different."""
    changed = False
    for price, amount in levels:
        changed |= side.get(price, Decimal(0)) != amount
        if amount:
            side[price] = amount
        else:
            side.pop(price, None)
    return changed


@pytest.fixture(scope="module")
def expected(reference: Path) -> dict[str, Expected]:
    return {pair: Expected.of(reference / "data" / name) for pair, name in FILES.items()}


@pytest.mark.parametrize("pair", FILES)
def test_in_process(reference: Path, expected: dict[str, Expected], pair: str) -> None:
    venue, best = Venue(), list[Best]()

    class Watcher(Venue):
        """Looks at the best prices after each difference of the book."""

        def _keep(self, events: Sequence[Any]) -> None:
            super()._keep(events)
            for event in events:
                if isinstance(event, BookChanged):
                    bid, ask = self.best(pair)
                    assert bid is not None
                    assert ask is not None
                    best.append((bid, ask))

    venue = Watcher()
    recording = Recording.open(reference / "data" / FILES[pair])
    asyncio.run(RecordedMarket([recording], speed=0.0, shift=False, passes=1).run(venue))
    assert (recording.unreadable, recording.cut) == (0, False)
    trades = [(trade.price, trade.amount, trade.side, trade.time_ms) for trade in venue.trades(pair)]
    ids = [event.id for event in venue.events if isinstance(event, TradePrinted)]
    assert ids == sorted(set(ids))
    expected[pair].check(pair, best[1:], trades)


@dataclass
class Client:
    """A client that joins `obdiff` and `trade` and keeps the book as the venue's reference says."""

    pair: str
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    next: int | None = None
    best: list[Best] = field(default_factory=list)
    trades: list[Print] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def take(self, kind: int, body: dict[str, Any]) -> None:
        if kind == 431:
            assert self.next is None
            assert (body["BO"], body["AO"]) == ([], [])
            self.next = body["CS"]
        elif kind == 422:
            self.ids.append(int(body["I"]))
            taker = "buy" if body["S"] == 1 else "sell"
            self.trades.append((Decimal(body["P"]), Decimal(body["A"]), taker, int(body["D"])))
        elif kind == 432:
            assert body["CS"] == self.next
            self.next = body["CS"] + 1
            for side, items in ((self.bids, body["BO"]), (self.asks, body["AO"])):
                for item in items:
                    if item["CP"] == REMOVED:
                        del side[Decimal(item["P"])]
                    else:
                        side[Decimal(item["P"])] = Decimal(item["A"])
            bid, ask = max(self.bids), min(self.asks)
            self.best.append(((bid, self.bids[bid]), (ask, self.asks[ask])))


def frames(address: str, topics: Sequence[tuple[str, str]], start: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Join, let the market go, and give each frame."""
    with connect(address, max_size=None, compression=None, close_timeout=0.1) as socket:
        for channel, pair in topics:
            socket.send(json.dumps([151, {"type": 151, "channel": channel, "event": pair, "join": True}]))
        waiting = len(topics)
        while True:
            kind, body = json.loads(socket.recv(timeout=20))
            if kind == 100:
                assert body["ok"]
                waiting -= 1
                if not waiting:
                    start()
            yield kind, body


def test_over_the_socket(reference: Path, expected: dict[str, Expected], tmp_path: Path) -> None:
    """Both files at once, as fast as this client reads; times are those recorded, all shifted by one amount."""
    market = ",".join(str(reference / "data" / name) for name in FILES.values())
    clients = {pair: Client(pair) for pair in FILES}
    topics = [(channel, pair) for pair in FILES for channel in ("obdiff", "trade")]
    with start_simulator(tmp_path, market=market, speed=0.0, hold_market=True) as venue:
        for kind, body in frames(venue.socket, topics, venue.start_market):
            if body.get("event") in clients:
                clients[body["event"]].take(kind, body)
            if all(
                len(client.trades) > TRADES[pair] and client.best[len(expected[pair].tops) :]
                for pair, client in clients.items()
            ):
                break
    shift = clients["BTCUSDT"].trades[0][3] - expected["BTCUSDT"].trades[0][3]
    for pair, client in clients.items():
        said = expected[pair]
        assert client.ids == list(range(client.ids[0], client.ids[0] + len(client.ids)))
        count = len(said.tops) - len(said.silent)
        trades = [(price, amount, taker, time - shift) for price, amount, taker, time in client.trades[: TRADES[pair]]]
        said.check(pair, client.best[1 : count + 1], trades)
