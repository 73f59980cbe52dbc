"""Why a place is not admitted: age, mode, clock, outbox, the venue's form, the account's risk rules."""

from __future__ import annotations

from collections import OrderedDict, deque
from decimal import Decimal

from tickrouter.bus.codec import unpack_record
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.subscribe import last_entry, read_balances
from tickrouter.core.order_life import Change
from tickrouter.core.risk import UNKNOWN, Limits, Load, Market, beyond_limits, needs_market, too_old
from tickrouter.model.command import Command
from tickrouter.model.event import Reason
from tickrouter.model.order import Order, Replacement
from tickrouter.model.tick import Tick
from tickrouter.venues.trading import CannotDo

from .desk import Desk
from .lane import Lane

_MS = 1_000_000
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
RECENT = 10_000
"""Kinds of places remembered, for duplicates, while there is a rule about them; and executions, for positions."""
CLOCK_USE = 0.8
"""Part of the venue's tolerance that our uncertainty about its clock may take."""


class Guard:
    """Holds the limits in force; `Controls` changes them while the router runs."""

    def __init__(self, desk: Desk, limits: Limits, denial: Reason | None) -> None:
        """`denial` is why no place is taken at all here, or None (an account of mode paper at a live venue)."""
        self._desk = desk
        self.limits = limits
        self.outbox_full = False
        self._denial = denial
        self._last_minute: deque[int] = deque()
        self._last_of: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self._moved: deque[tuple[int, str, Decimal]] = deque(maxlen=RECENT)
        """What was executed lately: when it was journaled, base currency, amount."""
        desk.listeners.append(self._executed)

    def denial_of(self, command: Command, order: Order, now: int) -> Reason | None:
        """Why it is denied, or None."""
        age = too_old((now - order.created) // _MS, order.ttl_ms)
        return age or self._denial_of(command, now)

    def denial_of_amend(self, order: Order, wanted: Replacement, now: int) -> Reason | None:
        """Why no order may take this one's place, or None: what holds for a place holds for the one that replaces.

        It takes the place of an open order: that counts neither as open nor towards the position.
        """
        return self._denial_of(_as_place(order, wanted), now, replaced=order)

    def _denial_of(self, command: Command, now: int, replaced: Order | None = None) -> Reason | None:
        """What is looked at whatever makes the order."""
        own = self._denial or self._clock() or self._outbox()
        return own or self._form(command) or self._risk(command, now, replaced)

    @property
    def counts_orders(self) -> bool:
        """True if a rule in force depends on the orders admitted before: then each is admitted alone."""
        limits = self.limits
        numbers = (limits.max_open_orders, limits.orders_per_minute, limits.duplicate_window)
        return bool(limits.max_position) or any(number is not None for number in numbers)

    def admitted(self, command: Command, now: int) -> None:
        """Count a place that was admitted."""
        self._last_minute.append(now)
        if self.limits.duplicate_window is None:
            return
        like = _likeness(command)
        self._last_of[like] = now
        self._last_of.move_to_end(like)
        while len(self._last_of) > RECENT:
            self._last_of.popitem(last=False)

    def amended(self, now: int) -> None:
        """Count an order that an amend makes."""
        self._last_minute.append(now)

    def _clock(self) -> Reason | None:
        tolerance = self._desk.proof.tolerance
        bound = self._desk.venue.clock.uncertainty
        if tolerance is None or bound is None or bound < tolerance * CLOCK_USE:
            return None
        return Reason(
            "clock",
            f"the venue's clock is known to {bound / _SECOND:.1f} s only, it refuses beyond {tolerance / _SECOND:g} s",
        )

    def _outbox(self) -> Reason | None:
        if not self.outbox_full:
            return None
        return Reason("outbox", "MongoDB has not taken events for long; new orders wait until it does")

    def _form(self, command: Command) -> Reason | None:
        try:
            self._desk.venue.adapter.check(command)
        except CannotDo as error:
            return error.reason
        return None

    def _risk(self, command: Command, now: int, replaced: Order | None) -> Reason | None:
        limits = self.limits
        market = self._market(str(command.contract), now) if needs_market(command, limits) else UNKNOWN
        return beyond_limits(command, limits, market, self._load(command, now, replaced))

    def _market(self, contract: str, now: int) -> Market:
        entry = last_entry(self._desk.market_redis, MarketKeys(contract).stream("tick"))
        if entry is None:
            return UNKNOWN
        tick = unpack_record(Tick, entry.data)
        price = None if tick.price is None else Decimal(repr(tick.price))
        return Market(price, (now - tick.time) / _SECOND)

    def _load(self, command: Command, now: int, replaced: Order | None) -> Load:
        limits = self.limits
        while self._last_minute and self._last_minute[0] <= now - _MINUTE:
            self._last_minute.popleft()
        twin = None if limits.duplicate_window is None else self._last_of.get(_likeness(command))
        base = command.contract.base if command.contract is not None else ""
        held = self._held(base, replaced, now) if base in limits.max_position else Decimal(0)
        twin_age = None if twin is None or replaced is not None else (now - twin) / _SECOND
        return Load(self._desk.open_orders - (replaced is not None), len(self._last_minute), twin_age, held)

    def _held(self, base: str, replaced: Order | None, now: int) -> Decimal | None:
        """Of a currency: the last reading, what was executed since, and what open buys would add."""
        balance = read_balances(self._desk.redis, self._desk.account).get(base)
        held, read_at = (balance.total, balance.time) if balance is not None else (Decimal(0), 0)
        held += sum(
            (moved for at, currency, moved in tuple(self._moved) if currency == base and at >= read_at), Decimal(0)
        )
        for order in (lane.order for lane in self._desk.open_lanes()):
            if order.side == "b" and order.contract.base == base and order is not replaced:
                coming = order.remaining if order.remaining is not None else self._bought_by_quote(order, now)
                if coming is None:
                    return None
                held += coming
        return held

    def _bought_by_quote(self, order: Order, now: int) -> Decimal | None:
        """What an order by quote amount would still add, at the last price; None without a tick."""
        price = self._market(str(order.contract), now).price
        return None if price is None else max((order.quote_amount or Decimal(0)) / price - order.filled, Decimal(0))

    def _executed(self, lane: Lane, change: Change) -> None:
        new = change.order.filled - change.before.filled
        if new:
            moved = new if lane.order.side == "b" else -new
            self._moved.append((change.order.updated, lane.order.contract.base, moved))


def _as_place(order: Order, wanted: Replacement) -> Command:
    """The place that an amend comes to: what is left over is no more than what is not filled now."""
    return Command(
        id=wanted.command,
        action="place",
        account=order.account,
        contract=order.contract,
        side=order.side,
        type=order.type,
        price=wanted.price if wanted.price is not None else order.price,
        amount=wanted.left_over(order, order.filled),
        stop_price=order.stop_price,
        client_oid=wanted.client_oid,
    )


def _likeness(command: Command) -> tuple[object, ...]:
    return (
        command.contract,
        command.side,
        command.type,
        command.price,
        command.stop_price,
        command.amount,
        command.quote_amount,
    )
