"""Orders that the journal has let go: MongoDB's copy, asked only where Redis cannot know."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.publishing import TIME, RouterPen
from tickrouter import Client, Fill, Order, Reason, Status, StorageError, Unreadable
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.config import Config
from tickrouter.history.order_copies import copy_of
from tickrouter.history.outbox import Published, store_events, store_orders
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event
from tickrouter.model.order import Replacement

OID, OTHER = "0123456789abcdef" * 2, "e" * 32
NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"


def full(account: str) -> Order:
    """An order with a value in every field."""
    fill = Fill("77", Decimal("1000.5"), Decimal("0.5"), Decimal("-0.45"), "try", "maker", TIME, 3)
    order = Order(Account.parse(account), OID, "c-1", Contract("btcturk", "btc", "try"), "s", "stop_limit", TIME)
    return replace(
        order,
        price=Decimal("1000.50"),
        amount=Decimal("0.00000001"),
        quote_amount=Decimal(250),
        stop_price=Decimal(999),
        tags={"strategy": "grid", "levels": [1, {"deep": 2.5}], "raw": b"\x00"},
        ttl_ms=5,
        status=Status.CANCELED,
        step=9,
        attempt=2,
        stamp=TIME + 1,
        digest="d1",
        exchange_oid="900",
        filled=Decimal("0.5"),
        average_price=Decimal("1000.333333333333333333333333"),
        fills={"77": fill},
        venue_filled=Decimal("0.75"),
        cancel_requested="c-2",
        cancel_sent=True,
        cancel_after_ms=1500,
        cancel_at=TIME + 2,
        replacement=Replacement(OTHER, "c-3", Decimal(5), Decimal(6)),
        parent=OTHER,
        reason=Reason("absent", "all answered", "1"),
        fact="canceled",
        updated=TIME + 3,
    )


def copy_events(redis: Redis, db: Any, account: str) -> None:
    """What an archiver does: everything that is published, into MongoDB."""
    entries = []
    for entry_id, fields in redis.xrange(AccountKeys(account).events):
        epoch, _, seq = entry_id.partition(b"-")
        data = fields[b"d"]
        entries.append(Published((int(epoch), int(seq)), data, Event.from_wire(unpack_map(data))))
    store_events(db, Account.parse(account), entries, TIME)


def test_an_order_comes_back_from_its_copy_as_it_was(client: Client, db: Any, account: str) -> None:
    order = full(account)
    store_orders(db, [(1, order)])
    assert copy_of(db, Account.parse(account), OID) == order
    assert client.order(OID) == order
    assert client.order(OTHER) is None
    db.orders.update_one({}, {"$set": {"status": "Gone"}})
    with pytest.raises(Unreadable):
        client.order(OID)


def test_the_journal_wins_over_the_copy(client: Client, db: Any, account: str, router: RouterPen) -> None:
    store_orders(db, [(1, full(account))])
    newer = router.order(OID, Status.FILLED, step=11)
    assert client.order(OID) == newer


def test_a_queued_order_needs_no_mongodb(redis_url: str, account: str) -> None:
    with Client(Config(), account=account, redis_url=redis_url, mongo_url=NOWHERE) as client:
        oid = client.place("btcturk/btc.try", "b", "1", "2")
        assert client.order(oid) is None
        with pytest.raises(TimeoutError):
            client.wait(oid, timeout=0.1)
        with pytest.raises(StorageError):
            client.order(OTHER)


def test_an_order_that_ended_long_ago_is_waited_for_no_more(
    client: Client, redis: Redis, db: Any, account: str, router: RouterPen
) -> None:
    router.event(client_oid=OID, status="New")
    router.event(client_oid=OID, status="Canceled")
    router.event(type="settled", client_oid=OTHER, status="NeverPlaced")
    copy_events(redis, db, account)
    redis.xtrim(router.keys.events, maxlen=0, approximate=False)
    router.event(client_oid="d" * 32, status="New")
    store_orders(db, [(1, full(account))])
    assert client.wait(OID, timeout=5).id == "1-2"
    assert client.wait(OTHER, timeout=5).type == "settled"


def test_a_late_refusal_is_not_taken_for_an_old_orders_end(
    client: Client, redis: Redis, db: Any, account: str, router: RouterPen
) -> None:
    router.event(client_oid=OID, status="Filled")
    copy_events(redis, db, account)
    redis.xtrim(router.keys.events, maxlen=0, approximate=False)
    router.event(type="command_denied", client_oid=OID, reason={"kind": "not_in_doubt"})
    assert client.wait(OID, timeout=5).status == "Filled"


def test_a_refused_place_needs_no_mongodb_even_where_the_stream_was_trimmed(
    redis_url: str, redis: Redis, account: str, router: RouterPen
) -> None:
    router.event(client_oid=OTHER, status="New")
    router.event(type="command_denied", client_oid=OID, reason={"kind": "invalid"})
    with Client(Config(), account=account, redis_url=redis_url, mongo_url=NOWHERE) as client:
        assert client.wait(OID, timeout=5).type == "command_denied"
        redis.xtrim(router.keys.events, maxlen=1, approximate=False)
        assert client.wait(OID, timeout=5).type == "command_denied"


def test_a_refused_place_of_long_ago(client: Client, redis: Redis, db: Any, account: str, router: RouterPen) -> None:
    router.event(type="command_denied", client_oid=OID, reason={"kind": "invalid"})
    copy_events(redis, db, account)
    redis.xtrim(router.keys.events, maxlen=0, approximate=False)
    router.event(client_oid=OTHER, status="New")
    assert client.wait(OID, timeout=5).type == "command_denied"


def test_an_operators_verdict_ends_an_order(client: Client, router: RouterPen) -> None:
    router.order(OID, Status.NEVER_PLACED)
    router.event(type="settled", client_oid=OID, status="NeverPlaced", reason={"kind": "operator", "text": "ada: x"})
    event = client.wait(OID, timeout=5)
    assert (event.type, event.status) == ("settled", "NeverPlaced")
