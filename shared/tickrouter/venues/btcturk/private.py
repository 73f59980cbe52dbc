"""BTCTurk's private socket messages (BTCTurk reference, sections 4.2, 4.4 and 4.6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tickrouter.errors import AmbiguousError, Unreadable
from tickrouter.venues.btcturk.orders import execution_of
from tickrouter.venues.trading import Hint, LoggedIn, PrivateFact


def read_private(frame: bytes) -> tuple[PrivateFact, ...]:
    """What a frame says. Messages are told apart by their number alone, and unknown numbers say nothing.

    Raises:
        Unreadable: no `[number, object]`, or a known number with something else inside.
    """
    try:
        number, inner = json.loads(frame, parse_float=Decimal)
        reader = _READERS.get(number)
        return reader(inner) if reader is not None else ()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, AmbiguousError) as error:
        raise Unreadable(f"private frame: {type(error).__name__}: {error}") from error


def _login(inner: Any) -> tuple[PrivateFact, ...]:
    return (LoggedIn(inner["ok"] is True, str(inner.get("message") or "")),)


def _execution(inner: Any) -> tuple[PrivateFact, ...]:
    return (execution_of(inner),)


def _match(inner: Any) -> tuple[PrivateFact, ...]:
    """A 441 has no trade id and may be merged: a hint, never a fill."""
    return (Hint(str(inner["id"]), str(inner.get("clientId") or "")),)


def _order(inner: Any) -> tuple[PrivateFact, ...]:
    """What 451 and 452 say of the rest may be stale (#503): a hint to ask for the order."""
    return (Hint(str(inner["id"]), str(inner.get("newOrderClientId") or "")),)


def _balance(_inner: Any) -> tuple[PrivateFact, ...]:
    return (Hint(None),)


_READERS: dict[int, Callable[[Any], tuple[PrivateFact, ...]]] = {
    114: _login,
    200: _balance,
    201: _balance,
    423: _execution,
    441: _match,
    451: _order,
    452: _order,
    453: _order,
}
