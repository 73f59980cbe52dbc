"""Waiting for the end of one order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import START, Entry, EntryId, find_order, read_before
from tickrouter.clock import Clock
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.history.outbox import final_event
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.order import Status
from tickrouter.tape.follower import Follower

_FINAL = frozenset(str(status) for status in Status if status.is_final)
_PAGE = 1000


class Outcome:
    """Finds the event that ended an order, or waits for it.

    The end of the stream is noted before the journal is read, so an order that ends in between is seen either way.
    """

    def __init__(self, redis: Redis, stream: Follower, db: Callable[[], Any], account: Account, clock: Clock) -> None:
        self._redis = redis
        self._stream = stream
        self._db = db
        self._account = account
        self._clock = clock

    def of(self, client_oid: str, timeout: float | None) -> Event | None:
        """The event that ended the order, or None if the time was over before.

        Raises:
            StorageError: a server that was needed did not answer.
        """
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        last = self._stream.last()
        position = last.id if last else START
        order = find_order(self._redis, self._account, client_oid)
        if order is None or order.is_done:
            found = self._published(client_oid, position)
            if found is None and order is not None:
                found = self._stored(client_oid)
            if found is not None:
                return found
        while entries := self._stream.after(position, self._left(deadline)):
            for entry in entries:
                if (event := self._ending(client_oid, entry)) is not None:
                    return event
            position = entries[-1].id
        return None

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._clock.monotonic())

    def _published(self, client_oid: str, up_to: EntryId) -> Event | None:
        """The end among what the stream still holds, looked for from its newest entry back."""
        before: EntryId | None = (up_to[0], up_to[1] + 1)
        while entries := read_before(self._redis, self._stream.key, before, count=_PAGE):
            for entry in entries:
                if (event := self._ending(client_oid, entry)) is not None:
                    return event
            before = entries[-1].id
        return None

    def _stored(self, client_oid: str) -> Event | None:
        data = final_event(self._db(), self._account, client_oid)
        return Event.from_wire(unpack_map(data)) if data is not None else None

    def _ending(self, client_oid: str, entry: Entry) -> Event | None:
        if client_oid.encode() not in entry.data:
            return None
        try:
            event = Event.from_wire(unpack_map(entry.data))
        except (Unreadable, InvalidValue):
            return None
        if event.client_oid != client_oid:
            return None
        if event.type == "order" and event.status in _FINAL and not event.fills_pending:
            return event
        return event if event.type == "command_denied" and self._never_was(client_oid) else None

    def _never_was(self, client_oid: str) -> bool:
        """True if a denied command can only have been the place itself: there is no such order."""
        return find_order(self._redis, self._account, client_oid) is None
