"""The one place where the time of day is read.

Services get a `Clock` passed in; the core never sees one: it is given times as int64 nanoseconds.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock in nanoseconds since 1970 UTC, and a monotonic clock in seconds."""

    def now(self) -> int: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()
