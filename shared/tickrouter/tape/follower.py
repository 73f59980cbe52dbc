"""Following a stream: waiting for what comes, and outliving a server that is gone for a while."""

from __future__ import annotations

import threading

from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import Entry, EntryId, first_entry, last_entry, read_after
from tickrouter.clock import Clock
from tickrouter.errors import StorageError

LOOK_EVERY = 1.0
"""Seconds after which a waiting reader looks whether it was closed."""
RECONNECT_FOR = 30.0
"""Seconds for which a reader tries again when Redis does not answer, before it raises."""
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0


class Follower:
    """One stream, read from a point on. It keeps no position: whoever reads does."""

    def __init__(self, redis: Redis, key: str, clock: Clock, closed: threading.Event) -> None:
        self.key = key
        self._redis = redis
        self._clock = clock
        self._closed = closed

    def first(self) -> Entry | None:
        """The oldest entry that the stream still holds."""
        return first_entry(self._redis, self.key)

    def last(self) -> Entry | None:
        """The newest entry."""
        return last_entry(self._redis, self.key)

    def after(self, position: EntryId, block: float | None) -> list[Entry]:
        """The next entries; waits for the first.

        Args:
            position: id of the last entry read.
            block: seconds to wait, None for ever.

        Returns:
            At least one entry, or none when the time is over or the client was closed.

        Raises:
            StorageError: Redis did not answer for 30 s.
        """
        started = self._clock.monotonic()
        failing_since: float | None = None
        wait = _FIRST_WAIT
        while not self._closed.is_set():
            now = self._clock.monotonic()
            left = LOOK_EVERY if block is None else min(LOOK_EVERY, max(0.0, started + block - now))
            try:
                entries = read_after(self._redis, self.key, position, block_ms=int(left * 1000) or None)
            except StorageError:
                failing_since = now if failing_since is None else failing_since
                if now - failing_since >= RECONNECT_FOR:
                    raise
                self._closed.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            failing_since, wait = None, _FIRST_WAIT
            if entries or left <= 0:
                return entries
        return []
