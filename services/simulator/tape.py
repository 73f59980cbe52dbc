"""The trades of this run: the latest in memory, counts, and all of them in a file if wanted."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .engine.events import Event, TradePrinted
from .text import plain

KEPT = 1000
SHOWN = 50
"""Trades in message 421, and most in an answer of `trades`."""


class Tape:
    """All public trades as they are sent.

    Args:
        pairs: names of the pairs.
        file: every trade is appended here as a JSON line, or None.
    """

    def __init__(self, pairs: Iterable[str], file: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._latest: dict[str, deque[TradePrinted]] = {pair: deque(maxlen=KEPT) for pair in pairs}
        self._path = file
        self._file = file.open("a", buffering=1, encoding="utf-8") if file is not None else None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def record(self, events: Sequence[Event]) -> None:
        """Note the trades among the events."""
        for event in events:
            if isinstance(event, TradePrinted):
                self.counts[event.pair] += 1
                self._latest[event.pair].append(event)
                if self._file is not None:
                    self._file.write(json.dumps({"pair": event.pair, **trade_row(event)}) + "\n")

    def latest(self, pair: str, count: int = SHOWN) -> list[TradePrinted]:
        """The newest trades, newest first."""
        trades = self._latest[pair]
        return [trades[-index] for index in range(1, min(count, len(trades)) + 1)]

    def all(self, pair: str) -> list[dict[str, Any]]:
        """Every trade sent, oldest first, of all runs on this folder; the latest 1,000 where no file is kept."""
        if self._file is None or self._path is None:
            return [trade_row(trade) for trade in self._latest[pair]]
        with self._path.open(encoding="utf-8") as lines:
            rows = (json.loads(line) for line in lines)
            return [{key: row[key] for key in row if key != "pair"} for row in rows if row["pair"] == pair]


def trade_row(trade: TradePrinted) -> dict[str, Any]:
    """A trade for people and proofs: texts, and time in ms."""
    return {
        "id": str(trade.id),
        "price": plain(trade.price),
        "amount": plain(trade.amount),
        "side": trade.side,
        "time": trade.time_ms,
    }
