"""A halt holds from the moment it is given: while orders wait for permits, while the venue is slow, and at start."""

from __future__ import annotations

import time

from tests.routing import Routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls
from tickrouter.model.order import Order

PLACE = "POST /api/v1/order"
SLOW_MS = 1_000
WAITING = 200


def journaled(router: Routing, oids: list[str]) -> list[Order]:
    """All of them that are in the journal."""
    return [order for oid in oids if (order := router.order(oid)) is not None]


def test_a_halt_with_cancel_all_while_two_hundred_places_wait_and_the_venue_is_slow(
    router: Routing, venue: Simulation
) -> None:
    venue.fault("late_answer", PLACE, count=1000, delay_ms=SLOW_MS)
    oids = [router.place("b", "90", "1", ttl_ms=120_000) for _ in range(WAITING)]
    until(lambda: len(journaled(router, oids)) == WAITING and len(venue.ledger()["orders"]) >= 8, 20)
    controls.set_halt(router.redis, router.account, "ops", "slow venue")
    halted = time.time_ns()
    everything = router.send(action="cancel_all")
    assert router.wait_event(everything, timeout=30).type == "command_done"
    orders = [router.wait(oid, "Canceled", "Denied", timeout=30) for oid in oids]
    sent = [order for order in orders if order.stamp is not None]
    assert all(order.stamp is not None and order.stamp <= halted for order in sent)
    rows = venue.ledger()["orders"]
    assert {row["status"] for row in rows} == {"Canceled"}
    assert len(rows) == len(sent) < WAITING / 2
    # Nothing waited for the slow answers of places: the halt is read by the script that lets a request leave.
    assert venue.counts()["requests"][PLACE] == len(rows)


def test_an_account_that_was_halted_while_no_router_ran_sends_nothing(router: Routing, venue: Simulation) -> None:
    resting = router.place("b", "90", "1")
    router.wait(resting, "New")
    router.kill()
    waiting = router.place("b", "91", "1", ttl_ms=60_000)
    controls.set_halt(router.redis, router.account, "ops", "maintenance")
    router.start()
    denied = router.wait(waiting, "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == "halt"
    assert router.wait_event(router.send(action="cancel", client_oid=resting)).type == "command_done"
    assert len(venue.ledger()["orders"]) == 1


def test_a_missing_word_of_the_operator_counts_as_halted(router: Routing, venue: Simulation) -> None:
    router.redis.delete(router.keys.halt)
    denied = router.wait(router.place("b", "91", "1"), "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == "halt"
    assert venue.ledger()["orders"] == []
