"""Looking for one event in an account's stream: back from its end, or among what comes."""

from __future__ import annotations

from collections.abc import Callable

from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import Entry, EntryId, read_before
from tickrouter.clock import Clock
from tickrouter.model.event import Event
from tickrouter.tape.follower import Follower

Wanted = Callable[[Entry], Event | None]
"""The event in an entry, if it is one of those looked for."""

_PAGE = 1000


def published(redis: Redis, key: str, up_to: EntryId, wanted: Wanted) -> Event | None:
    """The newest event that is wanted, of those that the stream still holds up to an id.

    Raises:
        StorageError: Redis did not answer.
    """
    before: EntryId | None = (up_to[0], up_to[1] + 1)
    while entries := read_before(redis, key, before, count=_PAGE):
        for entry in entries:
            if (event := wanted(entry)) is not None:
                return event
        before = entries[-1].id
    return None


def coming(stream: Follower, after: EntryId, wanted: Wanted, deadline: float | None, clock: Clock) -> Event | None:
    """The first event behind an id that is wanted; None if `deadline`, by the monotonic clock, was over before.

    Raises:
        StorageError: Redis did not answer.
    """
    position = after
    while entries := stream.after(position, None if deadline is None else max(0.0, deadline - clock.monotonic())):
        for entry in entries:
            if (event := wanted(entry)) is not None:
                return event
        position = entries[-1].id
    return None
