"""BTCTurk's private socket messages (BTCTurk reference, sections 4.2, 4.4 and 4.6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tickrouter.core.facts import VenueOrder, VenueState
from tickrouter.errors import AmbiguousError, InvalidValue, Unreadable
from tickrouter.model.contract import Contract
from tickrouter.venues.btcturk.answers import VENUE, number
from tickrouter.venues.btcturk.orders import execution_of
from tickrouter.venues.trading import Hint, LoggedIn, PrivateFact


def read_private(frame: bytes) -> tuple[PrivateFact, ...]:
    """What a frame says. Messages are told apart by their number alone, and unknown numbers say nothing.

    Raises:
        Unreadable: no `[number, object]`, or a known number with something else inside.
    """
    try:
        code, inner = json.loads(frame, parse_float=Decimal)
        reader = _READERS.get(code)
        return reader(inner) if reader is not None else ()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, AmbiguousError, InvalidValue) as error:
        raise Unreadable(f"private frame: {type(error).__name__}: {error}") from error


_METHODS = {0: "limit", 1: "market", 2: "stop_limit", 3: "stop_market"}
"""Codes of `method`; 3 is inferred."""


def _login(inner: Any) -> tuple[PrivateFact, ...]:
    return (LoggedIn(inner["ok"] is True, str(inner.get("message") or "")),)


def _execution(inner: Any) -> tuple[PrivateFact, ...]:
    return (execution_of(inner),)


def _match(inner: Any) -> tuple[PrivateFact, ...]:
    """A 441 has no trade id and may be merged: a hint, never a fill."""
    return (Hint(str(inner["id"]), str(inner.get("clientId") or "")),)


def _order(inner: Any) -> tuple[PrivateFact, ...]:
    """What 452 says of the rest may be stale (#503): a hint to ask for the order."""
    return (Hint(str(inner["id"]), str(inner.get("newOrderClientId") or "")),)


def _inserted(inner: Any) -> tuple[PrivateFact, ...]:
    """A 451 shows the order as it came in. Its side was absent before 2022: then it is a hint only."""
    side = {0: "b", 1: "s"}.get(inner.get("orderType"))
    if side is None:
        return _order(inner)
    kind = _METHODS.get(inner.get("method"), str(inner.get("method")))
    amount = number(inner["amount"])
    order = VenueOrder(
        exchange_oid=str(inner["id"]),
        client_oid=str(inner.get("newOrderClientId") or ""),
        contract=Contract.parse(VENUE, str(inner["symbol"])),
        side=side,
        type=kind,
        price=number(inner["price"]) if kind in ("limit", "stop_limit") else None,
        amount=amount if kind != "market" else None,
        filled=Decimal(0),
        state=VenueState.OPEN,
        time=0,
    )
    return (order,)


def _balance(_inner: Any) -> tuple[PrivateFact, ...]:
    return (Hint(None),)


_READERS: dict[int, Callable[[Any], tuple[PrivateFact, ...]]] = {
    114: _login,
    200: _balance,
    201: _balance,
    423: _execution,
    441: _match,
    451: _inserted,
    452: _order,
    453: _order,
}
