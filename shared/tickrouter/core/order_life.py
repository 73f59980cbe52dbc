"""The life of an order. All rules of it live in this file.

`TABLE` says for every status and fact which statuses may follow; `apply` finds the one that does, from what the
fact says, and raises on a row that is not in the table. The drawing in docs/orders.md is made from `TABLE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from tickrouter.core import facts
from tickrouter.core.facts import Fact, VenueState
from tickrouter.core.order_events import events_of, first_event, reconciled
from tickrouter.core.reconcile import difference
from tickrouter.errors import TickrouterError
from tickrouter.model.event import Event, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Replacement, Status

MS = 1_000_000
"""Nanoseconds in a millisecond."""
ROUNDING = Decimal("1e-9")
"""Part of an order's amount by which a venue's figures may differ from the sum of its executions: it cuts places."""

_NEW, _PART, _FILLED = Status.NEW, Status.PARTIALLY_FILLED, Status.FILLED
_PENDING, _DOUBT, _CANCELED = Status.PENDING_NEW, Status.IN_DOUBT, Status.CANCELED
_CANCELING, _NEVER = Status.PENDING_CANCEL, Status.NEVER_PLACED
_REPLACING, _REPLACED = Status.PENDING_REPLACE, Status.REPLACED
_SHOWN = (_NEW, _PART, _FILLED, _CANCELED, _CANCELING, _REPLACED)

TABLE: dict[Status, dict[type[Fact], tuple[Status, ...]]] = {
    _PENDING: {
        facts.Denied: (Status.DENIED,),
        facts.Sending: (_PENDING,),
        facts.Accepted: (_NEW,),
        facts.Refused: (Status.REJECTED,),
        facts.Deferred: (_PENDING,),
        facts.Unanswered: (_DOUBT,),
        facts.Interrupted: (_DOUBT,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: _SHOWN,
        facts.Executed: (_PART, _FILLED),
        facts.CancelAsked: (_CANCELED, _PENDING, _REPLACED),
    },
    _DOUBT: {
        facts.Accepted: (_NEW,),
        facts.Refused: (Status.REJECTED,),
        facts.Unanswered: (_DOUBT,),
        facts.Interrupted: (_DOUBT,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: _SHOWN,
        facts.Executed: (_PART, _FILLED),
        facts.Absent: (_NEVER,),
        facts.CancelAsked: (_DOUBT,),
        facts.Resembled: (_DOUBT,),
        facts.Settled: (_NEVER, _CANCELED, _NEW, _PART, _FILLED),
    },
    _NEW: {
        facts.Accepted: (_NEW,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: _SHOWN,
        facts.Executed: (_PART, _FILLED),
        facts.CancelAsked: (_NEW,),
        facts.CancelSending: (_CANCELING, _REPLACING),
    },
    _PART: {
        facts.Accepted: (_PART,),
        facts.Unanswered: (_PART,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: (_PART, _FILLED, _CANCELED, _CANCELING, _REPLACED),
        facts.Executed: (_PART, _FILLED),
        facts.CancelAsked: (_PART,),
        facts.CancelSending: (_CANCELING, _REPLACING),
    },
    _CANCELING: {
        facts.Forgotten: (_DOUBT,),
        facts.Seen: (_CANCELING, _FILLED, _CANCELED),
        facts.Executed: (_CANCELING, _FILLED),
        facts.CancelAsked: (_CANCELING,),
        facts.CancelSending: (_CANCELING,),
        facts.CancelRefused: (_NEW, _PART),
    },
    _REPLACING: {
        facts.Forgotten: (_DOUBT,),
        facts.Seen: (_REPLACING, _FILLED, _CANCELED, _REPLACED),
        facts.Executed: (_REPLACING, _FILLED),
        facts.CancelAsked: (_REPLACING, _CANCELING),
        facts.CancelSending: (_REPLACING,),
        facts.CancelRefused: (_NEW, _PART),
    },
    _FILLED: {
        facts.Accepted: (_FILLED,),
        facts.Unanswered: (_FILLED,),
        facts.Seen: (_FILLED,),
        facts.Executed: (_FILLED,),
        facts.CancelRefused: (_FILLED,),
    },
    _CANCELED: {
        facts.Seen: (_CANCELED, _FILLED),
        facts.Executed: (_CANCELED, _FILLED),
        facts.CancelRefused: (_CANCELED,),
    },
    _REPLACED: {facts.Seen: (_REPLACED,), facts.Executed: (_REPLACED,), facts.CancelRefused: (_REPLACED,)},
    # The single legal revision: a find after NeverPlaced is adopted, with an alarm.
    _NEVER: {facts.Seen: _SHOWN, facts.Executed: (_PART, _FILLED)},
    Status.REJECTED: {},
    Status.DENIED: {},
    Status.EXPIRED: {},
}
"""Status and fact, to the statuses that may follow."""


class IllegalTransition(TickrouterError):
    """A fact that cannot happen to an order of that status."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a fact comes to: the order after it, and the events to publish in the same step, the child's last."""

    before: Order
    order: Order
    events: tuple[Event, ...]
    child: Order | None = None
    """The order that takes this one's place, to be written in the same step."""

    @property
    def is_empty(self) -> bool:
        """True if nothing has to be written."""
        return not self.events and self.order == self.before


