"""The recorder on Sentinel, on a cluster and on a replica set of three: a primary is killed under load, and nothing is
lost, nothing there twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from services.stack.servers import Server
from tests.clusters import cluster, cluster_primary, replica_set, replica_set_primary, sentinel_primary, sentinels
from tests.collecting import Collecting, collecting
from tests.simulation import Simulation, start_simulator
from tests.waiting import until
from tickrouter.bus.keys import MarketKeys

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

BTC = "btcturk/btc.usdt"
KINDS = ("tick", "trade", "book")


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    with start_simulator(tmp_path, market="generated", seed=7, speed=5.0, record_frames=True) as simulation:
        yield simulation


def addressed(url: str) -> Server:
    """Somebody else's server: only its address is known."""
    return Server("redis", [], 0, url, Path("none"))


def grow(room: Collecting) -> None:
    """Wait until new records of each kind are in both stores."""
    before = {kind: len(room.entries(kind, BTC)) for kind in KINDS}
    until(lambda: all(len(room.entries(kind, BTC)) > before[kind] + 5 for kind in KINDS), 60)
    last = {kind: room.entries(kind, BTC)[-1].id for kind in KINDS}

    def newest(kind: str) -> tuple[int, int]:
        return max((entry.id for entry in room.stored(kind, BTC)), default=(0, 0))

    until(lambda: all(newest(kind) >= entry for kind, entry in last.items()), 60)


def assert_whole(room: Collecting, venue: Simulation) -> None:
    """Both stores hold the same entries, byte for byte, each once; every trade of the venue; no hole in the ledger."""
    for kind in KINDS:
        entries = room.entries(kind, BTC)
        assert len(entries) > 10
        assert len({entry.id for entry in entries}) == len(entries)
        assert room.stored(kind, BTC) == entries
    recorded = [int(document["trade_id"]) for document in room.documents("trade", BTC)]
    sent = {int(trade["id"]) for trade in venue.trades("BTCUSDT")}
    assert len(set(recorded)) == len(recorded)
    assert {one for one in sent if min(recorded) <= one <= max(recorded)} - set(recorded) == set()
    assert [problem for found in room.audit() for problem in found.problems] == []
    for kind in KINDS:
        covered = room.coverage(kind, BTC)
        first = next(number for number, one in enumerate(covered) if one.state == "live")
        holes = [one for one in covered[first:] if one.is_hole]
        assert [one.cause for one in holes] == ["no connection: the collector was stopped"], kind


def test_a_primary_under_sentinels_dies_and_nothing_is_lost(
    tmp_path: Path, mongo_url: str, unique: str, venue: Simulation
) -> None:
    with (
        sentinels(tmp_path / "fleet") as fleet,
        collecting(tmp_path / "collector", addressed(fleet.url), mongo_url, unique, venue.socket, [BTC]) as room,
    ):
        room.start()
        room.wait_live()
        fleet.kill_primary(sentinel_primary)
        grow(room)
        assert room.stop() == 0
        assert_whole(room, venue)


def test_a_clusters_primary_dies_and_nothing_is_lost(
    tmp_path: Path, mongo_url: str, unique: str, venue: Simulation
) -> None:
    with (
        cluster(tmp_path / "fleet") as fleet,
        collecting(tmp_path / "collector", addressed(fleet.url), mongo_url, unique, venue.socket, [BTC]) as room,
    ):
        room.start()
        room.wait_live()
        key = MarketKeys(BTC).stream("tick")
        fleet.kill_primary(partial(cluster_primary, key=key))
        grow(room)
        assert room.stop() == 0
        assert_whole(room, venue)


def test_a_replica_sets_primary_dies_and_nothing_is_lost(
    tmp_path: Path, redis_process: Server, unique: str, venue: Simulation
) -> None:
    with (
        replica_set(tmp_path / "fleet") as fleet,
        collecting(tmp_path / "collector", redis_process, fleet.url, unique, venue.socket, [BTC]) as room,
    ):
        room.start()
        room.wait_live()
        fleet.kill_primary(replica_set_primary)
        grow(room)
        assert room.stop() == 0
        assert_whole(room, venue)
