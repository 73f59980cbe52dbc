"""Recorded files with made-up values, in the form that the recorded market reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

Lines = Sequence[tuple[int, object]]
"""Receive time in ns, and the message."""


def write(path: Path, *members: Lines) -> Path:
    """Write a file of as many gzip members as lists of lines are given."""
    path.write_bytes(
        b"".join(
            gzip.compress("".join(f"{time} {json.dumps(message)}\n\n" for time, message in lines).encode())
            for lines in members
        )
    )
    return path


def trade(number: int, price: str, amount: str, time_ms: int, *, sold: bool = False, symbol: str = "BTCUSDT") -> object:
    """A recorded trade message."""
    data = {"e": "trade", "E": time_ms + 1, "s": symbol, "t": number, "p": price, "q": amount, "T": time_ms, "m": sold}
    return {"stream": f"{symbol.lower()}@trade", "data": {**data, "M": True}}


def diff(
    first: int,
    last: int,
    time_ms: int,
    bids: Sequence[Sequence[str]],
    asks: Sequence[Sequence[str]],
    symbol: str = "BTCUSDT",
) -> object:
    """A recorded depth message."""
    data = {"e": "depthUpdate", "E": time_ms, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def top(update: int, bid: tuple[str, str], ask: tuple[str, str], symbol: str = "BTCUSDT") -> object:
    """A recorded bookTicker message."""
    data = {"u": update, "s": symbol, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def snapshot(last: int, bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]]) -> object:
    """A recorded REST snapshot."""
    return {"lastUpdateId": last, "bids": bids, "asks": asks}
