"""What an exchange says happened, in order. Values: they hold what was so at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Literal

from .order import ZERO, Method, Order, Side, Status


class Change(IntEnum):
    """What became of a level, as `CP` in message 432."""

    CHANGED = 0
    NEW = 1
    REMOVED = 3


LevelChange = tuple[Decimal, Decimal, Change]
"""Price, amount, change. The amount of a removed level is its last one, not 0."""


@dataclass(frozen=True, slots=True)
class BookChanged:
    """One difference of a book; `number` rises by one in each pair."""

    pair: str
    number: int
    bids: tuple[LevelChange, ...]
    asks: tuple[LevelChange, ...]
    time_ms: int


@dataclass(frozen=True, slots=True)
class TradePrinted:
    """One public trade; `side` is the taker's."""

    pair: str
    id: int
    price: Decimal
    amount: Decimal
    side: Side
    time_ms: int


@dataclass(frozen=True, slots=True)
class OrderInserted:
    """A client's order was taken. `asked` is the quantity of the request: quote currency for a market buy."""

    account: int
    order_id: int
    pair: str
    side: Side
    method: Method
    price: Decimal
    stop_price: Decimal
    asked: Decimal
    client_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """One match of a client's order. Fee and tax are amounts of quote currency, not negative."""

    account: int
    order_id: int
    trade_id: int
    pair: str
    side: Side
    method: Method
    price: Decimal
    amount: Decimal
    fee: Decimal
    tax: Decimal
    liquidity: Literal["maker", "taker"]
    client_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class OrderTriggered:
    """A client's stop order became active."""

    account: int
    order_id: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """A client's order left the venue; `rested` says whether it had stood in the book or waited as a stop."""

    account: int
    order_id: int
    pair: str
    side: Side
    method: Method
    price: Decimal
    amount: Decimal
    left: Decimal
    status: Status
    rested: bool
    client_id: str
    time_ms: int


Event = BookChanged | TradePrinted | OrderInserted | OrderFilled | OrderTriggered | OrderEnded


def order_of(event: OrderInserted) -> Order:
    """The order that an insertion made, as it was before its first match."""
    by_budget = event.side == "buy" and event.method in (Method.MARKET, Method.STOP_MARKET)
    amount = ZERO if by_budget else event.asked
    return Order(
        event.order_id,
        event.account,
        event.pair,
        event.side,
        event.method,
        event.price,
        amount,
        amount,
        event.time_ms,
        budget=event.asked if by_budget else ZERO,
        stop_price=event.stop_price,
        client_id=event.client_id,
        update_ms=event.time_ms,
        waiting=event.method in (Method.STOP_LIMIT, Method.STOP_MARKET),
        asked=event.asked,
    )
