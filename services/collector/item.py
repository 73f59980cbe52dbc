"""One record on its way to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from tickrouter.core.entry_ids import EntryId
from tickrouter.model.book import Book
from tickrouter.model.coverage import Claim, Opening
from tickrouter.model.feed import Feed
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

FEED = "feed"
"""Kind of the feed's own records: for Redis only."""
CLAIM = "claim"
"""Kind of what the coverage ledger is told: for MongoDB only, and true once all before it is stored."""
OPENING = "opening"
"""Kind of a session's beginning, for the ledger."""
LEDGER = (CLAIM, OPENING)
KINDS: dict[str, type[Tick | Trade | Book]] = {"tick": Tick, "trade": Trade, "book": Book}
"""Record kind to class."""
Carried = Tick | Trade | Book | Feed | Claim | Opening
CLASSES: dict[str, type[Carried]] = {**KINDS, FEED: Feed, CLAIM: Claim, OPENING: Opening}
"""The same with the feed and the ledger."""


_CONTRACT = attrgetter("contract")


class Item(msgspec.Struct, frozen=True, gc=False):
    """A record with its entry id; None where it was read after the fact, which is for MongoDB only."""

    contract: str
    kind: str
    id: EntryId | None
    record: Carried


def by_contract(items: Sequence[Item]) -> list[tuple[str, Sequence[Item]]]:
    """Items contract by contract, in their order."""
    contracts = set(map(_CONTRACT, items))
    if len(contracts) == 1:
        return [(contracts.pop(), items)]
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.contract, []).append(item)
    return list(found.items())