def apply(order: Order, fact: Fact, now: int) -> Change:
    """The order after a fact, and the events that tell of it.

    Args:
        order: as last journaled.
        fact: what happened.
        now: ns since 1970 UTC.

    Raises:
        IllegalTransition: the table has no such row.
    """
    allowed = TABLE[order.status].get(type(fact))
    if allowed is None:
        raise IllegalTransition(f"{order.client_oid}: {type(fact).__name__} cannot happen to a {order.status} order")
    after, new_fills = _effect(order, fact)
    if after.status not in allowed:
        raise IllegalTransition(f"{order.client_oid}: {order.status} -> {after.status} by {type(fact).__name__}")
    figures = difference(order, fact.order) if isinstance(fact, facts.Seen) and fact.compare else None
    if after == order and figures is None:
        return Change(order, order, ())
    after = replace(after, step=order.step + 1, updated=now)
    if after.cancel_after_ms is not None and after.cancel_at is None and after.status.is_working:
        after = replace(after, cancel_at=now + after.cancel_after_ms * MS)
    events = events_of(order, after, fact, new_fills, now)
    if figures is not None:
        events = (reconciled(order, figures, now), *events)
    if after.status is _REPLACED and order.status is not _REPLACED:
        child = _child(after, now)
        return Change(order, after, (*events, first_event(child, now)), child)
    return Change(order, after, events)


def deadline_command(order: Order) -> str:
    """The command by which an order's own deadline cancels it."""
    return f"{order.command}:after"


def _child(parent: Order, now: int) -> Order:
    """The order that takes a cancelled one's place, for what that left over."""
    wanted = parent.replacement
    if wanted is None:
        raise IllegalTransition(f"{parent.client_oid}: nothing is to replace it")
    child = Order(
        account=parent.account,
        client_oid=wanted.client_oid,
        command=wanted.command,
        contract=parent.contract,
        side=parent.side,
        type=parent.type,
        created=now,
        price=wanted.price if wanted.price is not None else parent.price,
        amount=_left_over(parent),
        stop_price=parent.stop_price,
        tags=parent.tags,
        ttl_ms=parent.ttl_ms,
        cancel_after_ms=parent.cancel_after_ms,
        cancel_at=parent.cancel_at,
        step=1,
        parent=parent.client_oid,
        fact="admitted",
        updated=now,
    )
    if wanted.forgotten_at is None:
        return child
    # It may have been sent before Redis forgot: evidence decides, and it never leaves from here.
    doubt = Reason("redis_forgot", "its parent was replaced before Redis forgot, or never")
    return replace(child, status=_DOUBT, stamp=wanted.forgotten_at, reason=doubt, fact="redis forgot")


def _left_over(parent: Order) -> Decimal:
    """What a replacement is for: its total less all that the venue's final figure says is filled."""
    filled = max(parent.filled, parent.venue_filled)
    return parent.replacement.left_over(parent, filled) if parent.replacement is not None else Decimal(0)


