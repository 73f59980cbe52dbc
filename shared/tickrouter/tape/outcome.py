"""Waiting for the end of one order."""

from __future__ import annotations

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import START, Entry, EntryId
from tickrouter.clock import Clock
from tickrouter.errors import InvalidValue, StorageError, Unreadable
from tickrouter.model.event import Event
from tickrouter.model.ids import is_amend_to
from tickrouter.model.order import Status
from tickrouter.tape.follower import Follower
from tickrouter.tape.order_records import OrderRecords
from tickrouter.tape.search import coming, published

_FINAL = frozenset(str(status) for status in Status if status.is_final)
_TELLING = ("order", "settled")
"""Types of the events that tell of an order's status."""
_FIRST = (1, 1)
"""Number of an account's very first event."""


class Outcome:
    """Finds the event that ended an order, or waits for it.

    The end of the stream is noted before the journal is read, so an order that ends in between is seen either way.
    """

    def __init__(self, redis: Redis, stream: Follower, records: OrderRecords, clock: Clock) -> None:
        self._redis = redis
        self._stream = stream
        self._records = records
        self._clock = clock

    def of(self, client_oid: str, timeout: float | None) -> Event | None:
        """The event that ended the order, or None if the time was over before.

        Raises:
            StorageError: a server that was needed did not answer.
        """
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        last = self._stream.last()
        position = last.id if last else START
        order = self._records.journaled(client_oid)
        if order is None or order.is_done:
            found = self._past(client_oid, position, is_journaled=order is not None)
            if found is not None:
                return found
        return coming(self._stream, position, lambda entry: self._ending(client_oid, entry), deadline, self._clock)

    def _past(self, client_oid: str, position: EntryId, *, is_journaled: bool) -> Event | None:
        """The end in the stream, or where that was trimmed in MongoDB. A refusal may be of a later command."""
        key = self._stream.key
        found = published(self._redis, key, position, lambda entry: self._told(client_oid, entry))
        if found is not None:
            return found
        refusal = published(self._redis, key, position, lambda entry: self._ending(client_oid, entry))
        first = self._stream.first()
        is_whole = first is None or first.id == _FIRST
        if not is_journaled and (is_whole or (refusal is None and self._records.is_queued(client_oid))):
            return refusal
        try:
            return self._records.stored_end(client_oid) or refusal
        except StorageError:
            if refusal is None:
                raise
            return refusal

    def _told(self, client_oid: str, entry: Entry) -> Event | None:
        event = self._ending(client_oid, entry)
        return event if event is not None and event.type in _TELLING else None

    def _ending(self, client_oid: str, entry: Entry) -> Event | None:
        if client_oid.encode() not in entry.data:
            return None
        try:
            event = Event.from_wire(unpack_map(entry.data))
        except (Unreadable, InvalidValue):
            return None
        if event.type == "amend_rejected":
            return event if is_amend_to(event.command or "", client_oid) else None
        if event.client_oid != client_oid:
            return None
        if event.type in _TELLING and event.status in _FINAL and not event.fills_pending:
            return event
        return event if event.type == "command_denied" and self._never_was(client_oid) else None

    def _never_was(self, client_oid: str) -> bool:
        """True if a denied command can only have been the place itself: there is no such order."""
        return self._records.journaled(client_oid) is None
