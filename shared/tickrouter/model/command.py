"""What a strategy asks of the router."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, Literal, Self, get_args

import msgspec

from tickrouter.errors import InvalidContract, InvalidValue
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.money import plain, positive

Action = Literal["place", "cancel", "cancel_all", "amend", "query", "settle"]
OrderType = Literal["limit", "market", "stop_limit", "stop_market"]
OrderSide = Literal["b", "s"]

_ACTIONS, _TYPES, _SIDES = get_args(Action), get_args(OrderType), get_args(OrderSide)
OID = r"[0-9a-f]{32}\Z"
"""Form of a client order id."""
ID = r"[\x21-\x7e]{1,64}\Z"
"""Form of a command's id."""
_OID = re.compile(OID)
_ID = re.compile(ID)
_TEXT = re.compile(r".{1,500}\Z", re.DOTALL)
_DECIMALS = ("price", "amount", "quote_amount", "stop_price", "leverage")
_MILLISECONDS = ("ttl_ms", "cancel_after_ms")
_MAX_MS = 7 * 24 * 3600 * 1000
_MAX_DEPTH = 8


class Command(msgspec.Struct, frozen=True):
    """One entry of the command queue.

    Attributes:
        id: unique; the guard against a client library that repeats an XADD.
        action: `place`, `cancel`, `cancel_all`, `amend`, `query`, or an operator's `settle`.
        account: whose order.
        contract: required on place.
        side: `b` or `s`, required on place.
        type: required on place.
        price: limit price, in quote.
        amount: in base.
        quote_amount: in quote, fee included; only where the venue's card allows it.
        stop_price: trigger of the stop types, in quote.
        client_oid: 32 hex digits, required on place.
        exchange_oid: the venue's id, to cancel or query by it.
        orig_client_oid: the order that an amend replaces.
        ttl_ms: a place older than this is Denied; None is the configured default.
        cancel_after_ms: cancel by itself, counted from the first New.
        leverage: for perpetuals.
        reduce_only: for perpetuals.
        tags: carried into every event of the order.
        options: venue-specific; refused with a reason where the venue has none.
        unknown: fields that this version does not know, kept.
    """

    id: str
    action: Action
    account: Account
    contract: Contract | None = None
    side: OrderSide | None = None
    type: OrderType | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    quote_amount: Decimal | None = None
    stop_price: Decimal | None = None
    client_oid: str | None = None
    exchange_oid: str | None = None
    orig_client_oid: str | None = None
    ttl_ms: int | None = None
    cancel_after_ms: int | None = None
    leverage: Decimal | None = None
    reduce_only: bool = False
    tags: dict[str, Any] = msgspec.field(default_factory=dict)
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    unknown: dict[str, Any] = msgspec.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The map that goes onto the queue: what is set, money as text."""
        wire: dict[str, Any] = {"id": self.id, "action": self.action, "account": str(self.account)}
        if self.contract is not None:
            wire["contract"] = str(self.contract)
        for name in ("side", "type", "client_oid", "exchange_oid", "orig_client_oid", *_MILLISECONDS):
            if (value := getattr(self, name)) is not None:
                wire[name] = value
        for name in _DECIMALS:
            if (number := getattr(self, name)) is not None:
                wire[name] = plain(number)
        for name in ("reduce_only", "tags", "options"):
            if value := getattr(self, name):
                wire[name] = value
        return wire | self.unknown

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Read and check a command's form; whether a venue can do it is checked later.

        Raises:
            InvalidValue: names the field and what is wrong with it.
        """
        given: dict[str, Any] = {name: _READERS[name](name, wire.get(name)) for name in _REQUIRED}
        rest: dict[str, Any] = {}
        for name, value in wire.items():
            if name not in _READERS:
                rest[name] = value
            elif name not in _REQUIRED and value is not None:
                given[name] = _READERS[name](name, value)
        if rest:
            _check_plain("unknown fields", rest)
        return cls(**given, unknown=rest).checked()

    def checked(self) -> Self:
        """The same, if what it says belongs together.

        Raises:
            InvalidValue: names what is missing or contradicts the rest.
        """
        self._check_complete()
        return self

    def _check_complete(self) -> None:
        if self.contract is not None and self.contract.venue != self.account.venue:
            raise InvalidContract("contract", f"{self.contract} is not at the account's venue {self.account.venue}")
        if self.action == "place":
            self._check_place()
        elif self.action in ("cancel", "query") and self.client_oid is None and self.exchange_oid is None:
            raise InvalidValue("client_oid", f"{self.action} needs client_oid or exchange_oid")
        elif self.action == "amend" and (self.client_oid is None or self.orig_client_oid is None):
            raise InvalidValue("client_oid", "amend needs orig_client_oid (the old order) and client_oid (the new)")
        elif self.action == "amend" and self.price is None and self.amount is None:
            raise InvalidValue("price", "amend needs a new price, a new amount, or both")
        elif self.action == "settle":
            self._check_settle()

    def _check_settle(self) -> None:
        if self.client_oid is None:
            raise InvalidValue("client_oid", "settle needs client_oid")
        _one_of("options.verdict", self.options.get("verdict"), ("never_placed", "canceled", "placed"))
        for name in ("operator", "reason"):
            _matching(f"options.{name}", self.options.get(name), _TEXT, "1 to 500 characters: it is recorded")
        if self.options["verdict"] == "placed":
            _matching("options.exchange_oid", self.options.get("exchange_oid"), _ID, "the venue's id of the order")

    def _check_place(self) -> None:
        if self.contract is None or self.side is None or self.type is None or self.client_oid is None:
            name = next(name for name in ("contract", "side", "type", "client_oid") if getattr(self, name) is None)
            raise InvalidValue(name, "missing; place needs contract, side, type and client_oid")
        if (self.amount is None) == (self.quote_amount is None):
            raise InvalidValue("amount", "place needs either amount (base) or quote_amount (quote)")
        if self.type in ("limit", "stop_limit") and self.price is None:
            raise InvalidValue("price", f"missing; a {self.type} order needs it")
        if self.type in ("stop_limit", "stop_market") and self.stop_price is None:
            raise InvalidValue("stop_price", f"missing; a {self.type} order needs it")
        # Rules would value the order by it, and the venue not look at it.
        if self.type in ("market", "stop_market") and self.price is not None:
            raise InvalidValue("price", f"a {self.type} order has none")
        if self.type in ("limit", "market") and self.stop_price is not None:
            raise InvalidValue("stop_price", f"a {self.type} order has none")


