"""What stands in the queue is answered in its order, whoever read it first and whatever fails at it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from tests.routing import CONTRACT, Routing, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter.bus.codec import pack_map, pack_record
from tickrouter.bus.keys import MarketKeys
from tickrouter.model.tick import Tick


def wire(router: Routing, command: str, client_oid: str, **changes: str) -> bytes:
    fields = {"id": command, "account": router.account, "action": "place", "client_oid": client_oid}
    fields |= {"contract": CONTRACT, "type": "limit", "side": "b", "price": "90", "amount": "1"}
    return pack_map(fields | changes)


def test_what_a_router_took_that_had_lost_the_lease_is_taken_by_the_one_that_has_it(router: Routing) -> None:
    client_oid = uuid.uuid4().hex
    with router.redis.pipeline(transaction=True) as both:
        # As a router that wakes up and does not know yet: it reads the queue before the one that waits there.
        both.xadd(router.keys.orders, {"d": wire(router, "stolen", client_oid)})
        both.xreadgroup("router", "router", {router.keys.orders: ">"})
        _, taken = both.execute()
    assert taken
    router.wait(client_oid, "New", timeout=5)


def test_a_place_that_the_program_fails_at_is_denied_and_those_behind_it_are_served(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    risk = {"contracts": [CONTRACT], "price_band": "0.5"}
    account = {f"btcturk/{unique}": {"mode": "paper", "risk": risk}}
    with routing(venue, tmp_path / "r", unique, redis_url=redis_url, mongo_url=mongo_url, accounts=account) as router:
        stream = MarketKeys(CONTRACT).stream("tick")
        junk = router.redis.xadd(stream, {"d": b"\xc1"})
        router.start()
        failed = router.wait(router.place("b", "90", "1"), "Denied")
        assert failed.reason is not None
        assert failed.reason.kind == "fault"
        router.redis.xdel(stream, junk)
        now = time.time_ns()
        tick = Tick(now, 100.0, None, ((99.0, 1.0),), ((101.0, 1.0),), CONTRACT, "ticker")
        router.redis.xadd(stream, {"d": pack_record(tick)})
        router.wait(router.place("b", "90", "1"), "New")
        router.redis.delete(stream)


def test_what_cannot_be_read_is_answered_behind_what_came_before_it(router: Routing) -> None:
    first, last = uuid.uuid4().hex, uuid.uuid4().hex
    with router.redis.pipeline(transaction=True) as pipe:
        pipe.xadd(router.keys.orders, {"d": wire(router, "same", first)})
        pipe.xadd(router.keys.orders, {"d": wire(router, "same", first, price="much")})
        pipe.xadd(router.keys.orders, {"d": wire(router, "other", last)})
        pipe.execute()
    router.wait(first, "New")
    router.wait(last, "New")
    until(lambda: not router.redis.xlen(router.keys.orders))
    assert not [event for event in router.events() if event.type == "command_denied"]
