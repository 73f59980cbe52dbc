"""A place as almost all of them come, read in one go; whatever else is in the queue, `Command.from_wire` reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from tickrouter.errors import InvalidValue
from tickrouter.model.account import Account
from tickrouter.model.command import ID, OID, Command, OrderSide, OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.money import SHORT

_Oid = Annotated[str, msgspec.Meta(pattern="^" + OID)]
_Number = Annotated[str, msgspec.Meta(pattern="^" + SHORT)]


class _Place(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern="^" + ID)]
    action: Literal["place"]
    account: str
    contract: str
    side: OrderSide
    type: OrderType
    client_oid: _Oid
    price: _Number | None = None
    amount: _Number | None = None
    quote_amount: _Number | None = None
    stop_price: _Number | None = None


_decode = msgspec.msgpack.Decoder(_Place).decode


def plain_place(data: bytes) -> Command | None:
    """The command, if it is a place without anything special; None for what has to be read with care."""
    try:
        wire = _decode(data)
        given: dict[str, Any] = {
            "price": _number(wire.price),
            "amount": _number(wire.amount),
            "quote_amount": _number(wire.quote_amount),
            "stop_price": _number(wire.stop_price),
        }
        return Command(
            wire.id,
            "place",
            Account.parse(wire.account),
            Contract.parse(wire.contract),
            wire.side,
            wire.type,
            client_oid=wire.client_oid,
            **given,
        ).checked()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidValue):
        return None


def _number(text: str | None) -> Decimal | None:
    """Above zero.

    Raises:
        InvalidValue: it is zero.
    """
    if text is None:
        return None
    number = Decimal(text)
    if not number:
        raise InvalidValue("number", "is zero")
    return number
