"""Orders and fills as the private REST answers give them (BTCTurk reference, section 1.5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .engine.order import Order
from .pairs import PAIRS
from .text import places, plain


def order_row(order: Order, *, in_open_orders: bool = False) -> dict[str, Any]:
    """One order. `time` is 0 in openOrders; `price` of a market order is that of its first match."""
    amount, left = order.amount, order.left
    if order.by_budget and order.waiting:
        amount = left = order.asked
    return {
        "id": order.id,
        "price": plain(order.price if order.is_limit else order.first_price),
        "amount": plain(amount),
        "quantity": plain(left if order.by_budget else amount),
        "stopPrice": plain(order.stop_price),
        "pairSymbol": order.pair,
        "pairSymbolNormalized": PAIRS[order.pair].normalized,
        "type": order.side,
        "method": order.method.value,
        "orderClientId": order.client_id,
        "time": 0 if in_open_orders else order.time_ms,
        "updateTime": order.update_ms,
        "status": order.status.value,
        "leftAmount": places(left, 16),
    }


def submitted_row(order: Order) -> dict[str, Any]:
    """The `data` of an accepted order. It does not tell whether the order rests or was filled."""
    return {
        "id": order.id,
        "quantity": plain(order.asked),
        "price": plain(order.price),
        "stopPrice": plain(order.stop_price),
        "newOrderClientId": order.client_id,
        "type": order.side,
        "method": order.method.value,
        "pairSymbol": order.pair,
        "pairSymbolNormalized": PAIRS[order.pair].normalized,
        "datetime": order.time_ms,
    }


def number(amount: Decimal) -> float:
    """A JSON number where the venue itself sends a rounded one: transfers, charts."""
    return float(amount)
