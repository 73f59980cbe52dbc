"""Replies lost, routers killed, servers killed: one venue order a command, no outcome guessed."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from services.stack import cli
from services.stack.servers import Server
from tests.routing import Routing, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus.order_store import read_findings

PLACE = "POST /api/v1/order"


def placed(venue: Simulation, client_oid: str) -> int:
    return len(venue.ledger(client_oid)["orders"])


def test_a_lost_reply_is_doubt_until_the_order_is_found(router: Routing, venue: Simulation) -> None:
    venue.fault("lose_reply", PLACE)
    client_oid = router.place("b", "90", "1")
    order = router.wait(client_oid, "New")
    statuses = [event.status for event in router.events() if event.client_oid == client_oid]
    assert "InDoubt" in statuses or order.fact.startswith("open in")
    assert placed(venue, client_oid) == 1
    assert order.attempt == 1


def test_a_reply_lost_without_private_messages_is_settled_by_the_listings(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, socket_key=False) as router:
        router.start()
        venue.fault("lose_reply", PLACE, count=2)
        resting, crossing = router.place("b", "90", "1"), router.place("b", "101", "1")
        router.wait(resting, "New")
        assert router.wait(crossing, "Filled").filled == 1
        for client_oid in (resting, crossing):
            told = [event.status for event in router.events() if event.client_oid == client_oid]
            assert told[1] == "InDoubt"
            assert placed(venue, client_oid) == 1
        assert len(router.fills()) == 1


def test_an_error_page_before_executing_ends_in_never_placed_by_evidence(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    lag = {"visibility_lag": 0.5, "stamp_tolerance": 0.5}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, capabilities=lag) as router:
        router.start()
        venue.fault("server_error", PLACE, status=502, execute=False)
        order = router.wait(router.place("b", "90", "1"), "NeverPlaced", timeout=20)
        assert placed(venue, order.client_oid) == 0
        assert order.reason is not None
        assert "answered" in order.reason.text
        assert venue.counts()["requests"][PLACE] == 1
        looked = read_findings(router.redis, router.account, order.client_oid)
        assert looked is not None
        assert looked.verdict == f"absent: {order.reason.text}"
        assert (set(looked.answered), looked.missing) == ({"open_orders", "all_orders", "trades"}, ())
        assert looked.quiet_until == (order.stamp or 0) + 1_000_000_000
        assert looked.quiet_until < looked.venue_time


def test_an_order_that_was_never_placed_is_watched_for_a_day_and_a_late_find_revises_it(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    settings: dict[str, Any] = {"capabilities": {"visibility_lag": 0.3, "stamp_tolerance": 0.3}}
    settings |= {"router": {"lease_ms": 600, "reconcile_interval": 0.3, "egress": unique}}
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    # No private message tells of the order before its listings do.
    with routing(venue, tmp_path / "r", unique, **servers, socket_key=False, **settings) as router:
        router.start()
        venue.fault("hide_order", PLACE, delay_ms=3000, lose=True)
        client_oid = router.place("b", "90", "1")
        given_up = router.wait(client_oid, "NeverPlaced")
        watch = router.redis.zrange(router.keys.watch, 0, -1, withscores=True)
        assert [(oid.decode(), until_ms // 60_000) for oid, until_ms in watch] == [
            (client_oid, (given_up.updated // 1_000_000 + 24 * 3_600_000) // 60_000)
        ]
        # Whoever routes by then goes on watching.
        router.kill()
        router.start()
        found = router.wait(client_oid, "New", timeout=15)
        assert found.exchange_oid == str(venue.ledger(client_oid)["orders"][0]["id"])
        assert [event.status for event in router.events() if event.alarm == "late_find"] == ["New"]
        assert router.redis.zcard(router.keys.watch) == 0
        assert placed(venue, client_oid) == 1


def test_what_evidence_still_lacks_is_shown_while_an_order_is_in_doubt(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, socket_key=False) as router:
        router.start()
        venue.fault("server_error", PLACE, status=502, execute=False)
        venue.fault("server_error", "GET /api/v1/users/transactions/trade", status=502, count=1000)
        oid = router.place("b", "90", "1")
        looked = until(lambda: read_findings(router.redis, router.account, oid))
        assert (set(looked.answered), looked.missing) == ({"open_orders", "all_orders"}, ("trades",))
        router.kill()
        router.start()
        until(lambda: (read_findings(router.redis, router.account, oid) or looked).passes > looked.passes)
        shown = CliRunner().invoke(cli.app, ["order", "show", oid, "--config", str(router.folder / "tickrouter.yaml")])
        text = " ".join(shown.output.split())
        assert "answered in full: open_orders (0 rows), all_orders (0 rows); no full answer: trades" in text
        assert "the end of the quiet window" in text


def test_a_refusal_by_limit_is_another_attempt_of_the_same_order(router: Routing, venue: Simulation) -> None:
    venue.fault("refuse_by_limit", PLACE, retry_after=1)
    order = router.wait(router.place("b", "90", "1"), "New")
    assert order.attempt == 2
    assert placed(venue, order.client_oid) == 1


def test_a_router_killed_between_sending_and_the_answer_leaves_one_order(router: Routing, venue: Simulation) -> None:
    venue.fault("late_answer", PLACE, delay_ms=5000)
    client_oid = router.place("b", "90", "1")
    until(lambda: placed(venue, client_oid) == 1)
    router.kill()
    left = router.order(client_oid)
    assert left is not None
    router.start()
    order = router.wait(client_oid, "New")
    assert placed(venue, client_oid) == 1
    assert order.attempt == 1
    assert [event.seq for event in router.events()] == list(range(1, len(router.events()) + 1))


def test_a_killed_router_misses_no_fill_and_publishes_none_twice(router: Routing, venue: Simulation) -> None:
    client_oid = router.place("b", "100", "3")
    router.wait(client_oid, "New")
    venue.trade("BTCUSDT", "99.50", "1", "sell")
    until(lambda: len(router.fills()) == 1)
    router.kill()
    venue.trade("BTCUSDT", "99.50", "2", "sell")
    router.start()
    router.wait(client_oid, "Filled")
    assert sorted(event.fill.trade_id for event in router.fills() if event.fill) == sorted(
        row["trade_id"] for row in venue.ledger(client_oid)["fills"]
    )


def test_a_second_router_takes_over_and_one_that_wakes_up_changes_nothing(router: Routing, venue: Simulation) -> None:
    first = router.processes[-1]
    router.start(ready=False)
    until(lambda: "another router holds the lease" in router.log)
    first.send_signal(signal.SIGSTOP)
    client_oid = router.place("b", "90", "1")
    router.wait(client_oid, "New", timeout=8)
    first.send_signal(signal.SIGCONT)
    second = router.place("b", "91", "1")
    router.wait(second, "New")
    assert (placed(venue, client_oid), placed(venue, second)) == (1, 1)
    assert [event.seq for event in router.events()] == list(range(1, len(router.events()) + 1))


def test_a_killed_redis_opens_an_epoch_and_loses_nothing(
    venue: Simulation, tmp_path: Path, unique: str, orders_redis: Server, mongo_url: str
) -> None:
    lag: dict[str, Any] = {"capabilities": {"visibility_lag": 0.5, "stamp_tolerance": 0.5}}
    with routing(venue, tmp_path / "r", unique, redis_url=orders_redis.url, mongo_url=mongo_url, **lag) as router:
        router.start()
        before = router.place("b", "90", "1")
        order = router.wait(before, "New")
        orders_redis.kill()
        orders_redis.start()
        until(lambda: any(event.epoch == 2 for event in router.events()), 15)
        after = router.place("b", "101", "1")
        reopened = time.time_ns()
        router.wait(after, "Filled", timeout=15)
        router.wait(before, "New", timeout=15)
        # The server had synced each write, so it forgot no permits; but the venue was looked through first.
        opened = int(router.redis.hget(router.keys.meta, "opened") or 0)
        stamp = (router.order(after) or order).stamp or 0
        assert opened * 1_000_000 + 1_000_000_000 <= stamp < reopened + 10_000_000_000
        assert (placed(venue, before), placed(venue, after)) == (1, 1)
        epochs = {event.epoch for event in router.events()}
        assert epochs == {1, 2}
        second = [event.seq for event in router.events() if event.epoch == 2]
        assert second == list(range(1, len(second) + 1))
        assert any(event.type == "epoch" and event.alarm == "redis_forgot" for event in router.events())


def test_a_hundred_orders_at_once_meet_no_refusal(router: Routing, venue: Simulation) -> None:
    oids = [router.place("b", "90", "1", ttl_ms=120_000) for _ in range(100)]
    until(lambda: len(venue.ledger()["orders"]) == 100, 60, every=0.5)
    for client_oid in oids:
        router.wait(client_oid, "New")
    assert len({order["orderClientId"] for order in venue.ledger()["orders"]}) == 100
    assert venue.counts()["refused_total"] == 0
