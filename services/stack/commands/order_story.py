"""What became of an order, step by step: the journal's steps, and the events with evidence and alarms beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.markup import escape

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.inspect import events_about
from tickrouter.config import Config
from tickrouter.core.recovery import Findings
from tickrouter.errors import InvalidValue, StorageError, Unreadable
from tickrouter.history.connection import connect, database
from tickrouter.history.outbox import events_of
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.money import plain
from tickrouter.model.order import Order, Status

from .tail import clock


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the journal: when (ns), the status after it, and what the venue or we said."""

    time: int
    status: str
    fact: str


def steps_of(written: Iterable[str]) -> list[Step]:
    """The journal's texts, read."""
    parts = [text.split(" ", 2) for text in written]
    return [Step(int(part[0]), part[1], part[2] if len(part) > 2 else "") for part in parts]


def events_in(redis: Any, config: Config, account: str, client_oid: str) -> tuple[list[Event], str | None]:
    """An order's events in Redis and MongoDB, each once, in order; and why MongoDB's are not among them, if so.

    Raises:
        StorageError: Redis did not answer.
    """
    found = {entry.id: entry.data for entry in events_about(redis, account, client_oid)}
    trouble = None
    try:
        with connect(config.mongo_url) as mongo:
            db = database(mongo, config.servers.mongo_database)
            found |= dict(events_of(db, Account.parse(account), client_oid))
    except StorageError as error:
        trouble = str(error)
    events = [event for _, data in sorted(found.items()) if (event := _event(data)) is not None]
    return [event for event in events if event.client_oid == client_oid], trouble


def story(steps: list[Step], events: list[Event]) -> Iterator[str]:
    """Lines with rich's marks, by time. An event stands under the step that published it: they share their time."""
    by_time: dict[int, list[Event]] = {}
    for event in events:
        by_time.setdefault(event.time, []).append(event)
    stepped = {step.time for step in steps}
    alone = [Step(time, "", "") for time in by_time if time not in stepped]
    for step in sorted([*steps, *alone], key=lambda step: step.time):
        told_now = by_time.pop(step.time, [])
        if step.time in stepped:
            yield f"  {_at(step.time)} [bold]{step.status}[/bold]  {escape(step.fact)}"
        for event in told_now:
            if step.time not in stepped:
                what = " ".join(part for part in (event.status, event.fact) if part)
                yield f"  {_at(step.time)} {event.type} {escape(what)}".rstrip()
            yield from _notes(event)


def told(event: Event) -> dict[str, Any]:
    """An event as a map, for programs."""
    fill = {} if event.fill is None else {"fill": {"seq": event.fill.seq, **event.fill.to_wire()}}
    return {"id": event.id, **event.to_wire(), **fill}


def evidence(order: Order, looked: Findings | None = None) -> Iterator[str]:
    """What the order is known by: requests signed, the venue's id, its relatives, what it waits for, and where the
    venue was asked for it while it was in doubt."""
    if order.attempt:
        signed = f", signed {clock(order.stamp)}" if order.stamp is not None else ""
        yield f"  request {order.attempt}{signed}, digest {order.digest or '-'}"
    if order.exchange_oid is not None:
        yield f"  the venue's id {escape(order.exchange_oid)}"
    if order.parent is not None:
        yield f"  replaced, or shares the client id of, {order.parent}"
    if order.replacement is not None:
        became = "" if order.status is Status.REPLACED else "was to be " if order.status.is_final else "to be "
        yield f"  {became}replaced by {order.replacement.client_oid}"
    if order.cancel_at is not None and not order.status.is_final:
        yield f"  cancelled by itself at {clock(order.cancel_at)}"
    if order.fills_pending:
        yield f"  fills pending: the venue says {plain(order.venue_filled)} are filled"

    if looked is not None:
        yield from _looked_for(looked)


def _looked_for(looked: Findings) -> Iterator[str]:
    first, last = _venue_clock(looked.first), _venue_clock(looked.venue_time)
    yield f"  looked for {looked.passes} times since {first}, last at {last}"
    answered = ", ".join(f"{source} ({rows} rows)" for source, rows in looked.answered.items())
    missing = f"; no full answer: {', '.join(looked.missing)}" if looked.missing else ""
    yield f"      answered in full: {answered or 'none'}{missing}"
    if looked.quiet_until is None:
        yield "      its absence never proves anything: the request had no stamp that the venue would refuse"
    else:
        yield f"      its absence counts from {_venue_clock(looked.quiet_until)}, the end of the quiet window"
    yield f"      {escape(looked.verdict)}"


def _venue_clock(time: int) -> str:
    return f"{clock(time)} of the venue's clock" if time else "a moment at which the venue's clock did not answer"


def _notes(event: Event) -> Iterator[str]:
    if event.alarm is not None:
        yield f"      [bold red]ALARM {escape(event.alarm)}[/bold red]"
    if event.reason is not None:
        code = f" ({event.reason.code})" if event.reason.code else ""
        yield f"      {escape(event.reason.kind)}{escape(code)}: {escape(event.reason.text)}"
    if event.fill is not None:
        fill = event.fill
        cost = f"fee {plain(fill.fee)} {escape(fill.fee_currency)}"
        yield f"      fill {escape(fill.trade_id)}: {plain(fill.amount)} at {plain(fill.price)}, {cost}"


def _at(time: int) -> str:
    return f"[dim]{clock(time)}[/dim]"


def _event(data: bytes) -> Event | None:
    try:
        return Event.from_wire(unpack_map(data))
    except (Unreadable, InvalidValue):
        return None
