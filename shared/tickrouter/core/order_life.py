"""The life of an order. All rules of it live in this file.

`TABLE` says for every status and fact which statuses may follow; `apply` finds the one that does, from what the
fact says, and raises on a row that is not in the table. The drawing in docs/orders.md is made from `TABLE`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from tickrouter.core import facts
from tickrouter.core.facts import Fact, VenueState
from tickrouter.errors import TickrouterError
from tickrouter.model.event import Event, EventType, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Status

ROUNDING = Decimal("1e-9")
"""Part of an order's amount by which a venue's figures may differ from the sum of its executions: it cuts places."""

_NEW, _PART, _FILLED = Status.NEW, Status.PARTIALLY_FILLED, Status.FILLED
_PENDING, _DOUBT, _CANCELED = Status.PENDING_NEW, Status.IN_DOUBT, Status.CANCELED
_CANCELING, _NEVER = Status.PENDING_CANCEL, Status.NEVER_PLACED
_SHOWN = (_NEW, _PART, _FILLED, _CANCELED, _CANCELING)

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
        facts.CancelAsked: (_CANCELED, _PENDING),
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
    },
    _NEW: {
        facts.Accepted: (_NEW,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: _SHOWN,
        facts.Executed: (_PART, _FILLED),
        facts.CancelAsked: (_NEW,),
        facts.CancelSending: (_CANCELING,),
    },
    _PART: {
        facts.Accepted: (_PART,),
        facts.Unanswered: (_PART,),
        facts.Forgotten: (_DOUBT,),
        facts.Seen: (_PART, _FILLED, _CANCELED, _CANCELING),
        facts.Executed: (_PART, _FILLED),
        facts.CancelAsked: (_PART,),
        facts.CancelSending: (_CANCELING,),
    },
    _CANCELING: {
        facts.Forgotten: (_DOUBT,),
        facts.Seen: (_CANCELING, _FILLED, _CANCELED),
        facts.Executed: (_CANCELING, _FILLED),
        facts.CancelAsked: (_CANCELING,),
        facts.CancelSending: (_CANCELING,),
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
    # The single legal revision: a find after NeverPlaced is adopted, with an alarm.
    _NEVER: {facts.Seen: _SHOWN, facts.Executed: (_PART, _FILLED)},
    Status.REJECTED: {},
    Status.DENIED: {},
    Status.EXPIRED: {},
    Status.REPLACED: {},
    Status.PENDING_REPLACE: {},
}
"""Status and fact, to the statuses that may follow."""


class IllegalTransition(TickrouterError):
    """A fact that cannot happen to an order of that status."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a fact comes to: the order after it, and the events to publish in the same step."""

    before: Order
    order: Order
    events: tuple[Event, ...]

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
    if after == order:
        return Change(order, order, ())
    after = replace(after, step=order.step + 1, updated=now)
    return Change(order, after, _events(order, after, new_fills, now))


def first_event(order: Order, now: int) -> Event:
    """The event that tells of an order's admission, or of its denial."""
    return _event(order, "order", now)


def _effect(order: Order, fact: Fact) -> tuple[Order, tuple[Fill, ...]]:
    match fact:
        case facts.Executed():
            return _executed(order, fact)
        case facts.Seen():
            return _seen(order, fact), ()
        case facts.CancelAsked() | facts.CancelSending() | facts.CancelRefused():
            return _cancel(order, fact), ()
        case _:
            return _answered(order, fact), ()


def _answered(order: Order, fact: Fact) -> Order:
    match fact:
        case facts.Denied(reason):
            return replace(order, status=Status.DENIED, reason=reason, fact="denied")
        case facts.Sending(stamp, digest):
            if order.stamp is not None:
                raise IllegalTransition(f"{order.client_oid}: attempt {order.attempt} has no definite answer yet")
            return replace(order, attempt=order.attempt + 1, stamp=stamp, digest=digest, reason=None, fact="sent")
        case facts.Accepted(exchange_oid):
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
        case facts.Interrupted():
            return replace(order, status=_DOUBT, reason=Reason("interrupted"), fact="router gone")
        case facts.Forgotten(stamp):
            return replace(order, status=_DOUBT, stamp=stamp, reason=Reason("redis_forgot"), fact="redis forgot")
        case facts.Absent(evidence):
            return replace(order, status=_NEVER, reason=Reason("absent", evidence), fact="absent")
    raise IllegalTransition(f"{order.client_oid}: no rule for {type(fact).__name__}")


def _cancel(order: Order, fact: facts.CancelAsked | facts.CancelSending | facts.CancelRefused) -> Order:
    match fact:
        case facts.CancelAsked(command):
            never_signed = order.status is _PENDING and order.stamp is None
            status = _CANCELED if never_signed else order.status
            return replace(order, status=status, cancel_requested=order.cancel_requested or command)
        case facts.CancelSending():
            return replace(order, status=_CANCELING, cancel_sent=True, fact="cancel sent")
        case facts.CancelRefused(reason):
            if order.status is not _CANCELING:
                return order
            status = _PART if order.filled else _NEW
            return replace(
                order, status=status, cancel_requested=None, cancel_sent=False, reason=reason, fact="cancel refused"
            )


def _seen(order: Order, fact: facts.Seen) -> Order:
    theirs = fact.order
    amount = theirs.amount if theirs.amount is not None else order.amount
    venue_filled = max(order.venue_filled, theirs.filled)
    status = _shown_status(order, theirs.state, amount, venue_filled)
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


def _shown_status(order: Order, state: VenueState, amount: Decimal | None, filled: Decimal) -> Status:
    if order.status is _FILLED:
        return _FILLED
    complete = amount is not None and _reaches(filled, amount)
    if state is VenueState.CLOSED:
        return _FILLED if complete or amount is None else _CANCELED
    if state is VenueState.CANCELED:
        return _CANCELED
    if order.status in (_CANCELED, _CANCELING):
        return order.status
    return _PART if order.filled or filled else _NEW


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
    if complete:
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


def _events(before: Order, after: Order, new_fills: tuple[Fill, ...], now: int) -> tuple[Event, ...]:
    events: list[Event] = []
    filled, value = before.filled, (before.average_price or Decimal(0)) * before.filled
    for fill in new_fills:
        filled, value = filled + fill.amount, value + fill.amount * fill.price
        at_fill = replace(after, filled=filled, average_price=value / filled)
        events.append(replace(_event(at_fill, "fill", now), fill=fill))
    if after.status is not before.status or before.fills_pending is not after.fills_pending:
        alarm = "late_find" if before.status is _NEVER else None
        events.append(replace(_event(after, "order", now), alarm=alarm))
    return tuple(events)


def _event(order: Order, kind: EventType, now: int) -> Event:
    return Event(
        account=order.account,
        type=kind,
        time=now,
        command=order.command,
        client_oid=order.client_oid,
        exchange_oid=order.exchange_oid,
        status=str(order.status),
        filled=order.filled,
        remaining=order.remaining,
        average_price=order.average_price,
        fills_pending=order.fills_pending,
        reason=order.reason,
        fact=order.fact or None,
        tags=order.tags,
        contract=str(order.contract),
    )
