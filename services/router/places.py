"""Admission of places: the first step of an order's life, or its denial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from tickrouter import logs
from tickrouter.bus.journal import Admission, Leaving
from tickrouter.bus.permits import Grant
from tickrouter.bus.worklists import Entry
from tickrouter.core import order_life
from tickrouter.core.facts import Deferred, Denied, Forgotten, Sending
from tickrouter.core.order_events import first_event
from tickrouter.errors import StorageError
from tickrouter.model.command import Command
from tickrouter.model.event import Event, Reason
from tickrouter.model.order import Order, Status
from tickrouter.venues.request import Request

from .desk import Desk
from .guard import Guard
from .sender import DENIALS, Sender, Task, deadline_ms
from .venue_link import Stopped

_MS = 1_000_000
TOGETHER = 8
"""Most places in one write: the first of them waits for all."""
_NO_PERMIT = Reason("permit", "signed, and not sent: its permits were not free")
_DUPLICATE = Reason("duplicate", "an order with this client_oid is in the journal")


@dataclass(frozen=True, slots=True)
class _Signed:
    """A place that may leave with its admission."""

    command: Command
    first: Order
    request: Request
    wanted: Grant
    leaving: Leaving
    now: int


class Places:
    """Admits places of one account."""

    def __init__(self, desk: Desk, sender: Sender, guard: Guard) -> None:
        self._desk = desk
        self._sender = sender
        self._guard = guard
        self._log = logs.get("places")

    def take(self, arrived: list[tuple[Entry, Command]], forget_before_ms: int) -> Iterator[Task]:
        """Admit places that came together, in their order, or deny them with the reason.

        Yields:
            What sends those that may leave at once: their permits were taken in the same write.
        """
        together: list[_Signed] = []
        for entry, command in arrived:
            now = self._desk.clock.now()
            order = _order(entry, command, self._desk.router.ttl_ms, now)
            first, denial, signed = self._prepared(entry, command, order, now)
            if signed is not None:
                together.append(signed)
            if signed is None or len(together) == TOGETHER or self._guard.counts_orders:
                yield from self._send_at_once(together, forget_before_ms)
                together = []
            if signed is None:
                self._admit(entry, command, first, denial, now, forget_before_ms)
        yield from self._send_at_once(together, forget_before_ms)

    def _prepared(
        self, entry: Entry, command: Command, order: Order, now: int
    ) -> tuple[Order, Reason | None, _Signed | None]:
        """The order's first step, why it is denied, and its request if it leaves at once.

        A fault of ours denies it: nothing was written or sent, and those behind it are served.
        """
        try:
            first, denial = self._first_step(entry, command, order, now)
            leaves = first.status is Status.PENDING_NEW and self._sender.is_free_for(first)
            return first, denial, self._sign(entry, command, first, now) if leaves else None
        except (StorageError, Stopped):
            raise
        except Exception as error:
            self._log.exception("a place failed", command=command.id)
            return order_life.apply(order, Denied(fault(error)), now).order, fault(error), None

    def _admit(
        self, entry: Entry, command: Command, first: Order, denial: Reason | None, now: int, forget_before_ms: int
    ) -> None:
        outcome = self._desk.journal.admit_place(
            entry, first, first_event(first, now), forget_before_ms=forget_before_ms
        )
        self._desk.count(f"place_{outcome.lower()}")
        if outcome != "ADMITTED":
            self._not_admitted(entry, command, first, outcome, forget_before_ms)
        elif denial is not None:
            self._desk.count("denied")
        else:
            self._guard.admitted(command, now)
            lane = self._desk.add(first)
            if first.status is Status.PENDING_NEW:
                self._sender.place(lane)

    def _sign(self, entry: Entry, command: Command, first: Order, now: int) -> _Signed:
        """Nobody waits for permits: sign first, then admission, permits and the step `sending` are one write."""
        venue = self._desk.venue
        stamp = venue.clock.stamp()
        request = venue.adapter.place(first, stamp)
        change = order_life.apply(first, Sending(stamp, request.digest), now)
        wanted, call = venue.permits.asking(request.endpoint)
        leaving = Leaving(entry, change, first_event(first, now), call, deadline_ms(first))
        return _Signed(command, first, request, wanted, leaving, now)

    def _send_at_once(self, together: list[_Signed], forget_before_ms: int) -> list[Task]:
        if not together:
            return []
        venue = self._desk.venue
        answers = self._desk.journal.admit_sending(
            [signed.leaving for signed in together],
            forget_before_ms=forget_before_ms,
            meanwhile=partial(venue.ready, together[0].request) if len(together) == 1 else None,
        )
        found = [
            self._sending(signed, outcome, venue.permits.granted(signed.wanted, answer), forget_before_ms)
            for signed, (outcome, answer) in zip(together, answers, strict=True)
        ]
        return [task for task in found if task is not None]

    def _sending(self, signed: _Signed, outcome: Admission, taken: Grant | float, forget_before_ms: int) -> Task | None:
        order = signed.leaving.change.order
        self._desk.count(f"place_{outcome.lower()}")
        if outcome == "REPEAT" and self._is_ours(order):
            # The answer to this very write was lost, and it was sent again.
            outcome = "ADMITTED"
        if outcome != "ADMITTED":
            if isinstance(taken, Grant):
                self._desk.venue.give_back(taken)
            self._not_admitted(signed.leaving.entry, signed.command, signed.first, outcome, forget_before_ms)
            return None
        self._guard.admitted(signed.command, signed.now)
        lane = self._desk.add(order)
        if isinstance(taken, Grant):
            return self._sender.task(lane, signed.request, taken)
        lane.apply(Deferred(_NO_PERMIT))
        self._sender.place(lane)
        return None

    def _is_ours(self, signed: Order) -> bool:
        """True if the journal holds the order as this thread has just signed it, and as nobody sent it."""
        lane = self._desk.lane(signed.client_oid)
        return lane is not None and lane.order == signed

    def _not_admitted(
        self, entry: Entry, command: Command, order: Order, outcome: Admission, forget_before_ms: int
    ) -> None:
        if outcome == "REPEAT":
            self._go_on_after_repeat(command)
        else:
            self._refused(entry, command, order, outcome, forget_before_ms)

    def _refused(self, entry: Entry, command: Command, order: Order, outcome: Admission, forget_before_ms: int) -> None:
        """Nothing was written: the account is halted, the order too old, or the client id taken. Say so."""
        self._desk.count("denied")
        now = self._desk.clock.now()
        journal = self._desk.journal
        if outcome == "HALTED":
            self._desk.tell_of_halt()
        if outcome in DENIALS:
            denied = order_life.apply(replace(order, step=0), Denied(DENIALS[outcome]), now).order
            outcome = journal.admit_place(entry, denied, first_event(denied, now), forget_before_ms=forget_before_ms)
        if outcome == "DUPLICATE":
            event = Event(self._desk.account, "command_denied", now, command=command.id, reason=_DUPLICATE)
            event = replace(event, client_oid=command.client_oid)
            journal.admit_refused(entry, command.id, event, forget_before_ms=forget_before_ms)

    def _first_step(self, entry: Entry, command: Command, order: Order, now: int) -> tuple[Order, Reason | None]:
        """The order as it is admitted: pending, in doubt, or denied.

        What was queued before the epoch's server was known may have been admitted and sent by a Redis that forgot it:
        only evidence tells, before any age is looked at. What this router knows it never signed goes on.
        """
        epoch = self._desk.epoch
        if entry.ms < epoch.known_from_ms and order.client_oid not in self._desk.unsigned:
            return order_life.apply(order, Forgotten(epoch.opened_ms * _MS), now).order, None
        denial = self._guard.denial_of(command, order, now)
        if denial is not None:
            return order_life.apply(order, Denied(denial), now).order, denial
        return replace(order, step=1, updated=now, fact="admitted"), None

    def _go_on_after_repeat(self, command: Command) -> None:
        """A repeat changes nothing; but if the first answer of this very admission was lost, its order goes on here."""
        lane = self._desk.lane(command.client_oid or "")
        if lane is None or lane.order.command != command.id or lane.order.stamp is not None:
            return
        if lane.order.status is Status.PENDING_NEW:
            self._sender.place(lane)


def fault(error: Exception) -> Reason:
    """Why a command is denied that the program itself failed at."""
    return Reason("fault", f"{type(error).__name__}: {error}"[:300])


def _order(entry: Entry, command: Command, default_ttl_ms: int, now: int) -> Order:
    """The order that a place asks for; its form was checked when it was read.

    An entry may have an id of its sender's choice, beyond any time; and all that come after it have such ids too.
    """
    assert command.contract is not None
    assert command.side is not None
    assert command.type is not None
    assert command.client_oid is not None
    return Order(
        account=command.account,
        client_oid=command.client_oid,
        command=command.id,
        contract=command.contract,
        side=command.side,
        type=command.type,
        created=min(entry.ms * _MS, now),
        price=command.price,
        amount=command.amount,
        quote_amount=command.quote_amount,
        stop_price=command.stop_price,
        tags=command.tags,
        ttl_ms=command.ttl_ms or default_ttl_ms,
        cancel_after_ms=command.cancel_after_ms,
    )
