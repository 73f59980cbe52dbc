"""Order routing on Sentinel, on a cluster and on a replica set of three: a primary is killed while a strategy places
orders. Every order that was acknowledged has one outcome, none is at the venue twice, every fill is told once."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import cluster, cluster_primary, replica_set, replica_set_primary, sentinel_primary, sentinels
from tests.routing import CONTRACT, Routing, routing
from tests.simulation import ROOT, Simulation, start_simulator
from tests.waiting import until
from tickrouter import Client
from tickrouter.bus.keys import AccountKeys
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.model.event import Event
from tickrouter.model.order import Status

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

# A primary that was a replica may have forgotten orders and permits: places wait for the quiet window, and for the
# longest window of the limits. Here both are short.
SOON: dict[str, Any] = {"capabilities": {"visibility_lag": 0.5, "stamp_tolerance": 0.5}, "longest_window": 1.0}
MORE = 40
"""Orders before the kill, and again behind it."""


@dataclass
class Strategy:
    """Places orders, one after the other, until it is told to stop; a call that was not confirmed is made again."""

    client: Client
    acknowledged: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            price = "102" if len(self.acknowledged) % 4 else "90"
            self.acknowledged.append(self._place(price, uuid.uuid4().hex))
            self.stop.wait(0.05)

    def _place(self, price: str, client_oid: str) -> str:
        while True:
            try:
                return self.client.place(CONTRACT, "b", "0.2", price, client_oid=client_oid)
            except StorageError:
                continue


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Simulation]:
    """A venue that has enough to sell at 101."""
    with start_simulator(tmp_path) as simulation:
        simulation.book("BTCUSDT", [("99.00", "5")], [("101.00", "500")])
        yield simulation


@contextmanager
def placing(router: Routing) -> Iterator[Strategy]:
    """A strategy at work; when the block ends it has stopped, and every order has its outcome."""
    servers = router.config["servers"]
    with Client(account=router.account, redis_url=servers["redis_url"], mongo_url=servers["mongo_url"]) as client:
        strategy = Strategy(client)
        thread = threading.Thread(target=strategy.run, daemon=True)
        thread.start()
        try:
            until(lambda: len(strategy.acknowledged) >= MORE, 60)
            yield strategy
            behind = len(strategy.acknowledged) + MORE
            until(lambda: len(strategy.acknowledged) >= behind, 60)
        finally:
            strategy.stop.set()
            thread.join(20)
    open_states = (Status.NEW, Status.PARTIALLY_FILLED)

    def is_settled(client_oid: str) -> bool:
        try:
            order = router.order(client_oid)
        except StorageError:  # the first call behind the failover learns of it
            return False
        return order is not None and not order.fills_pending and (order.status.is_final or order.status in open_states)

    until(lambda: all(map(is_settled, strategy.acknowledged)), 90, every=0.5)


def assert_right(router: Routing, venue: Simulation, strategy: Strategy) -> None:
    """The journal and the events against the venue's ledger."""
    ledger = venue.ledger()
    at_venue = Counter(row["orderClientId"] for row in ledger["orders"])
    assert [client_oid for client_oid, times in at_venue.items() if times > 1] == []
    sent = {name: n for name, n in ledger["requests"].items() if name.startswith("POST /api/v1/order ")}
    assert [name for name, times in sent.items() if times > 1] == []
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in ledger["fills"]:
        filled[fill["client_id"]] += Decimal(fill["amount"])
    for client_oid in strategy.acknowledged:
        order = router.order(client_oid)
        assert order is not None
        assert (order.exchange_oid is not None) == (client_oid in at_venue), order
        assert order.filled == filled[client_oid], order
    assert set(at_venue) <= set(strategy.acknowledged)
    events = router.events()
    assert_numbered(events)
    assert len(ledger["fills"]) > MORE
    told = Counter((event.epoch, event.client_oid, event.fill.trade_id) for event in events if event.fill)
    assert set(told.values()) == {1}
    assert {(oid, trade) for _, oid, trade in told} == {(one["client_id"], one["trade_id"]) for one in ledger["fills"]}


def assert_numbered(events: list[Event]) -> None:
    """Numbers have no hole in any epoch that Redis knows whole."""
    numbers: dict[int, list[int]] = {}
    for event in events:
        numbers.setdefault(event.epoch, []).append(event.seq)
    for found in numbers.values():
        assert found == list(range(1, len(found) + 1))


def copied(router: Routing) -> list[tuple[int, int]]:
    """Numbers of the events that MongoDB has."""
    with closing(connect_mongo(router.config["servers"]["mongo_url"])) as client:
        rows: Any = client[router.config["servers"]["mongo_database"]].events.find({"account": router.account})
        return sorted((row["epoch"], row["seq"]) for row in rows)


def test_a_primary_under_sentinels_dies_and_no_order_is_lost_or_doubled(
    tmp_path: Path, mongo_url: str, unique: str, venue: Simulation
) -> None:
    with (
        sentinels(tmp_path / "fleet") as fleet,
        routing(venue, tmp_path / "r", unique, redis_url=fleet.url, mongo_url=mongo_url, **SOON) as router,
    ):
        router.start()
        with placing(router) as strategy:
            fleet.kill_primary(sentinel_primary)
        assert_right(router, venue, strategy)


def test_a_clusters_primary_dies_and_no_order_is_lost_or_doubled(
    tmp_path: Path, mongo_url: str, unique: str, venue: Simulation
) -> None:
    with (
        cluster(tmp_path / "fleet") as fleet,
        routing(venue, tmp_path / "r", unique, redis_url=fleet.url, mongo_url=mongo_url, **SOON) as router,
    ):
        router.start()
        with placing(router) as strategy:
            key = AccountKeys(router.account).orders
            fleet.kill_primary(partial(cluster_primary, key=key))
        assert_right(router, venue, strategy)


def test_a_replica_sets_primary_dies_and_every_event_is_copied_once(
    tmp_path: Path, redis_url: str, unique: str, venue: Simulation
) -> None:
    with (
        replica_set(tmp_path / "fleet") as fleet,
        routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=fleet.url) as router,
    ):
        router.start()
        command = [sys.executable, "-m", "tickrouter", "archive", "--config", str(router.folder / "tickrouter.yaml")]
        log = ["--log-file", str(router.folder / "archiver.log")]
        archiver = subprocess.Popen([*command, *log], cwd=ROOT, env=router.environment)
        try:
            with placing(router) as strategy:
                fleet.kill_primary(replica_set_primary)
            assert_right(router, venue, strategy)
            told = [(event.epoch, event.seq) for event in router.events()]
            until(lambda: len(copied(router)) >= len(told), 30)
            assert copied(router) == told
        finally:
            archiver.terminate()
            archiver.wait(10)
