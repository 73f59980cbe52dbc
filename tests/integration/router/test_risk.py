"""Every rule at a running router: set while it runs, it denies what is beyond it, and nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.routing import CONTRACT, Routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls
from tickrouter.bus.codec import pack_record
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.subscribe import read_balances
from tickrouter.model.account import Account
from tickrouter.model.tick import Tick

HELD = 10
"""BTC of the demonstration account."""


@pytest.fixture
def tick(router: Routing) -> Iterator[Callable[[float], None]]:
    """Records a tick at 100, so many seconds old."""
    stream = MarketKeys(CONTRACT).stream("tick")

    def record(age: float) -> None:
        moment = time.time_ns() - int(age * 1e9)
        row = Tick(moment, 100.0, None, ((99.0, 1.0),), ((101.0, 1.0),), CONTRACT, "ticker")
        router.redis.xadd(stream, {"d": pack_record(row)})

    yield record
    router.redis.delete(stream)


def rule(router: Routing, name: str, value: str) -> None:
    """Set a rule, and wait until the router says so."""
    controls.set_risk(router.redis, router.account, name, value)
    until(lambda: [event.fact for event in router.events() if event.type == "risk"][-1:] == [f"{name} = {value}"])


def denied(router: Routing, **fields: Any) -> str:
    """The kind of reason for which a place is denied."""
    reason = router.wait(router.place(**fields), "Denied").reason
    assert reason is not None
    return reason.kind


def test_rules_about_the_market(router: Routing, venue: Simulation, tick: Callable[[float], None]) -> None:
    rule(router, "price_band", "0.1")
    assert denied(router, price="90") == "risk_price"
    tick(60.0)
    assert denied(router, price="111") == "risk_band"
    assert denied(router, side="s", price="89") == "risk_band"
    rule(router, "max_tick_age", "30")
    assert denied(router, price="90") == "risk_stale"
    tick(0.0)
    assert venue.ledger()["orders"] == []
    router.wait(router.place(price="90"), "New")


def test_a_position_counts_what_no_balance_shows_yet(
    router: Routing, venue: Simulation, tick: Callable[[float], None]
) -> None:
    until(lambda: read_balances(router.redis, Account.parse(router.account)).get("btc"))
    venue.fault("server_error", "GET /api/v1/users/balances", count=1000)
    tick(0.0)
    rule(router, "max_position:btc", str(HELD + 3))
    router.wait(router.place(price="101", amount="2"), "Filled")
    assert denied(router, price="90", amount="1.1") == "risk_position"
    # Of a purchase by quote amount nobody knows what it comes to before it is at the venue.
    venue.fault("server_error", "POST /api/v1/order", status=502, execute=False)
    by_quote = {"type": "market", "price": None, "amount": None}
    router.wait(router.place(**by_quote, quote_amount="60"), "InDoubt")
    assert denied(router, **by_quote, quote_amount="60") == "risk_position"
    router.wait(router.place(price="90", amount="0.3"), "New")


def test_rules_that_count(router: Routing, venue: Simulation) -> None:
    until(lambda: read_balances(router.redis, Account.parse(router.account)).get("btc"))
    rule(router, "max_position:btc", str(HELD + 3))
    router.wait(router.place(price="90", amount="2"), "New")
    assert denied(router, price="91", amount="1.1") == "risk_position"
    router.wait(router.place(side="s", price="150", amount="1.1"), "New")
    rule(router, "duplicate_window", "60")
    router.wait(router.place(price="92", amount="0.5"), "New")
    assert denied(router, price="92", amount="0.5") == "risk_duplicate"
    rule(router, "orders_per_minute", "4")
    router.wait(router.place(price="93", amount="0.5"), "New")
    assert denied(router, price="80", amount="0.2") == "risk_rate"
    rule(router, "contracts", "btcturk/eth.usdt")
    assert denied(router, price="94") == "risk_contract"
    assert len(venue.ledger()["orders"]) == 4
