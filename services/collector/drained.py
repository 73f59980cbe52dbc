"""Up to which moment all that had arrived at a connection is read, also while ever more arrives."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """What is asked of a connection.

    Attributes:
        received: bytes read so far.
    """

    received: int

    def waiting(self) -> int:
        """Bytes that have arrived and were not read yet."""


class Drained:
    """Told after each read; its answer never falls."""

    def __init__(self, now: int) -> None:
        """Nothing has arrived at `now`, ns since 1970 UTC."""
        self._until = now
        self._mark: tuple[int, int] | None = None
        """A moment, and how many bytes are to be read for all that had arrived by then."""

    def read(self, source: Source, now: int, *, has_more: bool) -> int:
        """Something was read, or nothing came, before `now`; the moment (ns) before which all that came is read."""
        if not has_more:
            self._until, self._mark = max(self._until, now), None
            return self._until
        if self._mark is not None and source.received >= self._mark[1]:
            self._until, self._mark = max(self._until, self._mark[0]), None
        if self._mark is None:
            self._mark = now, source.received + source.waiting()
        return self._until
