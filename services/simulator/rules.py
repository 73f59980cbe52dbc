"""How an order is checked before it is taken (BTCTurk reference, section 1.4, and the errors of section 2)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .engine.exchange import Exchange, Placement
from .engine.order import ZERO, Method, Side
from .pairs import Pair, find_pair
from .problems import order_refused
from .text import decimals_of

HIGHEST_PRICE = Decimal(10_000_000)
_METHODS = {method.value: method for method in Method}
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?")
_STOPS = (Method.STOP_LIMIT, Method.STOP_MARKET)


def read_placement(fields: Mapping[str, Any], account: int, exchange: Exchange) -> Placement:
    """The order that the body of a POST asks for.

    Raises:
        Problem: 400, with the venue's words for the first rule it breaks.
    """
    pair = find_pair(str(fields.get("pairSymbol", "")))
    if pair is None:
        raise order_refused("FAILED_ORDER_PARAMETER")
    method = _METHODS.get(str(fields.get("orderMethod", "")).lower().replace("_", ""))
    if method is None:
        raise order_refused("ORDER_METHOD_NOT_SUPPORTED")
    side = _SIDES.get(str(fields.get("orderType", "")).lower())
    if side is None:
        raise order_refused("ORDER_TYPE_NOT_SUPPORTED")
    is_limit = method in (Method.LIMIT, Method.STOP_LIMIT)
    wish = Placement(
        account,
        pair.name,
        side,
        method,
        _decimal(fields.get("quantity")),
        _decimal(fields.get("price")) if is_limit else ZERO,
        _decimal(fields.get("stopPrice")) if method in _STOPS else ZERO,
        _client_id(fields),
    )
    _check(wish, pair, exchange)
    return wish


def _check(wish: Placement, pair: Pair, exchange: Exchange) -> None:
    for rule in (_scales, _price_range, _stop_side, _market_open, _least_value):
        if (broken := rule(wish, pair, exchange)) is not None:
            raise order_refused(broken)


def _scales(wish: Placement, pair: Pair, _exchange: Exchange) -> str | None:
    if decimals_of(wish.price) > pair.price_places:
        return "FAILED_INVALID_PRICE_SCALE"
    quantity_places = pair.price_scale if _spends_quote(wish) else pair.amount_scale
    if not wish.quantity or decimals_of(wish.quantity) > quantity_places:
        return "FAILED_INVALID_QUANTITY_SCALE"
    if decimals_of(wish.stop_price) > pair.price_places:
        return "FAILED_INVALID_STOP_PRICE_SCALE"
    return None


def _price_range(wish: Placement, pair: Pair, exchange: Exchange) -> str | None:
    if wish.method not in (Method.LIMIT, Method.STOP_LIMIT):
        return None
    lowest, highest = pair.price_bounds(exchange.mark(pair.name))
    if wish.price > HIGHEST_PRICE:
        return "PRICE_MUST_BE_LESS_THAN_MAXPRICE"
    if wish.price > highest:
        return "ORDER_MAX_PRICE_EXCEEDED"
    return "ORDER_MIN_PRICE_EXCEEDED" if wish.price < lowest else None


def _stop_side(wish: Placement, pair: Pair, exchange: Exchange) -> str | None:
    if wish.method not in _STOPS:
        return None
    if not wish.stop_price:
        return "FAILED_ORDER_PARAMETER"
    bid, ask = exchange.best(pair.name)
    if wish.side == "sell" and ask is not None and wish.stop_price > ask[0]:
        return "FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK"
    if wish.side == "buy" and bid is not None and wish.stop_price < bid[0]:
        return "FAILED_STOP_PRICE_LESS_THAN_BEST_BID"
    return None


def _market_open(wish: Placement, pair: Pair, exchange: Exchange) -> str | None:
    bid, ask = exchange.best(pair.name)
    if wish.method is Method.MARKET and (ask if wish.side == "buy" else bid) is None:
        return "FAILED_MARKET_ORDER"
    return None


def _least_value(wish: Placement, pair: Pair, exchange: Exchange) -> str | None:
    price = wish.price or wish.stop_price
    if _spends_quote(wish):
        price = Decimal(1)
    elif not price:
        bid, _ = exchange.best(pair.name)
        price = bid[0] if bid is not None else pair.reference_price
    return "FAILED_MIN_TOTAL_AMOUNT" if wish.quantity * price < pair.min_value else None


def _spends_quote(wish: Placement) -> bool:
    return wish.side == "buy" and wish.method in (Method.MARKET, Method.STOP_MARKET)


def _decimal(value: object) -> Decimal:
    """Plain decimals only: a point as the mark, no sign, no exponent (#557)."""
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        raise order_refused("FAILED_ORDER_PARAMETER")
    return Decimal(value)


def _client_id(fields: Mapping[str, Any]) -> str:
    """The client's own id, which may repeat; the venue makes a GUID where there is none."""
    given = fields.get("newOrderClientId")
    return given if isinstance(given, str) and given else str(uuid.uuid4())