def _effect(order: Order, fact: Fact) -> tuple[Order, tuple[Fill, ...]]:
    match fact:
        case facts.Executed():
            return _executed(order, fact)
        case facts.Seen():
            return _seen(order, fact), ()
        case facts.CancelAsked() | facts.CancelSending() | facts.CancelRefused():
            return _cancel(order, fact), ()
        case facts.Sending() | facts.Accepted() | facts.Refused() | facts.Deferred() | facts.Unanswered():
            return _answered(order, fact), ()
        case _:
            return _decided(order, fact), ()


def _answered(
    order: Order, fact: facts.Sending | facts.Accepted | facts.Refused | facts.Deferred | facts.Unanswered
) -> Order:
    match fact:
        case facts.Sending(stamp, digest):
            if order.stamp is not None:
                raise IllegalTransition(f"{order.client_oid}: attempt {order.attempt} has no definite answer yet")
            return replace(order, attempt=order.attempt + 1, stamp=stamp, digest=digest, reason=None, fact="sent")
        case facts.Accepted(exchange_oid):
            if order.exchange_oid == exchange_oid and order.status not in (_PENDING, _DOUBT):
                return order
            status = _NEW if order.status in (_PENDING, _DOUBT) else order.status
            return replace(order, status=status, exchange_oid=exchange_oid, reason=None, fact="accepted")
        case facts.Refused(reason):
            return replace(order, status=Status.REJECTED, reason=reason, fact="refused")
        case facts.Deferred(reason):
            return replace(order, stamp=None, reason=reason, fact="not taken")
        case facts.Unanswered(reason):
            if order.status not in (_PENDING, _DOUBT):
                return order
            return replace(order, status=_DOUBT, reason=reason, fact="timeout")


def _decided(order: Order, fact: Fact) -> Order:
    """What comes neither of an answer nor of a listing."""
    match fact:
        case facts.Denied(reason):
            if order.stamp is not None:
                raise IllegalTransition(f"{order.client_oid}: attempt {order.attempt} may be at the venue")
            return replace(order, status=Status.DENIED, reason=reason, fact="denied")
        case facts.Interrupted():
            return replace(order, status=_DOUBT, reason=Reason("interrupted"), fact="router gone")
        case facts.Forgotten(stamp):
            wanted = order.replacement
            wanted = replace(wanted, forgotten_at=stamp) if wanted is not None else None
            # Nor does anybody know whether a cancel that was sent has arrived: an order that is there gets another.
            doubtful = replace(order, status=_DOUBT, stamp=stamp, replacement=wanted, cancel_sent=False)
            return replace(doubtful, reason=Reason("redis_forgot"), fact="redis forgot")
        case facts.Absent(evidence):
            return replace(_unamended(order), status=_NEVER, reason=Reason("absent", evidence), fact="absent")
        case facts.Resembled(exchange_oid):
            return replace(order, reason=Reason("lookalike", f"could be the venue's order {exchange_oid}"))
        case facts.Settled(verdict, operator, text, exchange_oid):
            status = _PART if verdict is _NEW and order.filled else verdict
            reason = Reason("operator", f"{operator}: {text}")
            known = exchange_oid or order.exchange_oid
            order = _unamended(order) if verdict is _NEVER else order
            return replace(order, status=status, exchange_oid=known, reason=reason, fact=f"settled by {operator}")
    raise IllegalTransition(f"{order.client_oid}: no rule for {type(fact).__name__}")


def _unamended(order: Order) -> Order:
    """Without what an amend wanted: that is answered as rejected, so a late find must not bring forth its order."""
    return order if order.replacement is None else replace(order, cancel_requested=None, replacement=None)


def _cancel(order: Order, fact: facts.CancelAsked | facts.CancelSending | facts.CancelRefused) -> Order:
    match fact:
        case facts.CancelAsked(command, replacement):
            return _cancel_asked(order, command, replacement)
        case facts.CancelSending():
            status = _CANCELING if order.replacement is None else _REPLACING
            return replace(order, status=status, cancel_sent=True, fact="cancel sent")
        case facts.CancelRefused(reason):
            if order.status not in (_CANCELING, _REPLACING):
                return order
            status = _PART if order.filled else _NEW
            if order.cancel_requested == deadline_command(order):
                # What its own deadline asked for is answered; a refusal to anybody else leaves the deadline standing.
                order = replace(order, cancel_at=None, cancel_after_ms=None)
            order = replace(order, cancel_requested=None, cancel_sent=False)
            return replace(order, status=status, replacement=None, reason=reason, fact="cancel refused")


