"""Both exchanges' frames say the same, and a client reads them as they were packed."""

from __future__ import annotations

import json
import threading

import pytest

from benchmarks.feeder import Feeder, packed
from benchmarks.frames import DEPTH, SHOWN, WHOLE, Kind, frame, start, walk
from tests.simulation import ROOT
from tickrouter.core.market import BookDiff, BookSnapshot, TickerSeen, TradeSeen, Unread
from tickrouter.model.contract import Contract
from tickrouter.transport.socket import Socket
from tickrouter.venues.btcturk.market import BtcturkMarket
from tickrouter.venues.card import load_card

COUNT = 200


@pytest.fixture
def adapter() -> BtcturkMarket:
    return BtcturkMarket(load_card(ROOT / "configs/venues/btcturk.yaml"), [Contract.parse("btcturk/btc.usdt")])


def told(adapter: BtcturkMarket, text: str) -> object:
    """What one of BTCTurk's frames says."""
    (fact,) = adapter.decode(text.encode(), 0)
    return fact


def pairs(kind: Kind, adapter: BtcturkMarket) -> list[tuple[object, dict[str, object]]]:
    """Each message as our adapter reads it, and as Binance says it."""
    return [
        (told(adapter, frame("btcturk", kind, message)), json.loads(frame("binance", kind, message))["data"])
        for message in walk(kind, COUNT)
    ]


def test_tickers_say_the_same_and_each_is_news(adapter: BtcturkMarket) -> None:
    before = None
    for ours, theirs in pairs("ticker", adapter):
        assert isinstance(ours, TickerSeen)
        assert ours.bid == (float(str(theirs["b"])), float(str(theirs["B"])))
        assert ours.ask == (float(str(theirs["a"])), float(str(theirs["A"])))
        assert ours.bid != before
        before = ours.bid


def test_trades_say_the_same_and_each_has_an_id_of_its_own(adapter: BtcturkMarket) -> None:
    ids = set()
    for ours, theirs in pairs("trade", adapter):
        assert isinstance(ours, TradeSeen)
        trade = ours.trade
        assert (trade.price, trade.size) == (float(str(theirs["p"])), float(str(theirs["q"])))
        assert (trade.trade_id, trade.side) == (str(theirs["a"]), "s" if theirs["m"] else "b")
        ids.add(trade.trade_id)
    assert len(ids) == COUNT


def test_books_change_the_same_level_a_side_among_those_recorded(adapter: BtcturkMarket) -> None:
    book = told(adapter, start("btcturk"))
    assert isinstance(book, BookSnapshot) and isinstance(book.bids, Unread) and isinstance(book.asks, Unread)
    assert (len(book.bids.rest()[0]), len(book.asks.rest()[0]), book.sequence) == (DEPTH, DEPTH, 1)
    recorded = {price for side in (book.bids, book.asks) for price, _ in side.head}
    assert len(recorded) == 2 * SHOWN
    for number, (ours, theirs) in enumerate(pairs("book", adapter), 1):
        assert isinstance(ours, BookDiff)
        assert (ours.sequence, theirs["U"], theirs["u"]) == (number, number, number)
        for changes, said in ((ours.bids, theirs["b"]), (ours.asks, theirs["a"])):
            assert [list(change) for change in changes] == [[float(part) for part in level] for level in said]
            assert changes[0][0] in recorded


def test_whole_books_say_the_same_and_each_is_news(adapter: BtcturkMarket) -> None:
    before = None
    for message in walk("whole", 20):
        ours = told(adapter, frame("btcturk", "whole", message))
        theirs = json.loads(frame("cryptodotcom", "whole", message))["result"]["data"][0]
        assert isinstance(ours, BookSnapshot) and isinstance(ours.bids, Unread) and isinstance(ours.asks, Unread)
        for side, said in ((ours.bids, theirs["bids"]), (ours.asks, theirs["asks"])):
            levels, _ = side.rest()
            assert levels == tuple((price, size) for price, size, _ in said)
            assert (len(levels), len(side.head)) == (WHOLE, SHOWN)
        assert ours.bids.head != before
        before = ours.bids.head


def test_a_client_reads_what_was_packed() -> None:
    frames = ["short", "x" * 125, "x" * 126, "y" * 65_535, "z" * 65_536]
    with Feeder() as feeder:
        accepting = threading.Thread(target=feeder.accept)
        accepting.start()
        with Socket.connect(feeder.url, 5.0) as socket:
            accepting.join()
            feeder.send(packed(frames))
            assert [socket.recv(5.0) for _ in frames] == [text.encode() for text in frames]
            feeder.hang_up()
