"""The recorded BTCUSDT and ETHUSDT files through the simulated venue and the collector into both servers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from services.stack.servers import Server, redis_server
from tests.collecting import Collecting, collecting
from tests.reference.test_recorded_markets import FILES, TRADES, Best, Expected, Print
from tests.simulation import start_simulator
from tests.waiting import until
from tickrouter.bus.codec import unpack_record
from tickrouter.model.book import Book
from tickrouter.model.record import Level

pytestmark = [pytest.mark.reference, pytest.mark.timeout(300)]

CONTRACTS = {"btcturk/btc.usdt": "BTCUSDT", "btcturk/eth.usdt": "ETHUSDT"}


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    server = redis_server(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def exact(level: Level) -> tuple[Decimal, Decimal]:
    return Decimal(repr(level[0])), Decimal(repr(level[1]))


def trades_of(room: Collecting, contract: str) -> list[Print]:
    """What MongoDB has, in the order of the venue's ids."""
    documents = sorted(room.documents("trade", contract), key=lambda entry: int(entry["trade_id"]))
    ids = [int(entry["trade_id"]) for entry in documents]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    side = {"b": "buy", "s": "sell"}
    return [
        (*exact((entry["price"], entry["size"])), side[entry["side"]], entry["exchange_time"] // 1_000_000)
        for entry in documents
    ]


def recorded(room: Collecting, contract: str) -> int:
    """Trades recorded so far, as the collector says."""
    count: int = room.state()["contracts"][contract]["counts"].get("trade", 0)
    return count


def tops_of(room: Collecting, contract: str, count: int) -> list[Best]:
    """Best bid and ask after each of the first differences, out of the book stream: what did not change has no record.

    The venue's first difference is the file's snapshot and not counted.
    """
    books = [unpack_record(Book, entry.data) for entry in room.entries("book", contract)]
    found: dict[int, Best] = {
        book.sequence: (exact(book.bids[0]), exact(book.asks[0])) for book in books if book.sequence and book.bids
    }
    first = min(found)
    tops = [found[first]]
    for number in range(first + 1, first + 1 + count):
        tops.append(found.get(number, tops[-1]))
    return tops[1:]


def test_every_trade_and_every_top_of_book(
    reference: Path, tmp_path: Path, own_redis: Server, mongo_url: str, unique: str
) -> None:
    market = ",".join(str(reference / "data" / name) for name in FILES.values())
    expected = {pair: Expected.of(reference / "data" / name) for pair, name in FILES.items()}
    with (
        start_simulator(tmp_path, market=market, speed=0.0, hold_market=True) as venue,
        collecting(
            tmp_path / "collector",
            own_redis,
            mongo_url,
            unique,
            venue.socket,
            list(CONTRACTS),
            book_interval_ms=0,
            book_levels=1,
        ) as room,
    ):
        room.start()
        until(lambda: room.state().get("joined") == 8 and all(room.feed(contract) for contract in CONTRACTS), 20)
        venue.start_market()
        until(lambda: all(recorded(room, contract) > TRADES[pair] for contract, pair in CONTRACTS.items()), 200)
        venue.kill()
        assert room.stop() == 0
        state = room.state()
        shift = None
        for contract, pair in CONTRACTS.items():
            said = expected[pair]
            trades = trades_of(room, contract)[: TRADES[pair]]
            shift = trades[0][3] - said.trades[0][3] if shift is None else shift
            count = len(said.tops) - len(said.silent)
            shifted = [(price, amount, taker, time - shift) for price, amount, taker, time in trades]
            said.check(pair, tops_of(room, contract, count), shifted)
            counts = state["contracts"][contract]["counts"]
            assert (counts.get("book_corrected", 0), counts.get("book_invalidated", 0)) == (0, 0)
            assert room.stored("trade", contract) == room.entries("trade", contract)
            assert room.stored("tick", contract) == room.entries("tick", contract)
