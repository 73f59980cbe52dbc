"""The journal's scripts on a real server: atomic, harmless when repeated, refused without the lease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from services.stack.servers import redis_server
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.journal import Journal
from tickrouter.bus.lease import Lease
from tickrouter.bus.order_store import read_history, read_order
from tickrouter.bus.worklists import Entry
from tickrouter.core import facts, order_events, order_life
from tickrouter.errors import LeaseLost, RedisForgot
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Replacement, Status


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def account(unique: str) -> Account:
    return Account("btcturk", unique)


@pytest.fixture
def lease(redis: Redis, account: Account) -> Lease:
    lease = Lease(redis, f"lease:{{{account}}}", 60_000)
    assert lease.acquire()
    return lease


@pytest.fixture
def journal(redis: Redis, account: Account, lease: Lease) -> Journal:
    journal = Journal(redis, str(account), lambda: lease.token)
    journal.prepare()
    journal.open_epoch(1, journal.run_id(), Event(account, "epoch", 1), "run")
    return journal


def an_order(account: Account, oid: str = "a" * 32) -> Order:
    return Order(
        account=account,
        client_oid=oid,
        command=f"c-{oid[:4]}",
        contract=Contract("btcturk", "btc", "usdt"),
        side="b",
        type="limit",
        created=time.time_ns(),
        price=Decimal("0.00000081"),
        amount=Decimal(10),
        tags={"strategy": "x", "n": 1},
        step=1,
        fact="admitted",
    )


def admit(journal: Journal, redis: Redis, order: Order, command: str | None = None) -> str:
    redis.xadd(journal.keys.orders, {"d": b"command"})
    (entry,) = journal.claim(pending=False)
    order = replace(order, command=command or order.command)
    event = order_events.first_event(order, order.created)
    return journal.admit_place(entry, order, event, forget_before_ms=0)


def events(redis: Redis, journal: Journal) -> list[Event]:
    return [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in redis.xrange(journal.keys.events)]


def test_an_order_reads_back_as_it_was_written_through_all_its_steps(
    redis: Redis, journal: Journal, account: Account
) -> None:
    order = an_order(account)
    assert admit(journal, redis, order) == "ADMITTED"
    now = time.time_ns()
    fill = Fill("t1", Decimal("0.00000081"), Decimal(4), Decimal("0.1"), "usdt", "unknown", now)
    for fact in (
        facts.Sending(now, "digest"),
        facts.Unanswered(Reason("timeout", "no answer", "504")),
        facts.Executed((fill,), "77", "message"),
        facts.CancelAsked("c2"),
        facts.CancelSending(),
    ):
        change = order_life.apply(order, fact, now)
        assert journal.step(change) == "DONE"
        order = change.order
        assert read_order(redis, str(account), order.client_oid) == order
    assert order.status is Status.PENDING_CANCEL
    assert [line.split(" ", 2)[2] for line in read_history(redis, str(account), order.client_oid)] == [
        "admitted",
        "sent",
        "timeout",
        "execution in message",
        "execution in message",
        "cancel sent",
    ]
    assert journal.client_oid("77") == order.client_oid


def test_numbers_have_no_hole_and_a_repeated_step_writes_nothing(
    redis: Redis, journal: Journal, account: Account
) -> None:
    order = an_order(account)
    admit(journal, redis, order)
    now = time.time_ns()
    sent = order_life.apply(order, facts.Sending(now, "d"), now)
    assert [journal.step(sent), journal.step(sent)] == ["DONE", "REPEAT"]
    fills = tuple(Fill(str(n), Decimal(1), Decimal(5), Decimal(0), "usdt", "unknown", now) for n in range(2))
    filled = order_life.apply(sent.order, facts.Executed(fills, "77", "message"), now)
    assert [journal.step(filled), journal.step(filled)] == ["DONE", "REPEAT"]
    told = events(redis, journal)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert [event.type for event in told] == ["epoch", "order", "fill", "fill", "order"]
    assert [event.fill.seq for event in told if event.fill] == [1, 2]
    published = [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in redis.xrange(journal.keys.fills)]
    assert published == told[2:4]
    assert [entry_id for entry_id, _ in redis.xrange(journal.keys.fills)] == [b"1-1", b"1-2"]
    assert journal.open_orders() == []


def test_a_step_that_does_not_follow_the_last_is_a_conflict(redis: Redis, journal: Journal, account: Account) -> None:
    order = an_order(account)
    admit(journal, redis, order)
    sent = order_life.apply(order, facts.Sending(1, "d"), 1)
    after = order_life.apply(sent.order, facts.Accepted("77"), 1)
    assert journal.step(after) == "CONFLICT"


def test_the_same_command_twice_is_one_order(redis: Redis, journal: Journal, account: Account) -> None:
    order = an_order(account)
    assert [admit(journal, redis, order), admit(journal, redis, order)] == ["ADMITTED", "REPEAT"]
    assert admit(journal, redis, order, command="another-command") == "DUPLICATE"
    (entry,) = journal.claim(pending=True)
    denied = Event(account, "command_denied", 1, command="another-command", reason=Reason("duplicate"))
    assert journal.admit_refused(entry, "another-command", denied, forget_before_ms=0) == "ADMITTED"
    assert [event.type for event in events(redis, journal)] == ["epoch", "order", "command_denied"]
    assert redis.xlen(journal.keys.orders) == 0
    assert journal.claim(pending=True) == []


@pytest.mark.parametrize("is_known", [False, True])
def test_a_child_is_told_of_only_by_the_step_that_writes_it(
    redis: Redis, journal: Journal, account: Account, is_known: bool
) -> None:
    parent, child = an_order(account), an_order(account, "b" * 32)
    admit(journal, redis, parent)
    wanted = Replacement(child.client_oid, "c-amend", Decimal("0.00000082"))
    change = order_life.apply(parent, facts.CancelAsked("c-amend", wanted), 1)
    assert change.child is not None
    if is_known:
        # Redis had forgotten it, and the venue showed it before its parent's end.
        adopted = replace(child, status=Status.NEW, exchange_oid="78")
        assert journal.adopt(adopted, (order_events.first_event(adopted, 1),))
    assert journal.step(change) == "DONE"
    told = [event.status for event in events(redis, journal) if event.client_oid == child.client_oid]
    assert told == ["New" if is_known else "PendingNew"]
    found = read_order(redis, str(account), child.client_oid)
    assert found is not None
    assert found.status == told[-1]


def test_a_halted_account_takes_no_order(redis: Redis, journal: Journal, account: Account) -> None:
    redis.set(journal.keys.halt, "halt:me:test")
    order = an_order(account)
    assert admit(journal, redis, order) == "HALTED"
    assert read_order(redis, str(account), order.client_oid) is None
    denied = order_life.apply(replace(order, step=0), facts.Denied(Reason("halt")), order.created).order
    (entry,) = journal.claim(pending=True)
    told = order_events.first_event(denied, 1)
    assert journal.admit_place(entry, denied, told, forget_before_ms=0) == "ADMITTED"
    assert read_order(redis, str(account), order.client_oid) == denied
    redis.delete(journal.keys.halt)
    assert admit(journal, redis, an_order(account, "b" * 32)) == "HALTED"
    assert journal.open_orders() == []


def test_a_halt_does_not_keep_out_an_order_that_may_have_been_sent(
    redis: Redis, journal: Journal, account: Account
) -> None:
    redis.set(journal.keys.halt, "halt:me:test")
    order = an_order(account)
    doubtful = order_life.apply(replace(order, step=0), facts.Forgotten(order.created), order.created).order
    assert admit(journal, redis, doubtful) == "ADMITTED"
    assert journal.open_orders() == [doubtful]


def test_the_last_look_before_a_request_leaves(redis: Redis, journal: Journal, account: Account) -> None:
    far = int(time.time() * 1000) + 60_000
    for number, (prepare, outcome) in enumerate(
        [
            (lambda _: redis.set(journal.keys.halt, "halt:me:test"), "HALT"),
            (lambda oid: redis.hset(journal.keys.order(oid), "cancel_requested", "c9"), "CANCEL"),
            (lambda _: None, "AGE"),
            (lambda _: None, "DONE"),
        ]
    ):
        redis.set(journal.keys.halt, "run")
        order = an_order(account, f"{number}" * 32)
        admit(journal, redis, order)
        prepare(order.client_oid)
        change = order_life.apply(order, facts.Sending(1, "d"), 1)
        assert journal.step(change, guard_ms=1 if outcome == "AGE" else far) == outcome
        sent = read_order(redis, str(account), order.client_oid)
        assert sent is not None
        assert (sent.stamp is not None) == (outcome == "DONE")


def test_without_the_lease_nothing_is_written(redis: Redis, journal: Journal, account: Account, lease: Lease) -> None:
    order = an_order(account)
    admit(journal, redis, order)
    redis.set(f"lease:{{{account}}}", "another's token")
    assert not lease.renew()
    with pytest.raises(LeaseLost):
        journal.step(order_life.apply(order, facts.Sending(1, "d"), 1))
    assert read_order(redis, str(account), order.client_oid) == order


def test_a_server_that_is_behind_its_word_is_noticed(redis: Redis, journal: Journal, account: Account) -> None:
    order = an_order(account)
    admit(journal, redis, order)
    redis.hset(journal.keys.meta, "rev", 0)
    with pytest.raises(RedisForgot):
        journal.step(order_life.apply(order, facts.Sending(1, "d"), 1))
    redis.delete(journal.keys.meta)
    with pytest.raises(RedisForgot):
        journal.tell((Event(account, "reconciled", 1),))


def test_a_restarted_server_is_noticed_and_an_unanswered_write_is_sent_again(tmp_path: Path) -> None:
    server = redis_server(tmp_path, appendfsync="always")
    server.start()
    try:
        client = connect(server.url)
        account = Account("btcturk", "main")
        lease = Lease(client, f"lease:{{{account}}}", 60_000)
        lease.acquire()
        journal = Journal(client, str(account), lambda: lease.token)
        journal.prepare()
        journal.open_epoch(1, journal.run_id(), Event(account, "epoch", 1), "run")
        order = an_order(account)
        admit(journal, client, order)
        server.kill()
        server.start()
        with pytest.raises(RedisForgot, match="restarted"):
            journal.step(order_life.apply(order, facts.Sending(1, "d"), 1))
        assert read_order(client, str(account), order.client_oid) == order
        assert journal.meta().run_id != journal.run_id()
    finally:
        server.stop()


def test_work_is_kept_until_its_outcome_and_marks_orders(redis: Redis, journal: Journal, account: Account) -> None:
    order = an_order(account)
    admit(journal, redis, order)
    redis.xadd(journal.keys.orders, {"d": b"cancel"})
    (entry,) = journal.claim(pending=False)
    work = pack_map({"action": "cancel"})
    assert journal.admit_work(entry, "c2", work, [order.client_oid], forget_before_ms=0) == "ADMITTED"
    assert journal.work() == {"c2": work}
    marked = read_order(redis, str(account), order.client_oid)
    assert marked is not None
    assert marked.cancel_requested == "c2"
    done = Event(account, "command_done", 1, command="c2")
    assert [journal.tell((done,), command="c2"), journal.tell((done,), command="c2")] == [True, False]
    assert journal.work() == {}
    assert [event.type for event in events(redis, journal)].count("command_done") == 1


def test_what_cannot_be_read_is_put_aside_with_its_digest(redis: Redis, journal: Journal) -> None:
    redis.xadd(journal.keys.orders, {"d": b"\xc1" * 10_000})
    (entry,) = journal.claim(pending=False)
    journal.bury(entry, "no msgpack", 100)
    ((_, fields),) = redis.xrange(journal.keys.dead)
    assert (len(fields[b"d"]), fields[b"length"], len(fields[b"sha256"])) == (4096, b"10000", 64)
    assert redis.xlen(journal.keys.orders) == 0


def test_an_entry_without_its_field_is_claimed_as_empty(redis: Redis, journal: Journal) -> None:
    redis.xadd(journal.keys.orders, {"other": b"field"})
    assert [entry.data for entry in journal.claim(pending=False)] == [None]
    assert isinstance(journal.claim(pending=True)[0], Entry)
