"""The life of an order: the table, and any interleaving of what may happen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from tickrouter.core import facts, order_life
from tickrouter.core.facts import VenueOrder, VenueState
from tickrouter.core.order_life import IllegalTransition
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Replacement, Status

ACCOUNT = Account("btcturk", "main")
CONTRACT = Contract("btcturk", "btc", "usdt")
NOW = 1_700_000_000_000_000_000


def an_order(**changes: Any) -> Order:
    order = Order(
        account=ACCOUNT,
        client_oid="a" * 32,
        command="c1",
        contract=CONTRACT,
        side="b",
        type="limit",
        created=NOW,
        price=Decimal(100),
        amount=Decimal(10),
        step=1,
    )
    return replace(order, **changes)


def a_fill(trade_id: str, amount: str = "4", price: str = "100") -> Fill:
    return Fill(trade_id, Decimal(price), Decimal(amount), Decimal("0.1"), "usdt", "unknown", NOW)


def at_venue(state: VenueState = VenueState.OPEN, filled: str = "0", amount: str | None = "10") -> VenueOrder:
    return VenueOrder(
        "77",
        "A" * 32,
        CONTRACT,
        "b",
        "limit",
        Decimal(100),
        Decimal(amount) if amount else None,
        Decimal(filled),
        state,
        NOW,
    )


def lived(*happened: facts.Fact, order: Order | None = None) -> Order:
    order = order or an_order()
    for fact in happened:
        order = order_life.apply(order, fact, NOW).order
    return order


SENT = facts.Sending(NOW, "digest")


@pytest.mark.parametrize(
    ("happened", "status"),
    [
        ((facts.Denied(Reason("age")),), Status.DENIED),
        ((SENT,), Status.PENDING_NEW),
        ((SENT, facts.Accepted("77")), Status.NEW),
        ((SENT, facts.Refused(Reason("invalid_order"))), Status.REJECTED),
        ((SENT, facts.Deferred(Reason("rate_limit"))), Status.PENDING_NEW),
        ((SENT, facts.Unanswered(Reason("timeout"))), Status.IN_DOUBT),
        ((SENT, facts.Interrupted()), Status.IN_DOUBT),
        ((SENT, facts.Unanswered(Reason("timeout")), facts.Absent("nowhere")), Status.NEVER_PLACED),
        ((SENT, facts.Unanswered(Reason("timeout")), facts.Seen(at_venue(), "open orders")), Status.NEW),
        ((SENT, facts.Accepted("77"), facts.Executed((a_fill("1"),), "77", "x")), Status.PARTIALLY_FILLED),
        ((SENT, facts.Accepted("77"), facts.Executed((a_fill("1", "10"),), "77", "x")), Status.FILLED),
        ((SENT, facts.Accepted("77"), facts.CancelSending()), Status.PENDING_CANCEL),
        ((facts.CancelAsked("c2"),), Status.CANCELED),
        ((SENT, facts.CancelAsked("c2")), Status.PENDING_NEW),
        ((SENT, facts.Unanswered(Reason("timeout")), facts.CancelAsked("c2")), Status.IN_DOUBT),
    ],
)
def test_where_facts_lead(happened: tuple[facts.Fact, ...], status: Status) -> None:
    assert lived(*happened).status is status


def test_a_signed_request_is_never_signed_again_without_a_definite_answer() -> None:
    with pytest.raises(IllegalTransition, match="no definite answer"):
        lived(SENT, facts.Sending(NOW + 1, "again"))
    doubtful = lived(SENT, facts.Unanswered(Reason("timeout")))
    with pytest.raises(IllegalTransition):
        order_life.apply(doubtful, facts.Sending(NOW + 1, "again"), NOW)
    again = lived(SENT, facts.Deferred(Reason("rate_limit")), facts.Sending(NOW + 1, "again"))
    assert (again.attempt, again.stamp) == (2, NOW + 1)


def test_the_second_copy_of_a_fill_changes_nothing() -> None:
    once = lived(SENT, facts.Accepted("77"), facts.Executed((a_fill("1"),), "77", "message"))
    change = order_life.apply(once, facts.Executed((a_fill("1"),), "77", "poll"), NOW)
    assert change.is_empty
    assert once.filled == Decimal(4)


def test_a_status_ahead_of_the_executions_is_pending_until_the_sums_agree() -> None:
    closed = order_life.apply(
        lived(SENT, facts.Accepted("77")), facts.Seen(at_venue(VenueState.CLOSED, "10"), "order"), NOW
    )
    assert closed.order.status is Status.FILLED
    assert closed.order.fills_pending
    assert not closed.order.is_done
    assert closed.events[-1].fills_pending
    part = order_life.apply(closed.order, facts.Executed((a_fill("1"),), "77", "executions"), NOW)
    assert part.order.fills_pending
    assert [event.type for event in part.events] == ["fill"]
    whole = order_life.apply(part.order, facts.Executed((a_fill("2", "6"),), "77", "executions"), NOW)
    assert whole.order.is_done
    assert [event.type for event in whole.events] == ["fill", "order"]
    assert not whole.events[-1].fills_pending


def test_a_market_order_whose_rest_was_dropped_is_canceled_with_what_it_filled() -> None:
    order = lived(
        SENT,
        facts.Accepted("77"),
        facts.Executed((a_fill("1"),), "77", "message"),
        facts.Seen(at_venue(VenueState.CLOSED, "4"), "order"),
        order=an_order(type="market", price=None),
    )
    assert (order.status, order.filled, order.is_done) == (Status.CANCELED, Decimal(4), True)


def test_a_quote_amount_learns_its_base_amount_from_the_venue() -> None:
    order = an_order(type="market", price=None, amount=None, quote_amount=Decimal(1000))
    order = lived(SENT, facts.Accepted("77"), facts.Executed((a_fill("1", "9.99"),), "77", "message"), order=order)
    assert order.status is Status.PARTIALLY_FILLED
    order = lived(facts.Seen(at_venue(VenueState.CLOSED, "9.99", "9.9900000000000001"), "order"), order=order)
    assert (order.status, order.is_done) == (Status.FILLED, True)


def test_a_late_fill_after_canceled_is_published() -> None:
    canceled = lived(
        SENT, facts.Accepted("77"), facts.CancelSending(), facts.Seen(at_venue(VenueState.CANCELED), "order")
    )
    late = order_life.apply(canceled, facts.Executed((a_fill("9"),), "77", "message"), NOW)
    assert late.order.status is Status.CANCELED
    assert late.events[0].fill is not None
    assert late.order.filled == Decimal(4)


def test_a_find_after_never_placed_is_adopted_with_an_alarm() -> None:
    never = lived(SENT, facts.Unanswered(Reason("timeout")), facts.Absent("nowhere"))
    found = order_life.apply(never, facts.Seen(at_venue(), "all orders"), NOW)
    assert found.order.status is Status.NEW
    assert found.events[-1].alarm == "late_find"


@pytest.mark.parametrize("given_up", [facts.Absent("nowhere"), facts.Settled(Status.NEVER_PLACED, "ada", "not there")])
def test_a_late_find_brings_forth_no_order_of_an_amend_that_was_rejected(given_up: facts.Fact) -> None:
    """The amend was answered when the order was given up; a plain cancel is still wanted."""
    doubtful = lived(SENT, facts.Unanswered(Reason("timeout")))
    found = facts.Seen(at_venue(), "all orders")
    amended = lived(facts.CancelAsked("c2", Replacement("b" * 32, "c2")), given_up, found, order=doubtful)
    assert (amended.status, amended.cancel_requested, amended.replacement) == (Status.NEW, None, None)
    cancelled = lived(facts.CancelAsked("c2"), given_up, found, order=doubtful)
    assert (cancelled.status, cancelled.cancel_requested) == (Status.NEW, "c2")


def test_what_an_amend_leaves_over_has_no_more_decimals_than_the_venue_takes() -> None:
    wanted = Replacement("b" * 32, "c2", places=8)
    assert Replacement.from_wire(wanted.to_wire()) == wanted
    replaced = (facts.CancelAsked("c2", wanted), facts.CancelSending())
    part = facts.Executed((a_fill("1", "3.333333333333333333"),), "77", "message")
    canceling = lived(SENT, facts.Accepted("77"), part, *replaced)
    ended = order_life.apply(canceling, facts.Seen(at_venue(VenueState.CANCELED, "3.3333333333"), "order"), NOW)
    assert ended.child is not None
    assert ended.child.amount == Decimal("6.66666666")
    # Less than can be placed is nothing.
    coarse = replace(canceling, replacement=Replacement("b" * 32, "c2", places=0), amount=Decimal(4))
    whole = order_life.apply(coarse, facts.Seen(at_venue(VenueState.CANCELED, amount="4"), "order"), NOW)
    assert (whole.order.status, whole.child) == (Status.CANCELED, None)
    # A total that the venue would refuse is cut by nobody.
    assert Replacement("b" * 32, "c2", None, Decimal("5.000000001"), places=8).left_over(coarse, Decimal(1)) == Decimal(
        "4.000000001"
    )


def test_an_order_is_not_denied_while_a_request_of_it_may_be_at_the_venue() -> None:
    with pytest.raises(IllegalTransition, match="may be at the venue"):
        lived(SENT, facts.Denied(Reason("age")))
    deferred = lived(SENT, facts.Deferred(Reason("rate_limit")), facts.Denied(Reason("age")))
    assert deferred.status is Status.DENIED


def test_a_cancel_that_redis_forgot_is_sent_again_if_the_order_shows_itself() -> None:
    order = an_order(status=Status.NEW, stamp=NOW, exchange_oid="77")
    for fact in (
        facts.CancelAsked("c2"),
        facts.CancelSending(),
        facts.Forgotten(NOW),
        facts.Seen(at_venue(), "reconciliation"),
    ):
        order = order_life.apply(order, fact, NOW).order
    assert (order.status, order.cancel_requested, order.cancel_sent) == (Status.NEW, "c2", False)


def test_a_cancel_that_is_refused_to_somebody_leaves_the_orders_own_deadline_standing() -> None:
    working = lived(SENT, facts.Accepted("77"), order=an_order(cancel_after_ms=5000))
    refused = facts.CancelRefused(Reason("market_closed"))
    by_hand = lived(facts.CancelAsked("c2"), facts.CancelSending(), refused, order=working)
    assert (by_hand.status, by_hand.cancel_requested) == (Status.NEW, None)
    assert by_hand.cancel_at == working.cancel_at == NOW + 5_000_000_000
    own = order_life.deadline_command(working)
    by_itself = lived(facts.CancelAsked(own), facts.CancelSending(), refused, order=working)
    assert (by_itself.cancel_at, by_itself.cancel_after_ms) == (None, None)


def test_a_row_that_is_not_in_the_table_raises() -> None:
    with pytest.raises(IllegalTransition):
        lived(facts.Absent("nowhere"))


class AnyInterleaving(RuleBasedStateMachine):
    """Facts in any order: what cannot happen raises and changes nothing, and the promises hold throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.order = an_order()
        self.published = Decimal(0)
        self.seen_ids: set[str] = set()
        self.highest = Decimal(0)
        self.finals: list[Status] = []

    def happen(self, fact: facts.Fact) -> None:
        before = self.order
        try:
            change = order_life.apply(before, fact, NOW)
        except IllegalTransition:
            assert self.order is before
            return
        if not change.is_empty:
            assert change.order.step == before.step + 1
        for event in change.events:
            if event.fill is not None:
                assert event.fill.trade_id not in self.seen_ids
                self.seen_ids.add(event.fill.trade_id)
                self.published += event.fill.amount
        if change.order.status.is_final and not before.status.is_final:
            self.finals.append(change.order.status)
        self.order = change.order

    @rule()
    def sending(self) -> None:
        self.happen(facts.Sending(NOW, "d"))

    @rule()
    def accepted(self) -> None:
        self.happen(facts.Accepted("77"))

    @rule(kind=st.sampled_from(["refused", "deferred", "unanswered", "interrupted", "forgotten", "denied"]))
    def answered(self, kind: str) -> None:
        reason = Reason(kind)
        self.happen(
            {
                "refused": facts.Refused(reason),
                "deferred": facts.Deferred(reason),
                "unanswered": facts.Unanswered(reason),
                "interrupted": facts.Interrupted(),
                "forgotten": facts.Forgotten(NOW),
                "denied": facts.Denied(reason),
            }[kind]
        )

    @precondition(lambda self: self.order.stamp is not None)
    @rule(numbers=st.sets(st.integers(0, 4), min_size=1))
    def executed(self, numbers: set[int]) -> None:
        fills = tuple(a_fill(str(number), "2") for number in sorted(numbers))
        self.happen(facts.Executed(fills, "77", "message"))

    @precondition(lambda self: self.order.stamp is not None)
    @rule(state=st.sampled_from(VenueState), filled=st.integers(0, 5))
    def seen(self, state: VenueState, filled: int) -> None:
        self.happen(facts.Seen(at_venue(state, str(filled * 2)), "listing"))

    @rule(kind=st.sampled_from(["asked", "sending", "refused"]))
    def cancel(self, kind: str) -> None:
        options: dict[str, facts.Fact] = {
            "asked": facts.CancelAsked("c2"),
            "sending": facts.CancelSending(),
            "refused": facts.CancelRefused(Reason("other")),
        }
        self.happen(options[kind])

    @rule()
    def absent(self) -> None:
        self.happen(facts.Absent("nowhere"))

    @invariant()
    def filled_is_the_sum_of_published_fills_and_never_falls(self) -> None:
        assert self.order.filled == self.published == sum((f.amount for f in self.order.fills.values()), Decimal(0))
        assert self.order.filled >= self.highest
        self.highest = self.order.filled

    @invariant()
    def at_most_one_final_status_but_for_the_legal_revision(self) -> None:
        revisions = {Status.NEVER_PLACED, Status.CANCELED}
        assert all(status in revisions for status in self.finals[:-1])

    @invariant()
    def a_cancel_that_was_sent_is_waited_for(self) -> None:
        # Otherwise it would be sent by nobody again, and its command would have no outcome.
        if self.order.status in (Status.NEW, Status.PARTIALLY_FILLED, Status.IN_DOUBT):
            assert not self.order.cancel_sent

    @invariant()
    def doubt_ends_by_a_venue_fact_only(self) -> None:
        if self.order.status is Status.NEVER_PLACED:
            assert self.order.fact == "absent"


AnyInterleaving.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAnyInterleaving = AnyInterleaving.TestCase
