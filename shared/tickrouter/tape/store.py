"""The stored end of a market tape: MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tickrouter.bus.subscribe import EntryId
from tickrouter.history import queries
from tickrouter.model.record import Record


class MarketStore:
    """Records of one kind and contract in MongoDB, by their place in the stream."""

    def __init__(self, db: Any, kind: str, contract: str) -> None:
        self._db = db
        self._kind = kind
        self._contract = contract

    def through(self) -> EntryId | None:
        """The id up to which everything is stored."""
        return queries.through(self._db, self._kind, self._contract)

    def last_before(self, entry_id: EntryId) -> EntryId | None:
        """The highest stored id below another."""
        return queries.last_before(self._db, self._kind, self._contract, entry_id)

    def between(self, after: EntryId, up_to: EntryId) -> Iterator[tuple[EntryId, Record]]:
        """What is stored after one id and up to another, this one included."""
        return queries.between(self._db, self._kind, self._contract, after, up_to)


class NoStore:
    """The stored end of a replay's tape: nothing. Its entries are numbered anew, and stand in the stream alone."""

    def through(self) -> EntryId | None:
        """Nowhere."""
        return None

    def last_before(self, _entry_id: EntryId) -> EntryId | None:
        """None."""
        return None

    def between(self, _after: EntryId, _up_to: EntryId) -> Iterator[tuple[EntryId, Record]]:
        """Nothing."""
        return iter(())
