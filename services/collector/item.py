"""One record on its way to the sinks."""

from __future__ import annotations

from typing import NamedTuple

from tickrouter.core.entry_ids import EntryId
from tickrouter.model.book import Book
from tickrouter.model.feed import Feed
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

FEED = "feed"
"""Kind of the feed's own records: for Redis only."""
KINDS: dict[str, type[Tick | Trade | Book]] = {"tick": Tick, "trade": Trade, "book": Book}
"""Record kind to class."""


class Item(NamedTuple):
    """A record with its entry id; None where it was read after the fact, which is for MongoDB only."""

    contract: str
    kind: str
    id: EntryId | None
    record: Tick | Trade | Book | Feed