def _matching(name: str, value: Any, pattern: re.Pattern[str], form: str) -> str:
    if value is None:
        raise InvalidValue(name, "missing")
    if not isinstance(value, str) or not pattern.match(value):
        raise InvalidValue(name, f"must be {form}")
    return value


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value is None:
        raise InvalidValue(name, f"missing; one of {', '.join(allowed)}")
    if not isinstance(value, str) or value not in allowed:
        raise InvalidValue(name, f"{str(value)[:40]!r} is not one of {', '.join(allowed)}")
    return value


def _milliseconds(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_MS:
        raise InvalidValue(name, f"must be a whole number of milliseconds from 1 to {_MAX_MS}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(name, "must be true or false")
    return value


def _map(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidValue(name, "must be a map")
    _check_plain(name, value)
    return value


def _check_plain(name: str, value: Any, depth: int = 0) -> None:
    """What is carried on has to fit every store that it is carried to: text keys, few levels, no odd types."""
    if depth > _MAX_DEPTH:
        raise InvalidValue(name, f"more than {_MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidValue(name, "a key in it is no text")
        for inner in (*value, *value.values()):
            _check_plain(name, inner, depth + 1)
    elif type(value) in (list, tuple):  # msgpack's own extension types are tuples by inheritance
        for inner in value:
            _check_plain(name, inner, depth + 1)
    elif (defect := _defect(value)) is not None:
        raise InvalidValue(name, defect)


def _defect(value: Any) -> str | None:
    match value:
        case float() if not isfinite(value):
            return f"{value} in it is not finite"
        case int() if not -(1 << 63) <= value < 1 << 64:
            return "a number in it does not fit into 64 bits"
        case str() if any("\ud800" <= letter <= "\udfff" for letter in value):
            return "a text in it is no valid Unicode"
        case None | float() | int() | str() | bytes():
            return None
    return f"holds a {type(value).__name__}; allowed: text, bytes, numbers, lists, maps"


def _id(name: str, value: Any) -> str:
    return _matching(name, value, _ID, "1 to 64 printable characters")


def _oid(name: str, value: Any) -> str:
    return _matching(name, value, _OID, "32 hex digits in lower case")


_REQUIRED = ("id", "action", "account")
_READERS: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "action": lambda name, value: _one_of(name, value, _ACTIONS),
    "account": lambda _, value: Account.parse(value),
    "contract": lambda _, value: Contract.parse(value),
    "side": lambda name, value: _one_of(name, value, _SIDES),
    "type": lambda name, value: _one_of(name, value, _TYPES),
    "client_oid": _oid,
    "orig_client_oid": _oid,
    "exchange_oid": _id,
    "reduce_only": _flag,
    "tags": _map,
    "options": _map,
    **dict.fromkeys(_DECIMALS, positive),
    **dict.fromkeys(_MILLISECONDS, _milliseconds),
}
"""What reads each field, and checks its form."""
