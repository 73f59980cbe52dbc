"""Waiting for a condition, with a limit and a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 10.0, *, every: float = 0.02) -> T:
    """Wait until `condition()` is true, and return what it gave.

    Raises:
        AssertionError: it was still false after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {timeout:.0f} s: {getattr(condition, '__name__', condition)}")
        threading.Event().wait(every)
