"""An order as the fields of its journal hash: text that a person can read with HGETALL, but for tags and fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from msgspec.structs import fields

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.core.recovery import Findings
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.money import plain
from tickrouter.model.order import Order, Replacement, Status

Value = str | bytes
_FILL = "fill:"
_FACT = "fact:"
_EVIDENCE = b"evidence"
_INTEGERS = frozenset({"created", "ttl_ms", "step", "attempt", "stamp", "updated", "cancel_after_ms", "cancel_at"})
_DECIMALS = frozenset({"price", "amount", "quote_amount", "stop_price", "filled", "average_price", "venue_filled"})
_NAMES = tuple(field.name for field in fields(Order) if field.name != "fills")


def to_hash(order: Order) -> dict[str, Value]:
    """All fields of an order that has none yet in Redis."""
    written = {name: text(value) for name, text in _TEXTS.items() if (value := getattr(order, name)) is not None}
    return written | _fill_fields(order, {}) | fact_field(order)


def changes(before: Order, after: Order) -> tuple[dict[str, Value], list[str]]:
    """Fields to set and fields to delete, so that the hash of `before` becomes that of `after`."""
    changed: dict[str, Value] = {}
    unset: list[str] = []
    for name, text in _TEXTS.items():
        value, old = getattr(after, name), getattr(before, name)
        if value is old or value == old:
            continue
        if value is None:
            unset.append(name)
        else:
            changed[name] = text(value)
    return changed | _fill_fields(after, before.fills) | fact_field(after), unset


def from_hash(raw: dict[bytes, bytes]) -> Order | None:
    """Inverse of `to_hash`; None for an empty hash. Unknown fields are ignored.

    Raises:
        KeyError: a field is missing.
    """
    if not raw:
        return None
    given: dict[str, Any] = {}
    fills: dict[str, Fill] = {}
    for key, data in raw.items():
        name = key.decode()
        if name.startswith(_FILL):
            fills[name.removeprefix(_FILL)] = Fill.from_wire(unpack_map(data))
        elif name in _NAMES:
            given[name] = _value(name, data)
    return Order(**given, fills=fills)


def history(raw: dict[bytes, bytes]) -> list[str]:
    """What is written behind each step, in order: time in ns, status, what the venue or we said."""
    steps = {int(key[len(_FACT) :]): data.decode() for key, data in raw.items() if key.startswith(_FACT.encode())}
    return [steps[number] for number in sorted(steps)]


def packed_findings(findings: Findings) -> bytes:
    """What was found out about an order in doubt, as it stands in the field `evidence`."""
    return pack_map(asdict(findings))


def findings_of(raw: dict[bytes, bytes]) -> Findings | None:
    """What was found out about the order while it was in doubt; None if it never was looked for."""
    if _EVIDENCE not in raw:
        return None
    found = unpack_map(raw[_EVIDENCE])
    return Findings(**{**found, "missing": tuple(found["missing"])})


def _fill_fields(order: Order, known: dict[str, Fill]) -> dict[str, Value]:
    return {_FILL + key: pack_map(fill.to_wire()) for key, fill in order.fills.items() if key not in known}


def fact_field(order: Order) -> dict[str, Value]:
    """What is written behind the order's last step."""
    return {f"{_FACT}{order.step}": f"{order.updated} {order.status} {order.fact}"}


def _wire(value: Reason | Replacement) -> Value:
    return pack_map(value.to_wire())


def _flag(value: bool) -> Value:
    return "1" if value else ""


_SPECIAL: dict[str, Callable[[Any], Value]] = {
    "tags": pack_map,
    "reason": _wire,
    "replacement": _wire,
    "cancel_sent": _flag,
    **dict.fromkeys(_DECIMALS, plain),
}
_TEXTS = {name: _SPECIAL.get(name, str) for name in _NAMES}
"""How the value of each field becomes text."""


def _value(name: str, data: bytes) -> Any:
    if name == "tags":
        return unpack_map(data)
    if name == "reason":
        return Reason.from_wire(unpack_map(data))
    if name == "replacement":
        return Replacement.from_wire(unpack_map(data))
    text = data.decode()
    if name in _INTEGERS:
        return int(text)
    if name in _DECIMALS:
        return Decimal(text)
    match name:
        case "account":
            return Account.parse(text)
        case "contract":
            return Contract.parse(text)
        case "status":
            return Status(text)
        case "cancel_sent":
            return text == "1"
    return text
