"""The life of orders in the journal under any interleaving: what is published keeps its promises, whatever comes when.

Replies, private messages, polls and late finds come in any order and more than once; every write may be repeated; the
router is started again and knows only what the journal shows; Redis is taken for forgetful and a new epoch opens.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.journal import Journal
from tickrouter.bus.lease import Lease
from tickrouter.bus.order_store import read_order
from tickrouter.core import facts, order_events, order_life
from tickrouter.core.facts import Fact, VenueOrder, VenueState
from tickrouter.core.order_life import IllegalTransition
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Status

NOW = 1_700_000_000_000_000_000
CONTRACT = Contract("btcturk", "btc", "usdt")
OIDS = ("a" * 32, "b" * 32)
IDS = {oid: str(number) for number, oid in enumerate(OIDS, 70)}
AMOUNT, PIECE = 10, 2
REASON = Reason("other")
ANSWERS: tuple[Callable[[str], Fact], ...] = (
    lambda oid: facts.Sending(NOW, "digest"),
    lambda oid: facts.Accepted(IDS[oid]),
    lambda oid: facts.Refused(REASON),
    lambda oid: facts.Deferred(REASON),
    lambda oid: facts.Unanswered(REASON),
    lambda oid: facts.Absent("nowhere"),
    lambda oid: facts.CancelSending(),
    lambda oid: facts.CancelRefused(REASON),
)
PLACES = [f"place-{oid[0]}" for oid in OIDS]
OUTCOMES = ("command_done", "command_denied", "cancel_rejected")
REVISIONS = {
    # A late fill after Canceled, and the find after NeverPlaced: no other end of an order is ever taken back.
    Status.CANCELED: {Status.CANCELED, Status.FILLED},
    Status.NEVER_PLACED: set(Status),
}


def fills_of(oid: str, numbers: set[int]) -> tuple[Fill, ...]:
    """Executions of an order, by number: what a private message or a listing shows of them."""
    zero = Decimal(0)
    return tuple(
        Fill(f"{oid[0]}{number}", Decimal(100), Decimal(PIECE), zero, "usdt", "unknown", NOW)
        for number in sorted(numbers)
    )


class Lives(RuleBasedStateMachine):
    """Two orders, their cancels, one journal."""

    redis: Redis

    @initialize()
    def begin(self) -> None:
        self.account = Account("btcturk", f"t{uuid.uuid4().hex[:10]}")
        self.lease = Lease(self.redis, f"lease:{{{self.account}}}", 600_000)
        assert self.lease.acquire()
        self.epoch = 0
        self.orders: dict[str, Order] = {}
        self.cancels = 0
        self.started()
        self.forgets()

    # --- what happens to the router and to Redis

    @rule()
    def started(self) -> None:
        """A router begins: it knows what the journal shows."""
        self.journal = Journal(self.redis, str(self.account), lambda: self.lease.token)
        self.journal.prepare()
        self.journal.go_on(self.journal.meta())
        for oid, known in self.orders.items():
            found = read_order(self.redis, str(self.account), oid)
            assert found == known
            if known.status is Status.PENDING_NEW and known.stamp is not None:
                self.happen(oid, facts.Interrupted())

    @rule()
    def forgets(self) -> None:
        """Redis is found to have forgotten: a new epoch, and every order that is not final is in doubt."""
        self.epoch += 1
        event = Event(self.account, "epoch", NOW)
        self.journal.open_epoch(self.epoch, self.journal.run_id(), event, "run", opened_ms=NOW // 1_000_000)
        for oid, order in self.orders.items():
            if not order.status.is_final:
                self.happen(oid, facts.Forgotten(NOW))

    # --- commands, each of them perhaps more than once

    @rule(oid=st.sampled_from(OIDS), in_doubt=st.booleans())
    def place(self, oid: str, in_doubt: bool) -> None:
        order = Order(self.account, oid, f"place-{oid[0]}", CONTRACT, "b", "limit", NOW, Decimal(100), Decimal(AMOUNT))
        order = replace(order, step=1, fact="admitted")
        outcome = self.admit(
            lambda entry: self.journal.admit_place(
                entry, order, order_events.first_event(order, NOW), forget_before_ms=0
            )
        )
        assert outcome == ("REPEAT" if oid in self.orders else "ADMITTED")
        self.orders.setdefault(oid, order)
        if in_doubt:
            self.happen(oid, facts.Sending(NOW, "digest"))
            self.happen(oid, facts.Unanswered(REASON))

    @rule(oid=st.sampled_from(OIDS), again=st.booleans())
    def cancel(self, oid: str, again: bool) -> None:
        if oid not in self.orders:
            return
        self.cancels += not (again and self.cancels)
        command = f"cancel-{self.cancels}"
        work = pack_map({"action": "cancel", "targets": [oid]})
        outcome = self.admit(lambda entry: self.journal.admit_work(entry, command, work, [oid], forget_before_ms=0))
        if outcome == "ADMITTED":
            marked = read_order(self.redis, str(self.account), oid)
            assert marked is not None
            self.orders[oid] = marked
            self.happen(oid, facts.CancelAsked(marked.cancel_requested or command))

    @rule()
    def outcomes(self) -> None:
        """Whoever follows the work answers it, and may do so again after a restart."""
        for command in list(self.journal.work()):
            event = Event(self.account, "command_done", NOW, command=command)
            assert self.journal.tell((event,), command=command)
            assert not self.journal.tell((event,), command=command)

    # --- what the venue says, in any order and more than once

    @rule(oid=st.sampled_from(OIDS), answer=st.sampled_from(ANSWERS), twice=st.booleans())
    def answered(self, oid: str, answer: Callable[[str], Fact], twice: bool) -> None:
        self.happen(oid, answer(oid), twice)

    @rule(oid=st.sampled_from(OIDS), numbers=st.sets(st.integers(1, AMOUNT // PIECE), min_size=1), twice=st.booleans())
    def executed(self, oid: str, numbers: set[int], twice: bool) -> None:
        if oid in self.orders and self.orders[oid].stamp is not None:
            self.happen(oid, facts.Executed(fills_of(oid, numbers), IDS[oid], "message"), twice)

    @rule(
        oid=st.sampled_from(OIDS),
        state=st.sampled_from(VenueState),
        filled=st.integers(0, AMOUNT // PIECE),
        compare=st.booleans(),
    )
    def seen(self, oid: str, state: VenueState, filled: int, compare: bool) -> None:
        if oid not in self.orders or self.orders[oid].stamp is None:
            return
        figures = (Decimal(100), Decimal(AMOUNT), Decimal(filled * PIECE))
        found = VenueOrder(IDS[oid], oid, CONTRACT, "b", "limit", *figures, state, NOW)
        self.happen(oid, facts.Seen(found, "listing", compare))

    @rule(oid=st.sampled_from(OIDS), state=st.sampled_from(VenueState), executions=st.booleans())
    def given_up_and_found(self, oid: str, state: VenueState, executions: bool) -> None:
        """Absence was proven, and the venue shows it all the same."""
        if oid not in self.orders or self.orders[oid].status is not Status.IN_DOUBT:
            return
        self.happen(oid, facts.Absent("nowhere"))
        figures = (Decimal(100), Decimal(AMOUNT), Decimal(PIECE))
        found = VenueOrder(IDS[oid], oid, CONTRACT, "b", "limit", *figures, state, NOW)
        late = facts.Executed(fills_of(oid, {1}), IDS[oid], "late") if executions else facts.Seen(found, "late")
        self.happen(oid, late)
        assert self.orders[oid].status not in (Status.NEVER_PLACED, Status.IN_DOUBT)

    # --- the journal

    def admit(self, admission: Callable[[Any], str]) -> str:
        """Queue a command, and admit it; the write may be repeated."""
        self.redis.xadd(self.journal.keys.orders, {"d": b"command"})
        (entry,) = self.journal.claim(pending=False)
        outcome = admission(entry)
        assert admission(entry) == "REPEAT"
        return outcome

    def happen(self, oid: str, fact: Fact, twice: bool = False) -> None:
        """Apply a fact and journal what it comes to."""
        order = self.orders.get(oid)
        if order is None:
            return
        try:
            change = order_life.apply(order, fact, NOW)
        except IllegalTransition:
            if isinstance(fact, facts.Executed):
                # An execution that is told late is never turned away, but where nothing can have been sent.
                assert order.status in (Status.REJECTED, Status.DENIED)
            return
        if change.is_empty:
            return
        assert self.journal.step(change) == "DONE"
        if twice:
            assert self.journal.step(change) == "REPEAT"
            assert (
                self.journal.step(order_life.Change(order, replace(change.order, step=order.step + 5), ()))
                == "CONFLICT"
            )
        was = order.status
        if was.is_final:
            assert change.order.status in REVISIONS.get(was, {was})
        if was is Status.NEVER_PLACED and change.order.status is not was:
            assert change.events[-1].alarm == "late_find"
        self.orders[oid] = change.order

    def events(self) -> list[Event]:
        """All that was published."""
        rows: Any = self.redis.xrange(self.journal.keys.events)
        return [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in rows]

    @invariant()
    def the_promises_hold(self) -> None:
        events = self.events()
        self.numbers_have_no_hole_within_an_epoch(events)
        self.filled_is_the_sum_of_the_published_fills_and_never_falls(events)
        self.every_command_has_one_outcome(events)

    def numbers_have_no_hole_within_an_epoch(self, events: list[Event]) -> None:
        for epoch in range(1, self.epoch + 1):
            mine = [event for event in events if event.epoch == epoch]
            assert [event.seq for event in mine] == list(range(1, len(mine) + 1))
            fills = [event.fill.seq for event in mine if event.fill is not None]
            assert fills == list(range(1, len(fills) + 1))

    def filled_is_the_sum_of_the_published_fills_and_never_falls(self, events: list[Event]) -> None:
        published: dict[str, dict[str, Decimal]] = {oid: {} for oid in OIDS}
        shown: dict[str, Decimal] = dict.fromkeys(OIDS, Decimal(0))
        for event in events:
            if event.client_oid is None:
                continue
            if event.fill is not None:
                assert event.fill.trade_id not in published[event.client_oid]
                published[event.client_oid][event.fill.trade_id] = event.fill.amount
            if event.filled is not None:
                assert event.filled >= shown[event.client_oid]
                shown[event.client_oid] = event.filled
        for oid, order in self.orders.items():
            assert order.filled == sum(published[oid].values(), Decimal(0))
            if not order.fills_pending and order.status.is_final:
                assert order.filled == order.venue_filled

    def every_command_has_one_outcome(self, events: list[Event]) -> None:
        ends = Counter(event.command for event in events if event.type in OUTCOMES)
        assert all(count == 1 for count in ends.values())
        for oid, order in self.orders.items():
            final = [
                Status(event.status)
                for event in events
                if event.client_oid == oid and event.type in ("order", "settled") and Status(event.status).is_final
            ]
            assert all(after is before or after in REVISIONS.get(before, ()) for before, after in pairwise(final))
            assert order.command in PLACES
        work = self.journal.work()
        assert not set(work) & set(ends)
        assert set(work) | set(ends) == {f"cancel-{number}" for number in range(1, self.cancels + 1)}

    @invariant()
    def the_journal_holds_what_the_router_knows(self) -> None:
        for oid, order in self.orders.items():
            assert read_order(self.redis, str(self.account), oid) == order
        open_now = {order.client_oid for order in self.journal.open_orders()}
        assert open_now == {oid for oid, order in self.orders.items() if not order.is_done}


def test_any_interleaving_of_what_can_happen(redis_url: str) -> None:
    redis = connect(redis_url)
    try:
        machine = type("LivesOnRedis", (Lives,), {"redis": redis})
        run_state_machine_as_test(machine, settings=settings(max_examples=50, stateful_step_count=25, deadline=None))
    finally:
        redis.close()
