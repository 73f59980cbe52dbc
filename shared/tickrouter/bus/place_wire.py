"""A place as almost all of them come, read in one go; whatever else is in the queue, `Command.from_wire` reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from tickrouter.errors import InvalidValue
from tickrouter.model.account import Account
from tickrouter.model.command import ID, OID, Command, OrderSide, OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.money import positive

_Oid = Annotated[str, msgspec.Meta(pattern="^" + OID)]


class _Place(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern="^" + ID)]
    action: Literal["place"]
    account: str
    contract: str
    side: OrderSide
    type: OrderType
    client_oid: _Oid
    price: str | None = None
    amount: str | None = None
    quote_amount: str | None = None
    stop_price: str | None = None


_decode = msgspec.msgpack.Decoder(_Place).decode


def plain_place(data: bytes) -> Command | None:
    """The command, if it is a place without anything special; None for what has to be read with care."""
    try:
        wire = _decode(data)
        given: dict[str, Any] = {
            "price": _number("price", wire.price),
            "amount": _number("amount", wire.amount),
            "quote_amount": _number("quote_amount", wire.quote_amount),
            "stop_price": _number("stop_price", wire.stop_price),
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


def _number(name: str, text: str | None) -> Decimal | None:
    return None if text is None else positive(name, text)
