"""Is the card right about which side a socket's trades name? Their ids, matched with the same trades by REST, tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from tickrouter.model.trade import Side, Trade

LEAST = 3
"""Trades that have to be matched before the card is called wrong."""

Verdict = Literal["open", "right", "wrong"]


def verdict(seen: Mapping[str, Side], told: Iterable[Trade]) -> Verdict:
    """Compare sides by trade id.

    Args:
        seen: sides as read from the socket.
        told: the same trades as REST tells them, and others.

    Returns:
        `right` if most agree, `wrong` if all of at least `LEAST` differ, else `open`.
    """
    matched = [seen[trade.trade_id] == trade.side for trade in told if trade.trade_id in seen]
    if len(matched) >= LEAST and not any(matched):
        return "wrong"
    return "right" if matched and sum(matched) * 2 > len(matched) else "open"
