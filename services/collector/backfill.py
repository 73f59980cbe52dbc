"""After a gap: past trades and bars by REST, and the proof that no trade is lacking."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tickrouter import logs
from tickrouter.bus.permits import Permits
from tickrouter.clock import Clock
from tickrouter.core.coverage import DOUBTED, holes
from tickrouter.core.market import MarketFact
from tickrouter.errors import AmbiguousError, StorageError
from tickrouter.history.coverage import coverage
from tickrouter.history.proof import proof
from tickrouter.model.contract import Contract
from tickrouter.transport.http import HttpClient
from tickrouter.venues.base import MarketAdapter

from .asker import Asker
from .bar_backfill import BarBackfill
from .pipeline import Pipeline
from .proven import Proven

EVERY = 2.0
"""Seconds between two looks."""
BACK_NS = 3600 * 1_000_000_000
"""Holes that are older are left to themselves: a venue's list of past trades is short."""
TRIES = 30
"""Looks at one hole, after which it is left to itself."""

_log = logs.get("backfill")


class Backfiller(threading.Thread):
    """Looks after the contracts of one venue."""

    def __init__(
        self,
        adapter: MarketAdapter,
        http: HttpClient,
        permits: Permits,
        pipelines: Mapping[str, Pipeline],
        db: Any,
        hand_over: Callable[[Sequence[MarketFact | Proven]], None],
        clock: Clock,
    ) -> None:
        """Args: hand_over: takes what was found to the thread that owns the contract's pipeline."""
        super().__init__(name=f"backfill-{next(iter(pipelines))}", daemon=True)
        self._adapter = adapter
        self._asker = Asker(http, permits)
        self._bars = BarBackfill(adapter, self._asker, db)
        self._pipelines = dict(pipelines)
        self._db = db
        self._hand_over = hand_over
        self._clock = clock
        self._looks: Counter[tuple[str, int]] = Counter()
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(EVERY):
            for contract, pipeline in self._pipelines.items():
                try:
                    self._look_after(contract, pipeline)
                except (StorageError, AmbiguousError) as error:
                    _log.debug("backfill waits", contract=contract, error=str(error))

    def stop(self) -> None:
        """End soon."""
        self._ending.set()

    def _look_after(self, contract: str, pipeline: Pipeline) -> None:
        if pipeline.wants_trades or pipeline.sides.wants_trades:
            is_asked, pipeline.wants_trades = False, False  # first: a gap may come while the venue is asked
            try:
                is_asked = self._ask(contract)
            finally:
                pipeline.wants_trades |= not is_asked
        now = self._clock.now()
        lacking = holes(coverage(self._db, contract, "trade", now - BACK_NS, now))
        for hole in lacking:
            key = contract, hole.start
            if hole.end >= now or hole.cause in DOUBTED or self._looks[key] >= TRIES:
                continue
            self._looks[key] += 1
            if (found := proof(self._db, contract, hole.start, hole.end)) is not None:
                self._looks[key] = TRIES
                self._hand_over([Proven(contract, hole.start, hole.end, found)])
        self._bars.look_after(contract, lacking, now)

    def _ask(self, contract: str) -> bool:
        """One request for past trades; False if there is no permit now, or the venue wants quiet.

        Raises:
            StorageError: no permit to be had, so nothing was sent.
            AmbiguousError: no answer; it will be asked again.
        """
        name = Contract.parse(contract)
        request = self._adapter.trades_request(name)
        answer = self._asker.ask(request)
        if answer is None:
            return False
        self._hand_over(self._adapter.past_trades(answer, name, self._clock.now()))
        return True
