"""What is published of an order's steps."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tickrouter.core import facts
from tickrouter.core.facts import Fact
from tickrouter.model.event import Event, EventType, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Status


def first_event(order: Order, now: int) -> Event:
    """The event that tells of an order's admission, or of its denial."""
    return _event(order, "order", now)


def reconciled(order: Order, figures: str, now: int) -> Event:
    """The event that tells how journal and venue differed, before the venue's word counts."""
    return replace(_event(order, "reconciled", now), reason=Reason("reconciled", figures))


def events_of(before: Order, after: Order, fact: Fact, new_fills: tuple[Fill, ...], now: int) -> tuple[Event, ...]:
    """The events that tell of a step: its fills first, then the order where its status changed."""
    events: list[Event] = []
    filled, value = before.filled, (before.average_price or Decimal(0)) * before.filled
    for fill in new_fills:
        filled, value = filled + fill.amount, value + fill.amount * fill.price
        at_fill = replace(after, filled=filled, average_price=value / filled)
        events.append(replace(_event(at_fill, "fill", now), fill=fill))
    resembles = isinstance(fact, facts.Resembled)
    if after.status is not before.status or before.fills_pending is not after.fills_pending or resembles:
        alarm = "late_find" if before.status is Status.NEVER_PLACED else "lookalike" if resembles else None
        kind: EventType = "settled" if isinstance(fact, facts.Settled) else "order"
        events.append(replace(_event(after, kind, now), alarm=alarm))
    return tuple(events)


def _event(order: Order, kind: EventType, now: int) -> Event:
    return Event(
        account=order.account,
        type=kind,
        time=now,
        command=order.command,
        client_oid=order.client_oid,
        exchange_oid=order.exchange_oid,
        status=order.status.value,
        filled=order.filled,
        remaining=order.remaining,
        average_price=order.average_price,
        fills_pending=order.fills_pending,
        reason=order.reason,
        fact=order.fact or None,
        tags=order.tags,
        contract=order.contract.text,
        side=order.side,
    )
