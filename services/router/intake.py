"""Takes commands off the queue: decodes, checks, admits. Bad input gets an answer, and the next command is served."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tickrouter import logs
from tickrouter.bus.codec import unpack_map, unpack_record
from tickrouter.bus.journal import Entry
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.subscribe import last_entry
from tickrouter.core import order_life
from tickrouter.core.facts import CancelAsked, Denied
from tickrouter.core.risk import Limits, beyond_limits, needs_price, too_old
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.command import Command
from tickrouter.model.event import Event, EventType, Reason
from tickrouter.model.order import Order, Status
from tickrouter.model.tick import Tick
from tickrouter.venues.trading import CannotDo

from .desk import Desk
from .lane import Lane
from .sender import Sender
from .tracker import Tracker
from .works import Work, Works

MAX_COMMAND = 64 * 1024
"""Largest command that is read, in bytes."""
DEAD_KEPT = 10_000
BLOCK_MS = 200
_MS = 1_000_000
_DAY_MS = 24 * 3600 * 1000


class Intake:
    """Reads the queue of one account."""

    def __init__(self, desk: Desk, sender: Sender, tracker: Tracker, works: Works, denial: Reason | None) -> None:
        """`denial` is why no place is taken at all here, or None (an account of mode paper at a live venue)."""
        self._desk = desk
        self._sender = sender
        self._tracker = tracker
        self._works = works
        self._denial = denial
        risk = desk.config.risk
        self._limits = Limits(frozenset(risk.contracts), risk.max_notional)
        self._log = logs.get("intake")

    def run(self) -> None:
        """Until the tenure ends: first what was claimed and not admitted, then what comes."""
        for entry in self._desk.journal.claim(pending=True, count=1_000_000):
            self.take(entry)
        while not self._desk.stop.is_set():
            for entry in self._desk.journal.claim(pending=False, block_ms=BLOCK_MS):
                self.take(entry)

    def take(self, entry: Entry) -> None:
        """Admit one entry, deny it, or put it aside."""
        self._desk.count("commands")
        if entry.data is None:
            self._bury(entry, "no field d")
            return
        try:
            wire = unpack_map(entry.data, limit=MAX_COMMAND)
        except Unreadable as error:
            self._bury(entry, str(error))
            return
        try:
            command = Command.from_wire(wire)
        except InvalidValue as error:
            self._invalid(entry, wire, error)
            return
        if command.account != self._desk.account:
            self._refuse(entry, command, Reason("account", f"this is the queue of {self._desk.account}"))
        elif command.action == "place":
            self._place(entry, command)
        elif command.action == "amend":
            self._refuse(entry, command, Reason("action", "amend is not built yet: cancel, then place"))
        else:
            self._work(entry, command)

    # --- bad input

    def _bury(self, entry: Entry, reason: str) -> None:
        self._desk.count("dead")
        self._log.error("command cannot be read", entry=entry.id, reason=reason)
        self._desk.journal.bury(entry, reason, DEAD_KEPT)

    def _invalid(self, entry: Entry, wire: dict[str, object], error: InvalidValue) -> None:
        """Denied where the sender can be told which command it is, put aside where not."""
        command_id = wire.get("id")
        if error.field == "id" or not isinstance(command_id, str):
            self._bury(entry, str(error))
            return
        client_oid = wire.get("client_oid")
        event = self._event("command_denied", command_id, Reason("invalid", str(error)))
        if isinstance(client_oid, str) and error.field != "client_oid":
            event = replace(event, client_oid=client_oid)
        self._desk.count("denied")
        self._desk.journal.admit_refused(entry, command_id, event, forget_before_ms=self._forget_before_ms())

    def _refuse(self, entry: Entry, command: Command, reason: Reason) -> None:
        self._desk.count("denied")
        event = replace(self._event("command_denied", command.id, reason), client_oid=command.client_oid)
        self._desk.journal.admit_refused(entry, command.id, event, forget_before_ms=self._forget_before_ms())

    # --- places

    def _place(self, entry: Entry, command: Command) -> None:
        now = self._desk.clock.now()
        order = self._order(entry, command)
        denial = self._denial_of(command, order, now)
        first = replace(order, step=1, updated=now, fact="admitted")
        if denial is not None:
            first = replace(order_life.apply(order, Denied(denial), now).order, step=1)
        halt_reason = Reason("halt", "the account is halted: no new order is taken")
        outcome = self._desk.journal.admit_place(
            entry,
            first,
            order_life.first_event(first, now),
            order_life.apply(order, Denied(halt_reason), now),
            self._duplicate_event(command),
            forget_before_ms=self._forget_before_ms(),
        )
        self._desk.count(f"place_{outcome.lower()}")
        if denial is not None or outcome in ("HALTED", "DUPLICATE"):
            self._desk.count("denied")
        if outcome == "REPEAT":
            self._go_on_after_repeat(command)
        elif outcome == "ADMITTED" and denial is None:
            self._sender.place(self._desk.add(first))

    def _go_on_after_repeat(self, command: Command) -> None:
        """A repeat changes nothing; but if the first answer of this very admission was lost, its order goes on here."""
        lane = self._desk.lane(command.client_oid or "")
        if lane is not None and lane.order.command == command.id and lane.order.status is Status.PENDING_NEW:
            self._sender.place(lane)

    def _order(self, entry: Entry, command: Command) -> Order:
        if command.contract is None or command.side is None or command.type is None or command.client_oid is None:
            raise InvalidValue("place", "incomplete")
        ttl_ms = command.ttl_ms or self._desk.router.ttl_ms
        return Order(
            account=command.account,
            client_oid=command.client_oid,
            command=command.id,
            contract=command.contract,
            side=command.side,
            type=command.type,
            created=entry.ms * _MS,
            price=command.price,
            amount=command.amount,
            quote_amount=command.quote_amount,
            stop_price=command.stop_price,
            tags=command.tags,
            ttl_ms=ttl_ms,
        )

    def _denial_of(self, command: Command, order: Order, now: int) -> Reason | None:
        age = too_old((now - order.created) // _MS, order.ttl_ms)
        if age is not None or self._denial is not None:
            return age or self._denial
        if command.cancel_after_ms is not None:
            return Reason("options", "cancel_after_ms is not built yet: send a cancel")
        try:
            self._desk.venue.adapter.check(command)
        except CannotDo as error:
            return error.reason
        price = self._last_price(str(command.contract)) if needs_price(command, self._limits) else None
        return beyond_limits(command, self._limits, price)

    def _last_price(self, contract: str) -> Decimal | None:
        entry = last_entry(self._desk.market_redis, MarketKeys(contract).stream("tick"))
        price = unpack_record(Tick, entry.data).price if entry is not None else None
        return None if price is None else Decimal(repr(price))

    def _duplicate_event(self, command: Command) -> Event:
        reason = Reason("duplicate", "an order with this client_oid is in the journal")
        return replace(self._event("command_denied", command.id, reason), client_oid=command.client_oid)

    # --- all else

    def _work(self, entry: Entry, command: Command) -> None:
        targets = self._targets(command)
        work = Work(command.id, command.action, {lane.order.client_oid for lane in targets})
        marked = [] if command.action == "query" else [lane.order.client_oid for lane in targets if _is_alive(lane)]
        outcome = self._desk.journal.admit_work(
            entry, command.id, work.to_bytes(), marked, forget_before_ms=self._forget_before_ms()
        )
        unanswered_before = outcome == "REPEAT" and self._works.is_unknown(command.id)
        if outcome == "ADMITTED" or (unanswered_before and command.id in self._desk.journal.work()):
            self.start(work, targets)

    def start(self, work: Work, targets: list[Lane]) -> None:
        """Do what an admitted command asks; also what one asks that a router before this admitted."""
        if work.action == "query":
            self._desk.read(self._query, work.command, targets)
            return
        if work.action == "cancel" and not targets:
            self._works.answer(work.command, "cancel_rejected", Reason("unknown_order", "no such order in the journal"))
            return
        for lane in targets:
            if not lane.order.status.is_final:
                lane.apply(CancelAsked(work.command))
        self._works.begin(work)
        for lane in targets:
            if lane.order.status.is_working:
                self._sender.cancel(lane)

    def _targets(self, command: Command) -> list[Lane]:
        if command.action == "cancel_all":
            lanes = [lane for lane in self._desk.open_lanes() if _is_alive(lane)]
            return [
                lane
                for lane in lanes
                if (command.contract is None or lane.order.contract == command.contract)
                and (command.side is None or lane.order.side == command.side)
            ]
        lane = None
        if command.client_oid is not None:
            lane = self._desk.lane(command.client_oid)
        elif command.exchange_oid is not None:
            lane = self._desk.lane_of(command.exchange_oid)
        return [lane] if lane is not None else []

    def _query(self, command: str, targets: list[Lane]) -> None:
        """Look at the venue, then tell how the order stands."""
        if not targets:
            self._works.answer(command, "command_denied", Reason("unknown_order", "no such order in the journal"))
            return
        lane = targets[0]
        self._tracker.look_now(lane)
        now = self._desk.clock.now()
        state = replace(order_life.first_event(lane.order, now), command=command)
        done = self._event("command_done", command, None)
        self._desk.journal.tell((state, replace(done, client_oid=lane.order.client_oid)), command=command)

    def _event(self, kind: EventType, command: str, reason: Reason | None) -> Event:
        return Event(self._desk.account, kind, self._desk.clock.now(), command=command[:64], reason=reason)

    def _forget_before_ms(self) -> int:
        return int(self._desk.clock.now() // _MS - self._desk.router.seen_days * _DAY_MS)


def _is_alive(lane: Lane) -> bool:
    return not lane.order.status.is_final
