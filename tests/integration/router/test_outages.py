"""MongoDB away for long, and a venue whose clock is wrong: nothing is lost, and what cannot be done is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.router.test_reconciliation import order_by_hand
from tests.mongo_gate import MongoGate
from tests.routing import Routing, routing
from tests.simulation import ROOT, Simulation
from tests.waiting import until
from tickrouter.history.connection import connect, database

WARN, DENY = 30, 60
EVENTS_A_PLACE = 2


def archiver_of(router: Routing) -> subprocess.Popen[bytes]:
    """The archiver of the router's configuration."""
    command = [sys.executable, "-m", "tickrouter", "archive", "--config", str(router.folder / "tickrouter.yaml")]
    log = ["--log-file", str(router.folder / "archiver.log")]
    return subprocess.Popen([*command, *log], cwd=ROOT, env=router.environment)


def test_while_mongodb_is_away_the_outbox_grows_inside_its_bound_and_then_places_are_denied(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    gate = MongoGate(urlsplit(mongo_url).port or 0)
    bounds = {"router": {"outbox_warn": WARN, "outbox_deny": DENY, "egress": unique}, "streams": {"events": 10}}
    try:
        with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=gate.url, **bounds) as router:
            router.start()
            archiver = archiver_of(router)
            try:
                _fill_and_drain(router, gate, mongo_url, unique)
            finally:
                archiver.terminate()
                archiver.wait(10)
    finally:
        gate.close()


def _fill_and_drain(router: Routing, gate: MongoGate, mongo_url: str, name: str) -> None:
    oids = [router.place("b", "90", "1")]
    db = database(connect(mongo_url), name)
    until(lambda: db.events.count_documents({"account": router.account}) > EVENTS_A_PLACE, 20)
    with gate.hold():
        while (order := router.wait(oids[-1], "New", "Denied", timeout=20)).status == "New":
            oids.append(router.place("b", "90", "1"))
            assert len(oids) < DENY
        assert order.reason is not None
        assert order.reason.kind == "outbox"
        # Between two looks at its length, a second apart, a second's worth of orders may still be admitted.
        assert DENY <= router.redis.xlen(router.keys.events) < DENY + 10 * EVENTS_A_PLACE
        assert [event.alarm for event in router.events() if event.alarm] == ["outbox"]
        assert router.wait_event(router.send(action="cancel", client_oid=oids[0])).type == "command_done"
    last = router.events()[-1]
    until(lambda: db.events.count_documents({"account": router.account}) >= last.seq, 30)
    numbers = sorted(row["seq"] for row in db.events.find({"account": router.account}))
    assert numbers == list(range(1, len(numbers) + 1))
    until(lambda: {row["_id"].split("#")[1] for row in db.orders.find()} == set(oids), 20)
    until(lambda: router.redis.xlen(router.keys.events) < WARN, 20)

    def accepted() -> bool:
        return router.wait(router.place("b", "90", "1"), "New", "Denied").status == "New"

    until(accepted, 10, every=0.2)


def test_a_clock_that_goes_wrong_at_the_venue_is_measured_anew_and_the_order_goes_out(
    router: Routing, venue: Simulation
) -> None:
    router.wait(router.place("b", "90", "1"), "New")
    venue.skew(20_000)
    order = router.wait(router.place("b", "91", "1"), "New", timeout=15)
    assert order.attempt == 2
    assert len(venue.ledger(order.client_oid)["orders"]) == 1
    venue.skew(-20_000)
    assert router.wait(router.place("b", "92", "1"), "New", timeout=15).attempt == 2


def test_places_are_denied_while_the_venues_clock_is_not_known(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    """With a tolerance of nothing, any uncertainty is too much to sign by."""
    narrow = {"capabilities": {"stamp_tolerance": 0.000001}}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, **narrow) as router:
        router.start()
        denied = router.wait(router.place("b", "90", "1"), "Denied")
        assert denied.reason is not None
        assert denied.reason.kind == "clock"
        assert venue.ledger()["orders"] == []


@pytest.mark.long
def test_whose_order_it_is_can_wait_for_mongodb_and_orders_cannot(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    """An order whose id looks like one of ours, and MongoDB does not say: the account is routed all the same."""
    gate = MongoGate(urlsplit(mongo_url).port or 0)
    often = {"router": {"reconcile_interval": 0.5, "egress": unique}}
    try:
        with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=gate.url, **often) as router:
            router.start()
            router.wait(router.place("b", "90", "1"), "New")
            gate.struck.set()
            order_by_hand(venue, "d" * 32)
            until(lambda: "is asked again" in router.log, 30)
            router.wait(router.place("b", "91", "1"), "New")
            assert router.log.count('"routing"') == 1
            assert not [event for event in router.events() if event.type == "foreign"]
            gate.struck.clear()
            until(lambda: [event for event in router.events() if event.type == "foreign"], 40)
    finally:
        gate.close()
