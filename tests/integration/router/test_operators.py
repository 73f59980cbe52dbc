"""What operators said: it counts before the first command, is told though no router ran, and outlives a wiped Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.stack.servers import Server
from tests.routing import Routing, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls
from tickrouter.bus.codec import pack_map
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes
from tickrouter.model.event import Event

NOTIONAL = "max_notional:usdt"


def told(router: Routing, fact: str) -> Event:
    """The event that says so."""
    return until(lambda: next((event for event in router.events() if event.fact == fact), None))


def copied(mongo_url: str, name: str, *events: Event) -> None:
    """Events in MongoDB, as the archiver copies them."""
    db: Any = database(connect_mongo(mongo_url), name)
    ensure_indexes(db)
    rows = [
        {"_id": f"{event.account}#{event.epoch}#{event.seq}", "account": str(event.account), "epoch": event.epoch}
        | {"seq": event.seq, "type": event.type, "fact": event.fact}
        for event in events
    ]
    db.events.insert_many(rows)


def test_the_rules_count_for_what_the_router_before_had_claimed(router: Routing) -> None:
    router.stop()
    controls.set_risk(router.redis, router.account, NOTIONAL, "50")
    client_oid = router.place("b", "90", "1")
    assert router.redis.xreadgroup("router", "router", {router.keys.orders: ">"})
    router.start()
    denied = router.wait(client_oid, "Denied")
    assert (denied.reason and denied.reason.kind) == "risk_notional"


def test_the_rules_count_for_an_amend_that_the_router_before_had_admitted(router: Routing, venue: Simulation) -> None:
    old = router.place("b", "90", "0.5")
    router.wait(old, "New")
    router.kill()
    controls.set_risk(router.redis, router.account, NOTIONAL, "50")
    # As a router leaves it that dies behind the admission.
    wanted = {"client_oid": "e" * 32, "command": "admitted", "amount": "1"}
    work = pack_map({"action": "amend", "targets": [old], "replacement": wanted})
    router.redis.hset(router.keys.work, "admitted", work)
    router.start()
    outcome = router.wait_event("admitted")
    assert (outcome.type, outcome.reason and outcome.reason.kind) == ("amend_rejected", "risk_notional")
    assert router.wait(old, "New").cancel_requested is None
    assert len(venue.ledger()["orders"]) == 1


def test_what_was_said_while_no_router_ran_is_told_by_the_next_one(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url) as router:
        router.start()
        controls.set_halt(router.redis, router.account, "ada", "lunch")
        controls.set_risk(router.redis, router.account, NOTIONAL, "50")
        halt, rule = told(router, "halt:ada:lunch"), told(router, f"{NOTIONAL} = 50")
        copied(mongo_url, unique, halt, rule)
        router.stop()
        router.start()
        controls.set_risk(router.redis, router.account, "price_band", "0.1")
        told(router, "price_band = 0.1")
        facts = [event.fact for event in router.events()]
        assert facts.count(halt.fact) == facts.count(rule.fact) == 1, "what did not change is not told again"
        router.stop()
        controls.resume(router.redis, router.account)
        controls.unset_risk(router.redis, router.account, NOTIONAL)
        router.start()
        assert told(router, "run").type == "halt"
        assert told(router, f"{NOTIONAL} as configured").type == "risk"


def test_risk_rules_come_back_after_a_wipe_and_a_newer_word_counts_over_them(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    short: dict[str, Any] = {"capabilities": {"visibility_lag": 0.5, "stamp_tolerance": 0.5}, "longest_window": 1.0}
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **short) as router:
        router.start()
        for rule, text in ((NOTIONAL, "50"), ("price_band", "0.1"), ("max_open_orders", "9")):
            controls.set_risk(router.redis, router.account, rule, text)
        facts = [f"{NOTIONAL} = 50", "price_band = 0.1", "max_open_orders = 9"]
        events = [told(router, fact) for fact in facts]
        controls.unset_risk(router.redis, router.account, "price_band")
        copied(mongo_url, unique, *events, told(router, "price_band as configured"))
        router.kill()
        router.redis.flushall()
        controls.set_risk(router.redis, router.account, "max_open_orders", "7")
        router.start()
        denied = router.wait(router.place("b", "90", "1"), "Denied", timeout=20)
        assert (denied.reason and denied.reason.kind) == "risk_notional"
        assert controls.read_risk(router.redis, router.account) == {NOTIONAL: "50", "max_open_orders": "7"}


def test_a_query_that_the_venue_does_not_answer_says_so(router: Routing, venue: Simulation) -> None:
    client_oid = router.place("b", "90", "1")
    router.wait(client_oid, "New")
    assert router.wait_event(router.send(action="query", client_oid=client_oid)).reason is None
    venue.fault("server_error", "GET /api/v1/order/*", status=502, count=1000)
    done = router.wait_event(router.send(action="query", client_oid=client_oid))
    assert (done.type, done.reason and done.reason.kind) == ("command_done", "unanswered")
