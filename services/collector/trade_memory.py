"""Which trades of a contract were seen, by the venue's id."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 20_000
"""Trades remembered; a venue's list of past trades holds about 50."""


class TradeMemory:
    """Trades seen, and whether live or in a list of past ones. The oldest are forgotten."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._live: OrderedDict[str, bool] = OrderedDict()

    def is_news(self, trade_id: str, *, live: bool) -> bool:
        """True if it was not seen, or only in a list and now live; it is remembered."""
        before = self._live.get(trade_id)
        if before is not None and (before or not live):
            return False
        self._live[trade_id] = live
        if len(self._live) > self._limit:
            self._live.popitem(last=False)
        return True
