"""What happened to an order, as the router publishes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self

import msgspec

from tickrouter.errors import InvalidValue
from tickrouter.model.account import Account
from tickrouter.model.fields import int64, text
from tickrouter.model.fill import Fill
from tickrouter.model.money import decimal_of, plain

EventType = Literal[
    "order",
    "fill",
    "command_done",
    "command_denied",
    "cancel_rejected",
    "amend_rejected",
    "foreign",
    "reconciled",
    "settled",
    "halt",
    "risk",
    "epoch",
]


class Reason(msgspec.Struct, frozen=True):
    """Why: a kind that programs match on, the venue's code and words."""

    kind: str
    text: str = ""
    code: str = ""

    def to_wire(self) -> dict[str, str]:
        """The `reason` map."""
        return {"kind": self.kind, "code": self.code, "text": self.text}

    @classmethod
    def from_wire(cls, fields: Any) -> Self:
        """Inverse of `to_wire`.

        Raises:
            InvalidValue: no map, or without `kind`.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
            raise InvalidValue("reason", "must be a map with a `kind`")
        return cls(fields["kind"], str(fields.get("text", "")), str(fields.get("code", "")))


class Event(msgspec.Struct, frozen=True):
    """One entry of `events:{<account>}`.

    Attributes:
        account: whose.
        type: see `EventType`; programs ignore types that they do not know.
        time: when the router wrote it, ns since 1970 UTC.
        epoch: raised when Redis forgot; (account, epoch, seq) is unique.
        seq: from 1 in each epoch, without a hole; 0 before it is published.
        alarm: kind of alarm, or None.
        command: id of the command concerned.
        client_oid: order concerned.
        exchange_oid: the venue's id of it.
        status: the order's status after this, as text.
        filled: in base.
        remaining: in base, or None where unknown.
        average_price: in quote, or None.
        fills_pending: the venue's status is ahead of its list of executions.
        reason: why, for refusals.
        fact: what the venue said, or `sent`, `timeout`.
        fill: the execution, for type `fill`.
        tags: the order's.
        contract: canonical name, or None.
        side: the order's, `b` or `s`, or None.
        unknown: fields that this version does not know, kept.
    """

    account: Account
    type: EventType
    time: int
    epoch: int = 0
    seq: int = 0
    alarm: str | None = None
    command: str | None = None
    client_oid: str | None = None
    exchange_oid: str | None = None
    status: str | None = None
    filled: Decimal | None = None
    remaining: Decimal | None = None
    average_price: Decimal | None = None
    fills_pending: bool = False
    reason: Reason | None = None
    fact: str | None = None
    fill: Fill | None = None
    tags: dict[str, Any] = msgspec.field(default_factory=dict)
    contract: str | None = None
    side: str | None = None
    unknown: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def id(self) -> str:
        """The stream entry's id, `<epoch>-<seq>`."""
        return f"{self.epoch}-{self.seq}"

    @property
    def fill_id(self) -> str | None:
        """The entry's id in the stream of fills, `<epoch>-<fill seq>`; None for other events."""
        return None if self.fill is None else f"{self.epoch}-{self.fill.seq}"

    def to_wire(self) -> dict[str, Any]:
        """The event's map without `epoch`, `seq` and `fill`, which the publishing script adds."""
        wire: dict[str, Any] = {
            "time": self.time,
            "account": self.account.text,
            "type": self.type,
            "alarm": self.alarm,
            "command": self.command,
            "client_oid": self.client_oid,
            "exchange_oid": self.exchange_oid,
            "status": self.status,
            "fact": self.fact,
            "contract": self.contract,
            "side": self.side,
            "filled": _text_of(self.filled),
            "remaining": _text_of(self.remaining),
            "average_price": _text_of(self.average_price),
            "fills_pending": self.fills_pending or None,
            "reason": None if self.reason is None else self.reason.to_wire(),
            "tags": self.tags or None,
        }
        return {name: value for name, value in wire.items() if value is not None}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Read an event's map, whole.

        Raises:
            InvalidValue: names the field that is missing or cannot be read.
        """
        rest = dict(wire)
        given: dict[str, Any] = {
            "account": Account.parse(rest.pop("account", None)),
            "type": text("type", rest.pop("type", None)),
            "time": int64("time", rest.pop("time", None)),
        }
        for name in ("filled", "remaining", "average_price"):
            if (value := rest.pop(name, None)) is not None:
                given[name] = decimal_of(name, value)
        if (reason := rest.pop("reason", None)) is not None:
            given["reason"] = Reason.from_wire(reason)
        if (fill := rest.pop("fill", None)) is not None:
            given["fill"] = Fill.from_wire(fill)
        for name in ("epoch", "seq"):
            if (value := rest.pop(name, None)) is not None:
                given[name] = int64(name, value)
        for name in ("alarm", "command", "client_oid", "exchange_oid", "status", "fact", "contract", "side"):
            if (value := rest.pop(name, None)) is not None:
                given[name] = text(name, value)
        given["fills_pending"] = bool(rest.pop("fills_pending", False))
        if (tags := rest.pop("tags", None)) is not None:
            if not isinstance(tags, dict):
                raise InvalidValue("tags", "must be a map")
            given["tags"] = tags
        return cls(**given, unknown=rest)


def _text_of(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
