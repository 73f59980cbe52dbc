"""An amend makes an order: what a place would be denied for rejects it, and the old order stays as it was."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from tests.routing import Routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls


def amend(router: Routing, orig: str, **fields: str) -> tuple[str, str]:
    """Queue an amend; the command's id and the new order's."""
    client_oid = uuid.uuid4().hex
    return router.send(action="amend", orig_client_oid=orig, client_oid=client_oid, **fields), client_oid


@pytest.mark.parametrize(
    ("rule", "value", "fields", "kind"),
    [
        ("max_notional:usdt", "150", {"amount": "10"}, "risk_notional"),
        ("max_position:btc", "12", {"amount": "3"}, "risk_position"),
        ("orders_per_minute", "1", {"price": "91"}, "risk_rate"),
        ("price_band", "0.1", {"price": "91"}, "risk_price"),
        ("max_open_orders", "5", {"price": "90.000000001"}, "scale"),
    ],
)
def test_an_amend_keeps_to_the_rules_of_a_place(
    router: Routing, venue: Simulation, rule: str, value: str, fields: dict[str, str], kind: str
) -> None:
    old = router.place("b", "90", "1")
    router.wait(old, "New")
    until(lambda: router.redis.hexists(router.keys.balance, "btc"))
    controls.set_risk(router.redis, router.account, rule, value)
    until(lambda: any(event.type == "risk" for event in router.events()))
    command, new = amend(router, old, **fields)
    outcome = router.wait_event(command)
    assert (outcome.type, outcome.reason and outcome.reason.kind) == ("amend_rejected", kind)
    assert router.order(new) is None
    assert router.wait(old, "New").cancel_requested is None
    assert len(venue.ledger()["orders"]) == 1


def test_the_order_that_is_replaced_counts_for_no_rule(router: Routing) -> None:
    old = router.place("b", "90", "2")
    router.wait(old, "New")
    until(lambda: router.redis.hexists(router.keys.balance, "btc"))
    for rule, value in (("max_open_orders", "1"), ("max_position:btc", "12.5"), ("duplicate_window", "60")):
        controls.set_risk(router.redis, router.account, rule, value)
    until(lambda: sum(event.type == "risk" for event in router.events()) == 3)
    command, new = amend(router, old, amount="2.5")
    assert router.wait_event(command).type == "command_done"
    assert router.wait(new, "New").amount == Decimal("2.5")
