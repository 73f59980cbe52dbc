"""Does the card name the sides of a contract's trades rightly? The socket's and REST's word on the same ids tell."""

from __future__ import annotations

from collections.abc import Iterable

from tickrouter.core.trade_sides import Verdict, verdict
from tickrouter.model.trade import Side, Trade

REMEMBERED = 1000
"""Latest trades whose sides are remembered until REST told of some of them; its list holds about 50."""


class SideCheck:
    """Open until trades of both were compared; then nothing is remembered any more."""

    def __init__(self) -> None:
        self.verdict: Verdict = "open"
        self.since: int | None = None
        """When the first trade was read, ns since 1970 UTC."""
        self._seen: dict[str, Side] = {}

    @property
    def wants_trades(self) -> bool:
        """True if REST's word on what the socket said would tell."""
        return self.verdict == "open" and bool(self._seen)

    def saw(self, trade: Trade, now: int) -> None:
        """The socket named a side."""
        if self.verdict == "open":
            self._seen.setdefault(trade.trade_id, trade.side)
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self.since = self.since or now

    def compare(self, trades: Iterable[Trade]) -> None:
        """REST told trades."""
        if self.verdict == "open":
            self.settle(verdict(self._seen, trades))

    def settle(self, found: Verdict) -> None:
        """That is how it is, whoever found out."""
        self.verdict = found
        if found != "open":
            self._seen.clear()