def _cancel_asked(order: Order, command: str, replacement: Replacement | None) -> Order:
    """A cancel wins over an amend; an amend changes nothing where a cancel was asked before."""
    if replacement is not None and order.cancel_requested not in (None, command):
        return order
    asked = order.cancel_requested if replacement is None and order.replacement is None else None
    order = replace(order, cancel_requested=asked or command, replacement=replacement)
    if order.status is _REPLACING and replacement is None:
        return replace(order, status=_CANCELING)
    if order.status is _PENDING and order.stamp is None:
        return replace(order, status=_ended(order))
    return order


def _ended(order: Order) -> Status:
    """What a cancelled order is: replaced, if something is to take its place and anything is left over."""
    return _REPLACED if order.replacement is not None and _left_over(order) > 0 else _CANCELED


def _seen(order: Order, fact: facts.Seen) -> Order:
    theirs = fact.order
    amount = theirs.amount if theirs.amount is not None else order.amount
    venue_filled = max(order.venue_filled, theirs.filled)
    status = _shown_status(replace(order, venue_filled=venue_filled, amount=amount), theirs.state)
    adopted = order.status in (_PENDING, _DOUBT, _NEVER)
    return replace(
        order,
        status=status,
        exchange_oid=order.exchange_oid or theirs.exchange_oid,
        amount=amount,
        venue_filled=_level(venue_filled, order.filled, amount),
        reason=None if adopted else order.reason,
        fact=f"{theirs.state} in {fact.source}" if adopted or status is not order.status else order.fact,
    )


def _shown_status(order: Order, state: VenueState) -> Status:
    """The status that a venue's word comes to; `order` holds the venue's figures already."""
    if order.status in (_FILLED, _REPLACED):
        return order.status
    complete = order.amount is not None and _reaches(order.venue_filled, order.amount)
    if state is VenueState.CLOSED:
        return _FILLED if complete or order.amount is None else _CANCELED
    if state is VenueState.CANCELED:
        return _CANCELED if order.status is _CANCELED else _ended(order)
    if order.status in (_CANCELED, _CANCELING, _REPLACING):
        return order.status
    return _PART if order.filled or order.venue_filled else _NEW


def _executed(order: Order, fact: facts.Executed) -> tuple[Order, tuple[Fill, ...]]:
    new = tuple({fill.trade_id: fill for fill in fact.fills if fill.trade_id not in order.fills}.values())
    if not new:
        # In doubt, even a known execution is a venue fact that settles it.
        settled = order.status in (_DOUBT, _NEVER) and order.fills
        return (replace(order, status=_PART, reason=None, fact=fact.source) if settled else order), ()
    fills = order.fills | {fill.trade_id: fill for fill in new}
    filled = sum((fill.amount for fill in fills.values()), Decimal(0))
    value = sum((fill.amount * fill.price for fill in fills.values()), Decimal(0))
    complete = order.amount is not None and order.quote_amount is None and _reaches(filled, order.amount)
    status = order.status
    if complete and status is not _REPLACED:
        status = _FILLED
    elif status in (_PENDING, _NEW, _DOUBT, _NEVER):
        status = _PART
    after = replace(
        order,
        status=status,
        exchange_oid=order.exchange_oid or fact.exchange_oid,
        fills=fills,
        filled=filled,
        average_price=value / filled,
        venue_filled=_level(order.venue_filled, filled, order.amount),
        reason=None if order.status in (_DOUBT, _NEVER) else order.reason,
        fact=f"execution in {fact.source}",
    )
    return after, new


def _reaches(filled: Decimal, amount: Decimal) -> bool:
    return filled >= amount - amount * ROUNDING


def _level(venue_filled: Decimal, filled: Decimal, amount: Decimal | None) -> Decimal:
    """The venue's figure, or ours where they differ by rounding only or ours is ahead."""
    slack = (amount or venue_filled) * ROUNDING
    return filled if venue_filled - filled <= slack else venue_filled
