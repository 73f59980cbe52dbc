"""Market records as MongoDB documents, and back.

`_id` is the natural key where one exists (`<contract>#t<trade id>`, `<contract>#<period>#<start>`), else
`<contract>#<ms, 13 digits>-<n, 19 digits>`. `ms` and `n` are the entry id in the stream; both are null for what was
read after the fact and never stood in a stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from tickrouter.errors import InvalidValue
from tickrouter.history.connection import Document
from tickrouter.model.bar import Bar
from tickrouter.model.book import Book
from tickrouter.model.record import Record
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

COLLECTIONS: Final[dict[str, str]] = {"tick": "ticks", "trade": "trades", "book": "books", "bar": "bars"}
"""Record kind to collection."""
KINDS: Final[dict[str, type[Record]]] = {"tick": Tick, "trade": Trade, "book": Book, "bar": Bar}
"""Record kind to class."""
ARCHIVED_PERIOD: Final = "1s"
"""Bars of longer periods are few: they stay documents."""

_HEAD = ("contract", "time", "exchange_time")
_VALUES: dict[type[Record], tuple[str, ...]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in _HEAD) for kind in KINDS.values()
}
# All of them in one call: a look-up by name for each costs as much as all else here.
_READ: dict[type[Record], Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*names) for kind, names in _VALUES.items()
}
_SOURCE_FIELDS = ("contract", "exchange_time", "price", "size", "side", "trade_id")
_NS_PER_MS = 1_000_000

MarketRecord = Tick | Trade | Book | Bar


def entry_key(contract: str, ms: int, n: int) -> str:
    """`_id` of a record without a natural key; sorts as the entries do."""
    return f"{contract}#{ms:013d}-{n:019d}"


def document_id(record: MarketRecord, ms: int | None, n: int | None) -> str:
    """`_id` of a record.

    Raises:
        InvalidValue: a tick or a book without an entry id.
    """
    if type(record) is Trade:
        return f"{record.contract}#t{record.trade_id}"
    if type(record) is Bar:
        return f"{record.contract}#{record.period}#{record.time}"
    if ms is None or n is None:
        raise InvalidValue("ms", f"a {type(record).__name__} has no other key than its entry id")
    return entry_key(record.contract, ms, n)


def to_document(record: MarketRecord, ms: int | None = None, n: int | None = None) -> Document:
    """A record as a document: `_id`, `contract`, `time` (ns), `at`, `ms`, `n`, `exchange_time` (ns), the value.

    Args:
        record: any market record.
        ms: first part of its entry id, or None where it never stood in a stream.
        n: second part.

    Raises:
        InvalidValue: a tick or a book without an entry id.
    """
    document: Document = {
        "_id": document_id(record, ms, n),
        "contract": record.contract,
        "time": record.time,
        "at": _at(record.time // _NS_PER_MS),
        "ms": ms,
        "n": n,
        "exchange_time": None if isinstance(record, Bar) else record.exchange_time,
    }
    kind = type(record)
    document.update(zip(_VALUES[kind], _READ[kind](record), strict=True))
    return document


@lru_cache(maxsize=16)
def _at(ms: int) -> DatetimeMS:
    """What comes together is of few milliseconds."""
    return DatetimeMS(ms)


def from_document(kind: str, document: Document) -> Record:
    """The record in a document; unknown fields are ignored.

    Args:
        kind: `tick`, `trade`, `book` or `bar`.
        document: as read from the kind's collection.

    Raises:
        InvalidValue: no such kind, a field is missing, or a value is of the wrong type.
    """
    if kind not in KINDS:
        raise InvalidValue("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    return KINDS[kind].from_dict(document)


def same_content(kind: str, one: Document, other: Document) -> bool:
    """True if two documents of one `_id` say the same.

    For trades only what the venue said counts: a copy read twice differs in our receive time and in its entry id.
    """
    if kind == "trade":
        return all(one.get(name) == other.get(name) for name in _SOURCE_FIELDS)
    return (one["ms"], one["n"]) == (other["ms"], other["n"]) and _plain(kind, one) == _plain(kind, other)


def replaces(kind: str, new: Document, old: Document) -> bool:
    """True if a live copy meets a backfilled one, which it replaces."""
    return kind == "trade" and old.get("source") == "backfill" and new.get("source") != "backfill"


def _plain(kind: str, document: Document) -> list[Any]:
    return from_document(kind, document).to_short_list()
