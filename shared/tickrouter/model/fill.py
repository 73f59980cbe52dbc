"""One execution of one of our orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self

import msgspec

from tickrouter.errors import InvalidValue
from tickrouter.model.fields import int64, text
from tickrouter.model.money import decimal_of, plain

Liquidity = Literal["maker", "taker", "unknown"]


class Fill(msgspec.Struct, frozen=True):
    """One execution, as the venue reported it.

    Attributes:
        trade_id: the venue's id of the execution; with account, contract and exchange order id it is the key.
        price: in quote.
        amount: in base, above zero.
        fee: what it cost, taxes included, above zero for a cost.
        fee_currency: lower case.
        liquidity: `maker`, `taker`, or `unknown` where the venue does not say.
        time: the venue's time, ns since 1970 UTC.
        seq: our number within the epoch, 0 before it is published.
    """

    trade_id: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity
    time: int
    seq: int = 0

    def to_wire(self) -> dict[str, Any]:
        """The `fill` map of an event, without `seq`, which the publishing script adds."""
        return {
            "trade_id": self.trade_id,
            "price": plain(self.price),
            "amount": plain(self.amount),
            "fee": plain(self.fee),
            "fee_currency": self.fee_currency,
            "liquidity": self.liquidity,
            "time": self.time,
        }

    @classmethod
    def from_wire(cls, fields: Any) -> Self:
        """Inverse of `to_wire`.

        Raises:
            InvalidValue: names the field that is missing or cannot be read.
        """
        if not isinstance(fields, dict):
            raise InvalidValue("fill", "must be a map")
        liquidity = fields.get("liquidity")
        return cls(
            trade_id=text("fill.trade_id", fields.get("trade_id")),
            price=_above_zero("fill.price", fields.get("price")),
            amount=_above_zero("fill.amount", fields.get("amount")),
            fee=decimal_of("fill.fee", fields.get("fee")),
            fee_currency=text("fill.fee_currency", fields.get("fee_currency")),
            liquidity=liquidity if liquidity in ("maker", "taker") else "unknown",
            time=int64("fill.time", fields.get("time")),
            seq=int64("fill.seq", fields.get("seq", 0)),
        )


def _above_zero(field: str, value: Any) -> Decimal:
    """With as many places as the venue gave it: an execution may have more of them than an order."""
    number = decimal_of(field, value)
    if number <= 0:
        raise InvalidValue(field, f"{value} is not above zero")
    return number
