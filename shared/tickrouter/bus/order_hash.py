"""An order as the fields of its journal hash.

`terms` is what was asked and `state` how far it came, each a msgpack map; beside them stand, as text, the fields that
scripts read or write by themselves (`step`, `cancel_requested`), one `fact:<step>` and one `fill:<trade id>` each.
"""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import msgspec

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.core.recovery import Findings
from tickrouter.model.account import Account
from tickrouter.model.command import OrderSide, OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Replacement, Status

Value = str | bytes
_CANCEL = "cancel_requested"
_FILL = "fill:"
_FACT = "fact:"
_EVIDENCE = b"evidence"


class Terms(msgspec.Struct, omit_defaults=True):
    """What does not change once an order is admitted; see `Order` for each field."""

    account: str
    client_oid: str
    command: str
    contract: str
    side: OrderSide
    type: OrderType
    created: int
    ttl_ms: int
    price: Decimal | None = None
    quote_amount: Decimal | None = None
    stop_price: Decimal | None = None
    cancel_after_ms: int | None = None
    parent: str | None = None
    tags: dict[str, Any] = msgspec.field(default_factory=dict)


class State(msgspec.Struct, omit_defaults=True):
    """What a step may change, but for fills and the request to cancel; see `Order` for each field."""

    status: Status
    updated: int
    fact: str
    attempt: int
    amount: Decimal | None = None
    stamp: int | None = None
    digest: str = ""
    exchange_oid: str | None = None
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    venue_filled: Decimal = Decimal(0)
    cancel_sent: bool = False
    cancel_at: int | None = None
    replacement: Replacement | None = None
    reason: Reason | None = None


_encode = msgspec.msgpack.Encoder().encode
_terms: msgspec.msgpack.Decoder[Terms] = msgspec.msgpack.Decoder(Terms)
_state: msgspec.msgpack.Decoder[State] = msgspec.msgpack.Decoder(State)


def to_hash(order: Order) -> dict[str, Value]:
    """All fields of an order that has none yet in Redis."""
    written: dict[str, Value] = {"terms": _encode(_terms_of(order)), **_state_fields(order)}
    if order.cancel_requested is not None:
        written[_CANCEL] = order.cancel_requested
    return _with_fills(written, order, {})


def changes(before: Order, after: Order) -> tuple[dict[str, Value], list[str]]:
    """Fields to set and fields to delete, so that the hash of `before` becomes that of `after`."""
    changed = _state_fields(after)
    unset: list[str] = []
    if after.cancel_requested != before.cancel_requested:
        if after.cancel_requested is None:
            unset.append(_CANCEL)
        else:
            changed[_CANCEL] = after.cancel_requested
    return _with_fills(changed, after, before.fills), unset


def from_hash(raw: dict[bytes, bytes]) -> Order | None:
    """Inverse of `to_hash`; None for an empty hash. Unknown fields are ignored.

    Raises:
        KeyError: a field is missing.
        msgspec.DecodeError: `terms` or `state` is not what it should be.
    """
    if not raw:
        return None
    terms, state = _terms.decode(raw[b"terms"]), _state.decode(raw[b"state"])
    cancel = raw.get(_CANCEL.encode())
    fills = {
        key[len(_FILL) :].decode(): Fill.from_wire(unpack_map(data))
        for key, data in raw.items()
        if key.startswith(_FILL.encode())
    }
    given = msgspec.structs.asdict(terms) | msgspec.structs.asdict(state)
    given |= {"account": Account.parse(terms.account), "contract": Contract.parse(terms.contract)}
    return Order(
        **given, step=int(raw[b"step"]), cancel_requested=None if cancel is None else cancel.decode(), fills=fills
    )


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


def fact_field(order: Order) -> dict[str, Value]:
    """What is written behind the order's last step."""
    return {f"{_FACT}{order.step}": f"{order.updated} {order.status.value} {order.fact}"}


def _terms_of(order: Order) -> Terms:
    return Terms(
        order.account.text,
        order.client_oid,
        order.command,
        order.contract.text,
        order.side,
        order.type,
        order.created,
        order.ttl_ms,
        order.price,
        order.quote_amount,
        order.stop_price,
        order.cancel_after_ms,
        order.parent,
        order.tags,
    )


def _state_fields(order: Order) -> dict[str, Value]:
    state = State(
        order.status,
        order.updated,
        order.fact,
        order.attempt,
        order.amount,
        order.stamp,
        order.digest,
        order.exchange_oid,
        order.filled,
        order.average_price,
        order.venue_filled,
        order.cancel_sent,
        order.cancel_at,
        order.replacement,
        order.reason,
    )
    return {"state": _encode(state), "step": str(order.step), **fact_field(order)}


def _with_fills(written: dict[str, Value], order: Order, known: dict[str, Fill]) -> dict[str, Value]:
    if order.fills is not known:
        written |= {_FILL + key: pack_map(fill.to_wire()) for key, fill in order.fills.items() if key not in known}
    return written
