"""Ids of market entries: `<ms>-<n>`, n = session * 2^40 + k.

`ms` is the wall clock or the last one used, whichever is later; the session is one above every session found; k is
dense within a stream and a session, so that a reader sees a hole as a jump in k.
"""

from __future__ import annotations

from collections.abc import Iterable

EntryId = tuple[int, int]
"""(ms, n)."""

SESSION_BITS = 40
LAST_SESSION = 2**23 - 1
"""n has to fit into an int64."""
_NS_PER_MS = 1_000_000


def session_of(entry_id: EntryId) -> int:
    """The session that an entry was written in."""
    return entry_id[1] >> SESSION_BITS


def text_of(entry_id: EntryId) -> str:
    """`(1, 57)` as Redis writes it: `1-57`."""
    return f"{entry_id[0]}-{entry_id[1]}"


def next_session(found: Iterable[int]) -> int:
    """One above the highest session found; ids that others wrote by hand are passed over."""
    return 1 + max((session for session in found if 0 <= session < LAST_SESSION), default=0)


class EntryIds:
    """The ids of one stream in one session."""

    def __init__(self, session: int, last_ms: int = 0) -> None:
        """Args: session: never used before for this contract; last_ms: the highest ms in the stream, 0 if none."""
        self.session = session
        self._ms = last_ms
        self._n = session << SESSION_BITS
        self._now = 0

    def next(self, now: int) -> EntryId:
        """The next id, at `now` (ns)."""
        return self.take(1, now)[0]

    def take(self, count: int, now: int) -> list[EntryId]:
        """So many ids, at `now` (ns)."""
        if now != self._now:
            self._now = now
            self._ms = max(now // _NS_PER_MS, self._ms)
        ms, n = self._ms, self._n
        self._n = n + count
        return [(ms, number) for number in range(n + 1, n + count + 1)]
