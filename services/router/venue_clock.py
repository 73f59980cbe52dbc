"""The venue's clock, as measured, and stamps that never repeat a millisecond."""

from __future__ import annotations

import threading

from tickrouter.clock import Clock

_MS = 1_000_000
AHEAD_MS = 1000
"""Most by which stamps may run ahead of the clock: so many requests in one millisecond are signed by nobody."""
DRIFT = 200e-6
"""Part by which two clocks may drift apart: 12 ms a minute, more than any that is not broken."""


class VenueClock:
    """Our clock plus the measured offset to the venue's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0
        self._bound: int | None = None
        self._measured_at = 0
        self.offset = 0
        """The venue's clock less ours, ns."""

    def measured(self, sent: int, venue_time: int, received: int) -> None:
        """Take one measurement: the venue read its clock between our two readings."""
        with self._lock:
            self.offset = venue_time - (sent + received) // 2
            self._bound = (received - sent) // 2
            self._measured_at = received

    @property
    def uncertainty(self) -> int | None:
        """How far the offset may be off, ns; None before the first measurement."""
        with self._lock:
            if self._bound is None:
                return None
            return self._bound + int(abs(self._clock.now() - self._measured_at) * DRIFT)

    def now(self) -> int:
        """The venue's time as far as known, ns."""
        return self._clock.now() + self.offset

    def stamp(self) -> int:
        """Time for a signature, ns in whole ms: no millisecond is used twice for a key.

        But for a clock that was found to be far ahead of the venue's: what it signed is refused there anyway, and
        waiting until it is reached would stop all orders.
        """
        with self._lock:
            now_ms = (self._clock.now() + self.offset) // _MS
            following = self._last_ms + 1
            self._last_ms = following if now_ms < following <= now_ms + AHEAD_MS else now_ms
            return self._last_ms * _MS
