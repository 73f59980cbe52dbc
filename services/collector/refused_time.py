"""The time that a record which was not taken makes a hole."""

from __future__ import annotations

from typing import Final

from tickrouter.core.market import Refused
from tickrouter.model.coverage import Interval, State

LENGTH_NS: Final = 1_000_000_000
"""Of a hole; what else is refused in that time needs no word of its own, or a bad day would fill the ledger."""


class RefusedTime:
    """Of one contract."""

    def __init__(self) -> None:
        self._until: dict[State, int] = {}

    def hole(self, fact: Refused, now: int) -> Interval | None:
        """What a refused record makes of the time from `now` (ns) on; None where that was said.

        What is quarantined is lacking. Of what cannot be read nobody can say what it was.
        """
        state: State = "missing" if fact.kind == "quarantine" else "unknown"
        if now < self._until.get(state, 0):
            return None
        self._until[state] = now + LENGTH_NS
        return Interval(now, now + LENGTH_NS, state, f"{fact.kind}: {fact.text}")

    def forget(self) -> None:
        """What was said holds no longer: the ledger was told otherwise."""
        self._until.clear()
