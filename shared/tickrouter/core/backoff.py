"""When the next attempt may be made: exponential with a cap and jitter, and never above a rate.

Time and chance are given by the caller.
"""

from __future__ import annotations

from collections import deque

WINDOW = 60.0
"""Seconds over which attempts are counted."""


class Backoff:
    """Attempts to connect to one venue. Times are seconds of a monotonic clock."""

    def __init__(self, first: float, cap: float, per_minute: int, *, healthy_after: float = 30.0) -> None:
        """Set up.

        Args:
            first: mean seconds before the first repeat.
            cap: most seconds before any repeat, but for the rate.
            per_minute: most attempts in any minute.
            healthy_after: seconds after which a connection counts as good, so that the next failure begins anew.
        """
        self._first = first
        self._cap = cap
        self._attempts: deque[float] = deque(maxlen=per_minute)
        self._healthy_after = healthy_after
        self._failures = 0

    def attempt(self, now: float) -> None:
        """An attempt is made now."""
        self._attempts.append(now)

    def delay(self, now: float, chance: float) -> float:
        """Seconds to wait before the next attempt, after a failure or a lost connection.

        Args:
            now: time of the failure.
            chance: uniformly from [0, 1); spreads the wait from half of its length to one and a half times it.
        """
        if self._attempts and now - self._attempts[-1] >= self._healthy_after:
            self._failures = 0
        length = min(self._cap / 1.5, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(length * (0.5 + chance), self._rate_delay(now))

    def _rate_delay(self, now: float) -> float:
        if len(self._attempts) < (self._attempts.maxlen or 0):
            return 0.0
        return max(0.0, self._attempts[0] + WINDOW - now)
