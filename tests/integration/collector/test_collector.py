"""The collector, whole: simulator, Redis and MongoDB are real processes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.stack.servers import Server, mongo_server, redis_server
from tests.collecting import Collecting, collecting
from tests.simulation import Simulation, start_simulator
from tests.waiting import until
from tickrouter.history.connection import initiate
from tickrouter.model.coverage import Interval

BTC, ETH = "btcturk/btc.usdt", "btcturk/eth.usdt"
PAIRS = {BTC: "BTCUSDT", ETH: "ETHUSDT"}


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    server = redis_server(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    with start_simulator(
        tmp_path, market="generated", seed=7, speed=4.0, record_frames=True, hold_market=True
    ) as simulation:
        yield simulation


@pytest.fixture
def room(tmp_path: Path, own_redis: Server, mongo_url: str, unique: str, venue: Simulation) -> Iterator[Collecting]:
    with collecting(
        tmp_path / "collector", own_redis, mongo_url, unique, venue.socket, [BTC, ETH], book_interval_ms=0
    ) as made:
        yield made


def begin(room: Collecting, venue: Simulation) -> None:
    """Start a collector and, once it listens, the market: from then on nothing may escape it."""
    room.start()
    until(lambda: room.feed(room.contracts[0]) and room.state().get("joined", 0) >= 4 * len(room.contracts), 20)
    venue.start_market()
    room.wait_live()


def trade_rows(documents: list[dict[str, Any]]) -> list[tuple[str, Decimal, Decimal, str, int]]:
    return sorted(
        (
            entry["trade_id"],
            Decimal(repr(entry["price"])),
            Decimal(repr(entry["size"])),
            {"b": "buy", "s": "sell"}[entry["side"]],
            entry["exchange_time"] // 1_000_000,
        )
        for entry in documents
    )


def sent_rows(venue: Simulation, contract: str) -> list[tuple[str, Decimal, Decimal, str, int]]:
    return sorted(
        (row["id"], Decimal(row["price"]), Decimal(row["amount"]), row["side"], row["time"])
        for row in venue.trades(PAIRS[contract])
    )


def assert_trades_whole(room: Collecting, venue: Simulation) -> None:
    """Every trade that was sent is stored once with price, size, side and time, or lies in a gap that `feed` tells."""
    for contract in room.contracts:
        found, sent = trade_rows(room.documents("trade", contract)), sent_rows(venue, contract)
        assert found and len({row[0] for row in found}) == len(found)
        assert set(found) <= set(sent)
        missing = {int(row[0]) for row in set(sent) - set(found)}
        excused = {number for gap in gaps_of(room, contract) for number in missing if gap[0] < number < gap[1]}
        # The venue went on after the collector had ended.
        assert {number for number in missing - excused if number < int(found[-1][0])} == set()


def gaps_of(room: Collecting, contract: str) -> list[tuple[int, int]]:
    """For each gap that `feed` tells: the last trade received before it, and the first received live after it."""
    documents = room.documents("trade", contract)
    found = []
    for feed in room.feed(contract):
        if feed.state == "gap":
            since = (feed.since or 0) + 1_000_000
            before = [int(entry["trade_id"]) for entry in documents if entry["time"] <= since]
            live = [entry for entry in documents if entry["source"] == "live"]
            after = [int(entry["trade_id"]) for entry in live if entry["time"] >= feed.time]
            found.append((max(before, default=0), min(after, default=10**20)))
    return found


def assert_sinks_agree(room: Collecting, kinds: tuple[str, ...] = ("tick", "trade", "book")) -> None:
    """The same entries, id for id and byte for byte, and `through` at their ends."""
    for contract in room.contracts:
        through = room.through(contract)
        for kind in kinds:
            entries = room.entries(kind, contract)
            assert entries, (kind, contract)
            assert room.stored(kind, contract) == entries
            last = "{}-{}".format(*entries[-1].id)
            assert (through[f"redis:{kind}"], through[f"mongo:{kind}"]) == (last, last)


def assert_dense(room: Collecting, kind: str, contract: str) -> None:
    """Within each session, k counts from 1 without a hole."""
    sessions: dict[int, list[int]] = {}
    for entry in room.entries(kind, contract):
        sessions.setdefault(entry.id[1] >> 40, []).append(entry.id[1] & (2**40 - 1))
    for numbers in sessions.values():
        assert numbers == list(range(1, len(numbers) + 1))


def assert_books_balance(room: Collecting) -> None:
    for accounts in room.state()["sinks"].values():
        for account in accounts.values():
            parts = ("stored", "queued", "spilled", "refused", "given_up")
            assert account["received"] == account["stored"] == sum(account[name] for name in parts)


def assert_audited(room: Collecting) -> None:
    """The ledger speaks of every document, and every entry it speaks of is stored."""
    for found in room.audit():
        assert found.problems == ()
        assert found.claimed == found.documents + found.excused


def holes_of(room: Collecting, kind: str, contract: str) -> list[Interval]:
    """What the ledger lacks, from the first recorded moment on."""
    found = room.coverage(kind, contract)
    live = [index for index, one in enumerate(found) if one.state == "live"]
    return [one for one in found[live[0] :] if one.is_hole and one.cause != "no connection: the collector was stopped"]


def test_everything_is_in_both_sinks_and_every_trade_once(room: Collecting, venue: Simulation) -> None:
    begin(room, venue)
    until(lambda: all(len(room.entries("trade", contract)) >= 50 for contract in room.contracts), 30)
    assert room.stop() == 0
    assert_sinks_agree(room)
    assert_books_balance(room)
    assert_trades_whole(room, venue)
    for contract in room.contracts:
        for kind in ("tick", "trade", "book", "feed"):
            assert_dense(room, kind, contract)
        assert not any(feed.state == "gap" for feed in room.feed(contract))
        assert room.feed(contract)[-1].state == "down"
        assert room.state()["contracts"][contract]["feed"] == "down"
        for kind in ("tick", "trade", "book"):
            assert holes_of(room, kind, contract) == []
    assert_audited(room)


def test_a_dropped_connection_is_a_gap_in_the_stream_and_trades_are_read_after_the_fact(
    tmp_path: Path, own_redis: Server, mongo_url: str, unique: str
) -> None:
    # Slow: a list of past trades holds 50, and what the gap left out has to be among them.
    slow = {"market": "generated", "seed": 7, "speed": 0.3, "record_frames": True, "hold_market": True}
    with (
        start_simulator(tmp_path, **slow) as venue,
        collecting(
            tmp_path / "collector", own_redis, mongo_url, unique, venue.socket, [BTC], public=venue.base
        ) as room,
    ):
        begin(room, venue)
        venue.fault("drop_socket", scope="market")
        until(lambda: [feed.state for feed in room.feed(BTC) if feed.kind == "all"][-3:] == ["down", "gap", "live"], 20)
        until(lambda: any("read after the fact" in feed.cause for feed in room.feed(BTC)), 20)
        until(lambda: "backfilled" in {one.state for one in room.coverage("trade", BTC)}, 20)
        assert room.stop() == 0
        assert_sinks_agree(room)
        assert_trades_whole(room, venue)
        assert holes_of(room, "trade", BTC) == []
        assert [hole.state for hole in holes_of(room, "tick", BTC)] == ["missing"]
        assert_audited(room)
        assert venue.counts()["requests"]["GET /api/v2/trades"] >= 2


def test_skipped_differences_make_the_book_invalid_until_a_new_one(room: Collecting, venue: Simulation) -> None:
    begin(room, venue)

    def resyncs() -> int:
        return sum((feed.kind, feed.state) == ("book", "resync") for feed in room.feed(BTC))

    before = resyncs()
    venue.fault("skip_frames", count=3, channel="obdiff", event="BTCUSDT", type=432)
    until(lambda: resyncs() > before, 20)

    def is_live_again() -> bool:
        return [feed.state for feed in room.feed(BTC) if feed.kind == "book"][-1:] == ["live"]

    until(is_live_again, 20)
    causes = [feed.cause for feed in room.feed(BTC) if feed.state == "resync"]
    assert all(cause.startswith(("gap", "lost")) for cause in causes)
    assert room.stop() == 0
    assert_sinks_agree(room)
    for kind in ("book", "tick"):
        assert {hole.state for hole in holes_of(room, kind, BTC)} == {"missing"}
    assert holes_of(room, "trade", BTC) == []


def test_redis_killed_in_the_middle_heals_and_nothing_is_lost(
    room: Collecting, venue: Simulation, own_redis: Server
) -> None:
    begin(room, venue)
    own_redis.kill()
    until(lambda: "Redis does not answer" in room.log, 20)
    before = len(room.documents("tick", BTC))
    until(lambda: len(room.documents("tick", BTC)) > before + 50, 20)
    own_redis.start()
    until(lambda: "Redis answers again" in room.log, 20)
    before = len(room.entries("trade", BTC))
    until(lambda: len(room.entries("trade", BTC)) > before + 5, 20)
    assert room.stop() == 0
    assert_sinks_agree(room)
    assert_books_balance(room)
    assert_trades_whole(room, venue)


def test_the_collector_killed_goes_on_in_a_new_session(room: Collecting, venue: Simulation) -> None:
    begin(room, venue)
    room.kill()
    first = {entry.id[1] >> 40 for entry in room.entries("tick", BTC)}
    room.start()
    until(lambda: room.entries("tick", BTC)[-1].id[1] >> 40 > max(first), 20)
    until(lambda: any(feed.cause == "the collector was not running" for feed in room.feed(BTC)), 20)
    assert room.stop() == 0
    assert_trades_whole(room, venue)
    for contract in room.contracts:
        ids = [entry.id for entry in room.entries("tick", contract)]
        assert ids == sorted(set(ids))
        for kind in ("tick", "trade"):
            holes = holes_of(room, kind, contract)
            # On a busy machine the lease is free before the socket is open: then a moment without it follows.
            assert "the collector was not running" in [hole.cause for hole in holes[-2:]]
            assert sum(hole.end - hole.start for hole in holes if hole.state == "unknown") <= 2 * 10**9
    assert_audited(room)


def test_mongodb_killed_in_the_middle_heals_and_nothing_is_lost(
    tmp_path: Path, own_redis: Server, unique: str, venue: Simulation
) -> None:
    mongo = mongo_server(tmp_path / "mongo")
    mongo.start()
    initiate(mongo.url)
    try:
        with collecting(tmp_path / "collector", own_redis, mongo.url, unique, venue.socket, [BTC]) as room:
            begin(room, venue)
            mongo.kill()
            until(lambda: "MongoDB does not answer" in room.log, 20)
            before = len(room.entries("tick", BTC))
            until(lambda: len(room.entries("tick", BTC)) > before + 50, 20)
            mongo.start()
            until(lambda: "MongoDB answers again" in room.log, 40)
            assert room.stop() == 0
            assert_sinks_agree(room)
            assert_books_balance(room)
    finally:
        mongo.stop()


def test_a_second_collector_waits_for_the_lease(room: Collecting, venue: Simulation) -> None:
    begin(room, venue)
    first = room.processes[0]
    room.start()
    until(lambda: "another collector holds the lease" in room.log, 20)
    sessions = {entry.id[1] >> 40 for entry in room.entries("tick", BTC)}
    assert len(sessions) == 1
    first.kill()
    first.wait()
    until(lambda: len({entry.id[1] >> 40 for entry in room.entries("tick", BTC)}) == 2, 20)
    assert room.stop() == 0
