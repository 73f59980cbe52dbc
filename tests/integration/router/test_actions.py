"""Amend, timed cancels, operators' words and risk rules, through a real router."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path

from tests.routing import Routing, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls

PLACE, CANCEL = "POST /api/v1/order", "DELETE /api/v1/order"


def amend(router: Routing, orig: str, **fields: str) -> tuple[str, str]:
    """Queue an amend; the command's id and the new order's."""
    client_oid = uuid.uuid4().hex
    return router.send(action="amend", orig_client_oid=orig, client_oid=client_oid, **fields), client_oid


def test_an_amend_replaces_an_order_by_what_is_left_of_it(router: Routing, venue: Simulation) -> None:
    old = router.place("b", "100", "3", tags={"strategy": "x"})
    router.wait(old, "New")
    venue.trade("BTCUSDT", "99.50", "1", "sell")
    until(lambda: (found := router.order(old)) and found.filled == 1)
    command, new = amend(router, old, price="98", amount="5")
    outcome = router.wait_event(command)
    assert (outcome.type, outcome.client_oid) == ("command_done", new)
    replaced, child = router.wait(old, "Replaced"), router.wait(new, "New")
    assert (replaced.filled, child.amount, child.price, child.parent) == (1, Decimal(4), Decimal(98), old)
    assert child.tags == {"strategy": "x"}
    assert replaced.replacement is not None
    assert replaced.replacement.places == 8
    orders = {row["orderClientId"]: row for row in venue.ledger()["orders"]}
    assert orders[old]["status"] == "Canceled"
    assert Decimal(orders[new]["amount"]) == 4
    assert len(orders) == 2


def test_an_amend_that_comes_too_late_is_rejected_and_leaves_no_child(router: Routing, venue: Simulation) -> None:
    filled = router.place("b", "101", "1")
    router.wait(filled, "Filled")
    command, new = amend(router, filled, price="90")
    outcome = router.wait_event(command)
    assert (outcome.type, outcome.reason and outcome.reason.kind) == ("amend_rejected", "too_late")
    assert router.order(new) is None
    resting = router.place("b", "90", "1")
    router.wait(resting, "New")
    taken = router.send(action="amend", orig_client_oid=resting, client_oid=filled, price="91")
    assert router.wait_event(taken).type == "amend_rejected"
    assert router.wait(resting, "New").replacement is None
    unknown, _ = amend(router, "f" * 32, price="91")
    assert router.wait_event(unknown).type == "amend_rejected"


def test_an_amend_survives_the_death_of_its_router(router: Routing, venue: Simulation) -> None:
    old = router.place("b", "90", "2")
    router.wait(old, "New")
    venue.fault("late_answer", CANCEL, delay_ms=3000)
    command, new = amend(router, old, price="91")
    until(lambda: (found := router.order(old)) and found.status == "PendingReplace")
    router.kill()
    router.start()
    assert router.wait_event(command).type == "command_done"
    router.wait(old, "Replaced")
    router.wait(new, "New")
    assert len(venue.ledger(new)["orders"]) == 1


def test_an_order_is_cancelled_after_its_time_also_by_a_later_router(router: Routing, venue: Simulation) -> None:
    quick, slow = router.place("b", "90", "1", cancel_after_ms=300), router.place("b", "91", "1", cancel_after_ms=2500)
    first = router.wait(quick, "Canceled")
    assert first.cancel_at is not None
    assert first.updated - first.cancel_at < 2_000_000_000
    router.wait(slow, "New")
    router.kill()
    router.start()
    router.wait(slow, "Canceled")


def test_a_deadline_outlives_an_amend(router: Routing, venue: Simulation) -> None:
    old = router.place("b", "90", "1", cancel_after_ms=2500)
    deadline = router.wait(old, "New").cancel_at
    command, new = amend(router, old, price="91")
    assert router.wait_event(command).type == "command_done"
    assert router.wait(new, "New").cancel_at == deadline
    assert (router.wait(new, "Canceled").cancel_requested or "").endswith(":after")


def test_orders_of_a_strategy_that_is_gone_are_cancelled(router: Routing, venue: Simulation) -> None:
    controls.show_alive(router.redis, router.account, "mm", 1.0)
    watched = router.place("b", "90", "1", tags={"strategy": "mm", "cancel_on_disconnect": True})
    other = router.place("b", "91", "1", tags={"strategy": "mm"})
    router.wait(watched, "New")
    router.wait(watched, "Canceled", timeout=10)
    assert router.wait(other, "New").status == "New"


def test_halt_stops_places_lets_cancels_through_and_is_told(router: Routing, venue: Simulation) -> None:
    before = router.place("b", "90", "1")
    router.wait(before, "New")
    controls.set_halt(router.redis, router.account, "ops", "test")
    assert router.wait(router.place("b", "91", "1"), "Denied").reason is not None
    assert router.wait_event(router.send(action="cancel", client_oid=before)).type == "command_done"
    until(lambda: any(event.type == "halt" for event in router.events()))
    controls.resume(router.redis, router.account)
    router.wait(router.place("b", "92", "1"), "New")
    until(lambda: [event.fact for event in router.events() if event.type == "halt"] == ["halt:ops:test", "run"])


def test_a_halt_catches_orders_that_wait_for_permits(router: Routing, venue: Simulation) -> None:
    oids = [router.place("b", "90", "1", ttl_ms=60_000) for _ in range(60)]
    until(lambda: len(venue.ledger()["orders"]) > 8)
    controls.set_halt(router.redis, router.account, "ops", "enough")
    settled = [router.wait(oid, "New", "Denied", timeout=30) for oid in oids]
    sent = len(venue.ledger()["orders"])
    assert sent < 60
    assert sum(order.status == "New" for order in settled) == sent


def test_risk_rules_change_while_running_and_are_told(router: Routing, venue: Simulation) -> None:
    controls.set_risk(router.redis, router.account, "max_open_orders", "1")
    until(lambda: any(event.type == "risk" for event in router.events()))
    router.wait(router.place("b", "90", "1"), "New")
    denied = router.wait(router.place("b", "91", "1"), "Denied")
    assert denied.reason is not None
    assert denied.reason.kind == "risk_open_orders"
    controls.unset_risk(router.redis, router.account, "max_open_orders")
    until(lambda: sum(event.type == "risk" for event in router.events()) == 2)
    router.wait(router.place("b", "91", "1"), "New")


def test_a_rule_that_cannot_be_is_told_as_not_taken(router: Routing) -> None:
    controls.set_risk(router.redis, router.account, "price_band", "much")
    event = until(lambda: next((event for event in router.events() if event.type == "risk"), None))
    assert event.fact == "price_band = much is not taken: 'much' is no number"
    router.wait(router.place("b", "90", "1"), "New")


def test_an_operator_settles_an_order_that_nothing_else_does(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(
        venue,
        tmp_path / "r",
        unique,
        redis_url=redis_url,
        mongo_url=mongo_url,
        capabilities={"visibility_lag": 600.0},
    ) as router:
        router.start()
        venue.fault("server_error", PLACE, status=502, execute=False)
        client_oid = router.place("b", "90", "1")
        router.wait(client_oid, "InDoubt")
        words = {"verdict": "never_placed", "operator": "ada", "reason": "the venue's desk says so"}
        done = router.wait_event(router.send(action="settle", client_oid=client_oid, options=words))
        assert done.type == "command_done"
        order = router.wait(client_oid, "NeverPlaced")
        assert order.reason is not None
        assert order.reason.text == "ada: the venue's desk says so"
        assert any(event.type == "settled" for event in router.events())
        again = router.wait_event(router.send(action="settle", client_oid=client_oid, options=words))
        assert (again.type, again.reason and again.reason.kind) == ("command_denied", "not_in_doubt")
