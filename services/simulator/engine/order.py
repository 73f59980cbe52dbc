"""One order, of a client or of the house."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Side = Literal["buy", "sell"]
ZERO = Decimal(0)


class Method(StrEnum):
    """Order methods, spelled as the venue's answers spell them."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LIMIT = "stoplimit"
    STOP_MARKET = "stopmarket"


class Status(StrEnum):
    """Order states, spelled as the venue's answers spell them."""

    UNTOUCHED = "Untouched"
    PARTIAL = "Partial"
    CANCELED = "Canceled"
    CLOSED = "Closed"


OPEN = (Status.UNTOUCHED, Status.PARTIAL)


@dataclass(slots=True)
class Order:
    """An order and what became of it.

    Attributes:
        id: above 0 for a client's order, below 0 for one of the house.
        account: number of the client's account; None for the house.
        price: of a limit order; 0 for a market order.
        amount: base amount; of a client's market buy 0 until it trades, then what it bought.
        left: base amount that is not filled.
        budget: quote amount that a client's market buy may still spend, fees included; else 0.
        stop_price: of a stop order; 0 otherwise.
        waiting: True for a stop order that is not triggered.
        ahead: house liquidity that stands before it at its price.
        locked: funds held for it, in quote currency for a buy, in base currency for a sell.
        first_price: price of its first match, or 0.
    """

    id: int
    account: int | None
    pair: str
    side: Side
    method: Method
    price: Decimal
    amount: Decimal
    left: Decimal
    time_ms: int
    budget: Decimal = ZERO
    stop_price: Decimal = ZERO
    client_id: str = ""
    update_ms: int = 0
    status: Status = Status.UNTOUCHED
    waiting: bool = False
    ahead: Decimal = ZERO
    locked: Decimal = ZERO
    first_price: Decimal = ZERO
    asked: Decimal = field(default=ZERO)
    """The quantity of the request: quote currency for a market buy."""

    @property
    def owner(self) -> int:
        """Number of the client's account.

        Raises:
            ValueError: it is an order of the house.
        """
        if self.account is None:
            raise ValueError(f"order {self.id} belongs to the house")
        return self.account

    @property
    def is_buy(self) -> bool:
        return self.side == "buy"

    @property
    def is_limit(self) -> bool:
        return self.method in (Method.LIMIT, Method.STOP_LIMIT)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def take(self, amount: Decimal) -> None:
        """Note that `amount` of it traded."""
        if not self.by_budget:
            self.left -= amount

    @property
    def by_budget(self) -> bool:
        """True for a client's market buy, which is bounded by what it spends."""
        return self.account is not None and self.is_buy and not self.is_limit
