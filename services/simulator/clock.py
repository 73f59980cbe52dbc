"""The venue's own clock, which a control call can set wrong."""

from __future__ import annotations

from tickrouter.clock import Clock, SystemClock


class VenueClock:
    """Milliseconds since 1970 UTC as the venue believes them, and true monotonic seconds for limits."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self.skew_ms = 0

    def now_ms(self) -> int:
        return self._clock.now() // 1_000_000 + self.skew_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()
