"""Bars of the venue for the minutes of a hole among trades: ours are made of what is left of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tickrouter import logs
from tickrouter.errors import Unreadable
from tickrouter.history.bar_store import BarStore
from tickrouter.model.contract import Contract
from tickrouter.model.coverage import Interval
from tickrouter.venues.base import MarketAdapter

from .asker import Asker

MINUTE = 60_000_000_000
LATE = 150_000_000_000
"""How long a minute is given to be told, ns: bars come up to two minutes late (BTCTurk reference, section 1.4)."""
TRIES = 5
"""Answers to one question that cannot be read, after which it is left."""

_log = logs.get("backfill")


class BarBackfill:
    """Asks once for each hole; that trades are lacking stays in the ledger, for bars prove nothing of them."""

    def __init__(self, adapter: MarketAdapter, asker: Asker, db: Any) -> None:
        self._adapter = adapter
        self._asker = asker
        self._db = db
        self._done: set[tuple[str, int]] = set()
        self._unread: Counter[tuple[str, int]] = Counter()

    def look_after(self, contract: str, holes: Iterable[Interval], now: int) -> None:
        """Ask for the bars of those that are over, if not done yet.

        Args:
            contract: canonical name.
            holes: among its trades.
            now: ns since 1970 UTC.

        Raises:
            StorageError: no permit to be had, or MongoDB did not answer; what is left is asked at the next call.
            AmbiguousError: no answer, likewise.
        """
        for hole in holes:
            end = hole.end + -hole.end % MINUTE
            if end + LATE > now or (contract, hole.end) in self._done:
                continue
            if self._fill(contract, hole.start - hole.start % MINUTE, end):
                self._done.add((contract, hole.end))

    def _fill(self, contract: str, start: int, end: int) -> bool:
        """False if it is to be asked again: there was no permit, or no answer that can be read, a few times."""
        name = Contract.parse(contract)
        answer = self._asker.ask(self._adapter.bars_request(name, start, end))
        if answer is None:
            return False
        try:
            bars = self._adapter.past_bars(answer, name, start, end)
        except Unreadable as error:
            _log.warning("the venue's bars cannot be read", contract=contract, error=str(error))
            self._unread[contract, end] += 1
            return self._unread[contract, end] >= TRIES
        written = BarStore(self._db, contract).take(bars)
        _log.info("bars of the venue for a hole among trades", contract=contract, bars=len(bars), written=written)
        return True
