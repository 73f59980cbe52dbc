"""The state of a feed, as it stands in the `feed` stream beside the data."""

from __future__ import annotations

from typing import Literal

from tickrouter.model.record import Record

FeedState = Literal["live", "stale", "down", "resync", "gap"]


class Feed(Record, frozen=True, array_like=True, gc=False, tag=1):
    """A change of a feed's state: holes are in the stream, not only in a log.

    Attributes:
        time: when it was noticed, ns since 1970 UTC.
        state: `live`, `stale` (silent for longer than the card allows), `down` (no connection), `resync` (book
            invalid, being rebuilt), `gap` (records between `since` and `time` are missing).
        cause: why, for people.
        contract: canonical name.
        kind: the record kind concerned (`tick`, `trade`, `book`), or `all`.
        since: start of what it speaks of, ns, or None.
    """

    time: int
    state: FeedState
    cause: str
    contract: str
    kind: str = "all"
    since: int | None = None
