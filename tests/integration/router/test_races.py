"""Two things at once about one order: none of them may be told as something that is not so."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from services.stack.servers import Server
from tests.routing import now_ms, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus import controls

PLACE, CANCEL = "POST /api/v1/order", "DELETE /api/v1/order"


def test_a_place_that_comes_twice_is_not_denied_while_it_is_on_its_way(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    # No private message tells of the order before its answer does.
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, socket_key=False) as router:
        router.start()
        venue.fault("late_answer", PLACE, delay_ms=1500)
        fields: dict[str, Any] = {"client_oid": uuid.uuid4().hex, "id": "the-same-command", "ttl_ms": 400}
        oid = router.place("b", "90", "1", **fields)
        until(lambda: venue.ledger(oid)["orders"])
        asked = (router.order(oid) or router.wait(oid, "PendingNew")).created // 1_000_000
        until(lambda: now_ms() > asked + 450)
        router.place("b", "90", "1", **fields)
        assert router.wait(oid, "New", "Denied").status == "New"
        assert len(venue.ledger(oid)["orders"]) == 1


def test_a_cancel_counts_as_refused_only_after_the_venue_has_answered_it(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    slow = {"router": {"lease_ms": 600, "request_timeout": 8.0, "poll_interval": 1.0, "egress": unique}}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, **slow) as router:
        router.start()
        old = router.place("b", "90", "1")
        router.wait(old, "New")
        # Longer than an order may stay open whose cancel the venue took.
        venue.fault("refuse_late", CANCEL, delay_ms=3500)
        new = uuid.uuid4().hex
        command = router.send(action="amend", orig_client_oid=old, client_oid=new, price="91")
        assert router.wait_event(command, timeout=15).type == "command_done"
        router.wait(old, "Replaced")
        assert router.wait(new, "New").price == 91


def test_a_strategy_whose_sign_of_life_redis_forgot_is_not_gone(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    lag: dict[str, Any] = {"capabilities": {"visibility_lag": 0.3, "stamp_tolerance": 0.3}}
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **lag) as router:
        router.start()
        controls.show_alive(router.redis, router.account, "mm", 60)
        watched = router.place("b", "90", "1", tags={"strategy": "mm", "cancel_on_disconnect": True})
        later = router.place("b", "91", "1", cancel_after_ms=6000)
        for oid in (watched, later):
            router.wait(oid, "New")
        router.redis.delete(router.keys.alive("mm"))
        orders_redis.kill()
        orders_redis.start()
        until(lambda: any(event.epoch == 2 for event in router.events()), 15)
        router.wait(later, "Canceled", timeout=15)
        assert router.wait(watched, "New").cancel_requested is None
        # Once it was heard of, its silence counts.
        controls.show_alive(router.redis, router.account, "mm", 1.0)
        router.wait(watched, "Canceled")


def test_a_venue_whose_clock_is_ahead_shortens_no_quiet_window(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    settings: dict[str, Any] = {"capabilities": {"visibility_lag": 8.0, "stamp_tolerance": 1.0}, "socket_key": False}
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **settings) as router:
        venue.skew(60_000)
        router.start()
        venue.fault("hide_order", PLACE, delay_ms=6000, lose=True)
        oid = router.place("b", "90", "1")
        until(lambda: (found := router.order(oid)) and found.status == "InDoubt")
        orders_redis.kill()
        orders_redis.start()
        router.wait(oid, "New", timeout=20)
        assert "NeverPlaced" not in [event.status for event in router.events() if event.client_oid == oid]
        assert any(event.epoch == 2 for event in router.events())
