"""One account's orders, wherever they are: the queue, the journal, or MongoDB's copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import find_order, is_queued
from tickrouter.history.order_copies import copy_of
from tickrouter.history.outbox import denial_event, final_event
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.order import Order


class OrderRecords:
    """Asks MongoDB only where Redis cannot know: a program whose orders are young needs none."""

    def __init__(self, redis: Redis, db: Callable[[], Any], account: Account) -> None:
        self._redis = redis
        self._db = db
        self._account = account

    def journaled(self, client_oid: str) -> Order | None:
        """The order as the journal has it.

        Raises:
            StorageError: Redis did not answer.
            Unreadable: the journal holds something else under that id.
        """
        return find_order(self._redis, self._account, client_oid)

    def is_queued(self, client_oid: str) -> bool:
        """True if a command of this client id waits for a router.

        Raises:
            StorageError: Redis did not answer.
        """
        return is_queued(self._redis, self._account, client_oid)

    def order(self, client_oid: str) -> Order | None:
        """The order in the journal, else, unless it is queued, in MongoDB's copy.

        Raises:
            StorageError: a server that was needed did not answer.
            Unreadable: the journal or the copy holds something else under that id.
        """
        order = self.journaled(client_oid)
        if order is not None or self.is_queued(client_oid):
            return order
        # Between the two looks a router may have taken it from the queue into the journal.
        return self.journaled(client_oid) or copy_of(self._db(), self._account, client_oid)

    def stored_end(self, client_oid: str) -> Event | None:
        """The event in MongoDB that ended an order, or by which one was refused that never was.

        Raises:
            StorageError: MongoDB did not answer.
        """
        db = self._db()
        data = final_event(db, self._account, client_oid)
        if data is None and copy_of(db, self._account, client_oid) is None:
            data = denial_event(db, self._account, client_oid)
        return Event.from_wire(unpack_map(data)) if data is not None else None
