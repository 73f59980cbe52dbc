"""An operator's verdict: what it may say, that it is watched like any other, and that it is answered once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.router.test_reconciliation import order_by_hand
from tests.routing import Routing, routing
from tests.simulation import Simulation
from tickrouter.bus.codec import pack_map

PLACE = "POST /api/v1/order"


@pytest.fixture
def doubtful(venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str) -> Iterator[Routing]:
    """A router to which absence proves nothing for ten minutes."""
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    lag = {"visibility_lag": 600.0}
    often = {"lease_ms": 600, "reconcile_interval": 0.3, "egress": unique}
    # No private message tells of an order before its listings do.
    with routing(venue, tmp_path / "r", unique, **servers, socket_key=False, capabilities=lag, router=often) as router:
        router.start()
        yield router


def in_doubt(router: Routing, venue: Simulation) -> str:
    venue.fault("server_error", PLACE, status=502, execute=False)
    client_oid = router.place("b", "90", "1")
    router.wait(client_oid, "InDoubt")
    return client_oid


def words(verdict: str, **more: str) -> dict[str, Any]:
    return {"verdict": verdict, "operator": "ada", "reason": "seen on the page"} | more


def test_an_order_is_not_settled_as_another_of_ours_or_as_none_of_the_venues(
    doubtful: Routing, venue: Simulation
) -> None:
    other = doubtful.place("b", "80", "2")
    theirs = doubtful.wait(other, "New").exchange_oid or ""
    sale = order_by_hand(venue, "somebody-elses", side="sell", price="120")
    oid = in_doubt(doubtful, venue)
    for exchange_oid, kind in ((theirs, "claimed"), ("999999", "order_not_found"), (sale, "other_order")):
        options = words("placed", exchange_oid=exchange_oid)
        denied = doubtful.wait_event(doubtful.send(action="settle", client_oid=oid, options=options))
        assert (denied.type, denied.reason and denied.reason.kind) == ("command_denied", kind)
    assert doubtful.wait(oid, "InDoubt").exchange_oid is None
    assert doubtful.wait(other, "New").exchange_oid == theirs


def test_an_operators_never_placed_is_watched_and_revised(doubtful: Routing, venue: Simulation) -> None:
    venue.fault("hide_order", PLACE, delay_ms=2000, lose=True)
    oid = doubtful.place("b", "90", "1")
    doubtful.wait(oid, "InDoubt")
    doubtful.send(action="settle", client_oid=oid, options=words("never_placed"))
    doubtful.wait(oid, "NeverPlaced")
    assert doubtful.redis.zscore(doubtful.keys.watch, oid)
    assert doubtful.wait(oid, "New").exchange_oid == str(venue.ledger(oid)["orders"][0]["id"])
    assert [event.status for event in doubtful.events() if event.alarm == "late_find"] == ["New"]


def test_a_verdict_that_a_router_journaled_and_could_not_answer_is_answered_as_done(
    doubtful: Routing, venue: Simulation
) -> None:
    oid = in_doubt(doubtful, venue)
    options = words("never_placed")
    assert doubtful.wait_event(doubtful.send(action="settle", client_oid=oid, options=options)).type == "command_done"
    doubtful.kill()
    # As a router leaves it that dies between the two writes.
    work = pack_map({"action": "settle", "targets": [oid], "options": options})
    doubtful.redis.hset(doubtful.keys.work, "unanswered", work)
    doubtful.start()
    assert doubtful.wait_event("unanswered").type == "command_done"
