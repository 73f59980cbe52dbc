"""The live market against a small server of its own on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

from websockets.asyncio.server import ServerConnection, serve

from services.simulator.markets.live import LiveMarket
from tests.engine_venue import Venue

D = Decimal
PAIR = "BTCUSDT"
Script = Callable[[ServerConnection, int], Awaitable[None]]


def book(number: int, bid: str, ask: str, channel: str = "obdiff") -> str:
    body = {"CS": number, "channel": channel, "event": PAIR, "type": 431}
    return json.dumps([431, {**body, "BO": [{"P": bid, "A": "1"}], "AO": [{"P": ask, "A": "2"}]}])


def change(number: int, bid: str) -> str:
    body = {"CS": number, "PS": PAIR, "channel": "obdiff", "event": PAIR, "type": 432}
    return json.dumps([432, {**body, "BO": [{"P": bid, "A": "3", "CP": 1}], "AO": []}])


def traded(number: int, price: str) -> str:
    body = {"I": str(number), "P": price, "A": "0.5", "D": str(1000 + number), "S": 0, "event": PAIR}
    return json.dumps([422, body])


@asynccontextmanager
async def venue_saying(script: Script) -> AsyncIterator[str]:
    """A server that runs the script on each connection; yields its address."""
    count = 0

    async def handle(connection: ServerConnection) -> None:
        nonlocal count
        count += 1
        await script(connection, count)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


async def mirrored(venue: Venue, script: Script, condition: Callable[[LiveMarket], bool]) -> LiveMarket:
    """Run a live market against the script until the condition holds."""
    async with venue_saying(script) as host:
        market = LiveMarket([PAIR], host=host, first_wait=0.01)
        task = asyncio.create_task(market.run(venue))
        async with asyncio.timeout(10):
            while not condition(market):
                assert not task.done() or task.exception() is None
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return market


def test_it_joins_and_mirrors_books_and_trades() -> None:
    venue = Venue()
    joined: list[tuple[str, str]] = []

    async def script(connection: ServerConnection, _number: int) -> None:
        await connection.send('[991,{"type":991,"current":"6.0.0","min":"2.3.0"}]')
        for _ in range(3):
            _kind, body = json.loads(await connection.recv())
            joined.append((body["channel"], body["event"]))
            message = f"join|{body['channel']}:{PAIR}"
            await connection.send(json.dumps([100, {"type": 100, "ok": True, "message": message}]))
        for frame in (book(7, "100.00", "101"), change(7, "100.5"), traded(1, "100.7000000000"), traded(1, "100.7")):
            await connection.send(frame)
        await connection.wait_closed()

    asyncio.run(mirrored(venue, script, lambda _market: bool(venue.trades(PAIR))))
    assert joined == [("trade", PAIR), ("obdiff", PAIR), ("orderbook", PAIR)]
    assert venue.book(PAIR) == ([(D("100.5"), D(3)), (D(100), D(1))], [(D(101), D(2))])
    assert [(t.price, t.amount, t.side, t.time_ms) for t in venue.trades(PAIR)] == [
        (D("100.7"), D("0.5"), "sell", 1001)
    ]


def test_bad_frames_are_counted_and_cost_nothing_beside_them() -> None:
    venue = Venue()
    bad = [
        "nonsense",
        "[" * 100_000,
        "[1]",
        "[422,7]",
        '{"a":1}',
        '[422,{"event":"BTCUSDT","I":"9"}]',
        '[431,{"event":"BTCUSDT"}]',
    ]

    async def script(connection: ServerConnection, _number: int) -> None:
        for frame in [book(7, "100", "101"), *bad, change(7, "100.5"), traded(1, "100.7")]:
            await connection.send(frame)
        await connection.wait_closed()

    market = asyncio.run(mirrored(venue, script, lambda _market: bool(venue.trades(PAIR))))
    assert market.unreadable == len(bad)
    assert venue.best(PAIR)[0] == (D("100.5"), D(3))


def test_a_missing_difference_makes_it_join_again() -> None:
    venue = Venue()
    heard: list[bool] = []

    async def script(connection: ServerConnection, _number: int) -> None:
        await connection.send(book(7, "100", "101"))
        await connection.send(change(9, "100.9"))
        while len(heard) < 5:
            heard.append(json.loads(await connection.recv())[1]["join"])
        await connection.send(book(30, "200", "201"))
        await connection.send(change(30, "200.5"))
        await connection.wait_closed()

    asyncio.run(mirrored(venue, script, lambda _market: venue.best(PAIR)[0] == (D("200.5"), D(3))))
    assert heard == [True, True, True, False, True]
    assert venue.book(PAIR) == ([(D("200.5"), D(3)), (D(200), D(1))], [(D(201), D(2))])


def test_a_lost_connection_empties_the_book_and_is_made_again() -> None:
    venue = Venue()
    emptied: list[bool] = []

    async def script(connection: ServerConnection, number: int) -> None:
        if number > 1:
            emptied.append(venue.book(PAIR) == ([], []))
        for frame in (book(number, f"{number}00", f"{number}01"), traded(1, "5"), traded(10 + number, "6")):
            await connection.send(frame)
        if number < 3:
            await connection.close()
        await connection.wait_closed()

    asyncio.run(mirrored(venue, script, lambda _market: venue.best(PAIR)[0] == (D(300), D(1))))
    assert emptied == [True, True]
    assert [trade.price for trade in venue.trades(PAIR)][:2] == [D(5), D(6)]
    assert sum(trade.price == 5 for trade in venue.trades(PAIR)) == 1


def test_an_unreachable_host_is_tried_again() -> None:
    venue = Venue()

    async def run() -> None:
        async with venue_saying(_close) as gone:
            host = gone
        market = LiveMarket([PAIR], host=host, first_wait=0.01)
        task = asyncio.create_task(market.run(venue))
        async with asyncio.timeout(10):
            port = int(host.rpartition(":")[2])
            async with serve(_offer, "127.0.0.1", port):
                while venue.best(PAIR)[0] != (D(100), D(1)):
                    await asyncio.sleep(0.005)
        task.cancel()
        assert [type(end) for end in await asyncio.gather(task, return_exceptions=True)] == [asyncio.CancelledError]

    asyncio.run(run())


async def _close(connection: ServerConnection, _number: int) -> None:
    await connection.close()


async def _offer(connection: ServerConnection) -> None:
    await connection.send(book(1, "100", "101"))
    await connection.wait_closed()
