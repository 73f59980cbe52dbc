"""An order as last known."""

from __future__ import annotations

from decimal import ROUND_UP, Context, Decimal
from enum import StrEnum
from typing import Any, Self

import msgspec

from tickrouter.model.account import Account
from tickrouter.model.command import OrderSide, OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.money import plain, positive

_EXACT = Context(prec=80)
"""More digits than any amount that an order may have."""


class Status(StrEnum):
    """Where an order stands: FIX's words, and three of ours."""

    PENDING_NEW = "PendingNew"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    PENDING_CANCEL = "PendingCancel"
    CANCELED = "Canceled"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    PENDING_REPLACE = "PendingReplace"
    REPLACED = "Replaced"
    DENIED = "Denied"
    """Refused by us before anything was sent."""
    IN_DOUBT = "InDoubt"
    """Sent, outcome unknown."""
    NEVER_PLACED = "NeverPlaced"
    """InDoubt, settled by evidence of absence."""

    @property
    def is_final(self) -> bool:
        """True if the venue holds nothing open for it any more."""
        return self in _FINAL

    @property
    def is_working(self) -> bool:
        """True if the venue holds it open, as far as known."""
        return self in _WORKING


_FINAL = frozenset(
    {
        Status.FILLED,
        Status.CANCELED,
        Status.REJECTED,
        Status.EXPIRED,
        Status.REPLACED,
        Status.DENIED,
        Status.NEVER_PLACED,
    }
)
_WORKING = frozenset({Status.NEW, Status.PARTIALLY_FILLED, Status.PENDING_CANCEL, Status.PENDING_REPLACE})


class Replacement(msgspec.Struct, frozen=True):
    """The order that takes another's place once that is cancelled.

    Attributes:
        client_oid: of the new order.
        command: id of the amend command.
        price: its limit price, or None for the old one's.
        amount: its total in base, what the old one filled included, or None for the old one's.
        forgotten_at: when an epoch opened in which it may have been sent already by a Redis that forgot it, ns.
        places: decimals that its amount may have at the venue, or None where nobody knows.
    """

    client_oid: str
    command: str
    price: Decimal | None = None
    amount: Decimal | None = None
    forgotten_at: int | None = None
    places: int | None = None

    def left_over(self, order: Order, filled: Decimal) -> Decimal:
        """What is left for it of its total, in base: an execution may have more decimals than an order."""
        total = self.amount if self.amount is not None else order.amount
        if self.places is not None:
            filled = filled.quantize(Decimal(1).scaleb(-self.places), ROUND_UP, _EXACT)
        return (total or Decimal(0)) - filled

    def to_wire(self) -> dict[str, str]:
        """The form kept in the journal."""
        wire = {"client_oid": self.client_oid, "command": self.command}
        if self.forgotten_at is not None:
            wire["forgotten_at"] = str(self.forgotten_at)
        if self.places is not None:
            wire["places"] = str(self.places)
        for name in ("price", "amount"):
            if (number := getattr(self, name)) is not None:
                wire[name] = plain(number)
        return wire

    @classmethod
    def from_wire(cls, wire: dict[str, str]) -> Self:
        """Inverse of `to_wire`.

        Raises:
            InvalidValue: a number is not one.
        """
        numbers = {name: positive(name, wire[name]) for name in ("price", "amount") if name in wire}
        forgotten_at, places = (int(wire[name]) if name in wire else None for name in ("forgotten_at", "places"))
        return cls(wire["client_oid"], wire["command"], **numbers, forgotten_at=forgotten_at, places=places)


class Order(msgspec.Struct, frozen=True):
    """An order as last known: what was asked, how far it came, and the venue fact behind that.

    Attributes:
        account: whose.
        client_oid: 32 hex digits.
        command: id of the command that placed it.
        contract: what.
        side: `b` or `s`.
        type: limit, market, stop_limit, stop_market.
        price: limit price, in quote.
        amount: in base; of an order by quote amount, what the venue says it came to.
        quote_amount: in quote, fee included.
        stop_price: trigger, in quote.
        tags: carried into every event.
        created: time of the command's queue entry, ns since 1970 UTC.
        ttl_ms: age at which it is Denied if not yet sent.
        status: see `Status`.
        step: number of the last journaled step, from 1.
        attempt: number of the last signed request, 0 before the first.
        stamp: time in the last signed request, ns, or None.
        digest: of that request's bytes.
        exchange_oid: the venue's id, or None.
        filled: sum of the published fills, in base.
        average_price: of the published fills, in quote, or None.
        fills: published executions by trade id.
        venue_filled: what the venue says is filled, in base; runs ahead of `filled` while fills are pending.
        cancel_requested: id of the command that asked to cancel, or None.
        cancel_sent: True once that request left for the venue.
        cancel_after_ms: cancel by itself, counted from the first New, or None.
        cancel_at: when that is, ns since 1970 UTC, or None before the first New.
        replacement: the order that an amend wants in its place, or None.
        parent: client id of the order that it replaced, or whose client id it shares, or None.
        reason: why it was denied, refused or left in doubt.
        fact: what the venue said last, or `sent`, `timeout`.
        updated: time of the last step, ns.
    """

    account: Account
    client_oid: str
    command: str
    contract: Contract
    side: OrderSide
    type: OrderType
    created: int
    price: Decimal | None = None
    amount: Decimal | None = None
    quote_amount: Decimal | None = None
    stop_price: Decimal | None = None
    tags: dict[str, Any] = msgspec.field(default_factory=dict)
    ttl_ms: int = 30_000
    status: Status = Status.PENDING_NEW
    step: int = 0
    attempt: int = 0
    stamp: int | None = None
    digest: str = ""
    exchange_oid: str | None = None
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    fills: dict[str, Fill] = msgspec.field(default_factory=dict)
    venue_filled: Decimal = Decimal(0)
    cancel_requested: str | None = None
    cancel_sent: bool = False
    cancel_after_ms: int | None = None
    cancel_at: int | None = None
    replacement: Replacement | None = None
    parent: str | None = None
    reason: Reason | None = None
    fact: str = ""
    updated: int = 0

    @property
    def remaining(self) -> Decimal | None:
        """What is not filled, in base; None while an order by quote amount has no base amount."""
        return None if self.amount is None else max(self.amount - self.filled, Decimal(0))

    @property
    def fills_pending(self) -> bool:
        """True while the venue's status is ahead of the fills that it has listed."""
        return self.venue_filled > self.filled

    @property
    def is_done(self) -> bool:
        """True if it is final and every fill is published."""
        return self.status.is_final and not self.fills_pending

    @property
    def notional(self) -> Decimal | None:
        """Value at the limit price or the quote amount, in quote; None for a market order by base amount."""
        if self.quote_amount is not None:
            return self.quote_amount
        return self.amount * self.price if self.amount is not None and self.price is not None else None
