"""One order in the router's memory: its steps one after the other, journaled before they count."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from tickrouter import logs
from tickrouter.bus.journal import Journal, StepOutcome
from tickrouter.clock import Clock
from tickrouter.core import order_life
from tickrouter.core.facts import Fact
from tickrouter.core.order_life import Change, IllegalTransition
from tickrouter.errors import StorageError
from tickrouter.model.order import Order, Status

WATCH_MS = 24 * 3600 * 1000
"""How long an order that was never placed is still looked for."""

Listener = Callable[["Lane", Change], None]


class Lane:
    """Applies facts to one order, in sequence."""

    def __init__(self, order: Order, journal: Journal, clock: Clock, listener: Listener) -> None:
        self.order = order
        self._journal = journal
        self._clock = clock
        self._listener = listener
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Lane({self.order.client_oid}, {self.order.status})"

    def apply(self, fact: Fact, *, guard_ms: int | None = None) -> StepOutcome | Literal["ILLEGAL", "NOTHING"]:
        """Journal what a fact comes to. Facts that change nothing write nothing.

        Args:
            fact: what happened.
            guard_ms: see `Journal.step`.

        Returns:
            DONE if it is written, NOTHING if it changes nothing, the guard's word if it forbade it, ILLEGAL if such a
            fact cannot happen to the order as it stands; that is logged and changes nothing.

        Raises:
            LeaseLost, RedisForgot, StorageError: not written, as far as known.
        """
        with self._lock:
            try:
                change = order_life.apply(self.order, fact, self._clock.now())
            except IllegalTransition as error:
                logs.get("lane").warning("fact that cannot happen", error=str(error), fact=repr(fact)[:300])
                return "ILLEGAL"
            if change.is_empty:
                return "NOTHING"
            outcome = self._journal.step(change, guard_ms=guard_ms, watch=self._watch(change))
            if outcome == "CONFLICT":
                raise StorageError(f"journal of {self.order.client_oid} is not where this router left it")
            if outcome not in ("DONE", "REPEAT"):
                return outcome
            self.order = change.order
        self._listener(self, change)
        return "DONE"

    def _watch(self, change: Change) -> int | Literal[False] | None:
        """Evidence and operators may be wrong alike: whoever said NeverPlaced, the order is looked for."""
        if change.before.status is Status.NEVER_PLACED:
            return False
        return self._clock.now() // 1_000_000 + WATCH_MS if change.order.status is Status.NEVER_PLACED else None
