"""How long each kind of a contract's feed may be silent before it counts as stale."""

from __future__ import annotations

from collections.abc import Mapping

_NS = 1_000_000_000


class Staleness:
    """The silence of one contract, by record kind. Times are ns since 1970 UTC."""

    def __init__(self, stale_after: Mapping[str, float]) -> None:
        """Args: stale_after: seconds of silence by kind, from the venue's card."""
        self._limits = {kind: int(seconds * _NS) for kind, seconds in stale_after.items()}
        self._seen: dict[str, int] = {}
        self._stale: set[str] = set()

    def reset(self, now: int) -> None:
        """A new connection: every kind is given its time from here on."""
        self._seen = dict.fromkeys(self._limits, now)
        self._stale = set()

    def seen(self, kind: str, now: int) -> int | None:
        """Something of this kind came. If it had been stale: since when, else None."""
        before = self._seen.get(kind, now)
        self._seen[kind] = now
        if kind in self._stale:
            self._stale.discard(kind)
            return before
        return None

    def check(self, now: int) -> list[tuple[str, int]]:
        """Kinds that became stale by now, with the time of their last sign of life."""
        found = [
            (kind, seen)
            for kind, seen in self._seen.items()
            if kind in self._limits and kind not in self._stale and now - seen > self._limits[kind]
        ]
        self._stale.update(kind for kind, _ in found)
        return found

    @property
    def is_all_stale(self) -> bool:
        """True if every kind is stale: the connection is dead, whatever TCP says."""
        return bool(self._limits) and self._stale >= set(self._limits)
