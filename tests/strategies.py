"""What hypothesis draws for tickrouter's values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tickrouter.model.account import Account
from tickrouter.model.bar import Bar
from tickrouter.model.book import Book
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason
from tickrouter.model.feed import Feed
from tickrouter.model.fill import Fill
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

ACCOUNT = Account("btcturk", "main")
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
TIMES = st.integers(min_value=0, max_value=2**62)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20)
PARTS = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)
PRODUCTS = st.sampled_from(["spot", "perp"])
CONTRACTS = st.builds(Contract, PARTS, PARTS, PARTS, PRODUCTS)
LEVELS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5).map(tuple)
OIDS = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
IDS = st.from_regex(r"[!-~]{1,64}", fullmatch=True)


def optional(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


TICKS = st.builds(
    Tick, TIMES, optional(NUMBERS), optional(NUMBERS), LEVELS, LEVELS, TEXTS, TEXTS, optional(TIMES), optional(NUMBERS)
)
TRADES = st.builds(Trade, TIMES, NUMBERS, NUMBERS, st.sampled_from(["b", "s"]), TEXTS, TEXTS, TEXTS, optional(TIMES))
BOOKS = st.builds(Book, TIMES, LEVELS, LEVELS, TEXTS, optional(INT64), optional(TIMES))
BARS = st.builds(Bar, TIMES, TEXTS, *[NUMBERS] * 5, TEXTS, optional(NUMBERS), optional(TIMES))
FEEDS = st.builds(
    Feed, TIMES, st.sampled_from(["live", "stale", "down", "resync", "gap"]), TEXTS, TEXTS, TEXTS, optional(TIMES)
)
RECORDS = TICKS | TRADES | BOOKS | BARS | FEEDS

MONEY = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal("1e12"), places=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | INT64 | NUMBERS | TEXTS | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
MAPS = st.dictionaries(TEXTS, PLAIN, max_size=3)
"""What tags and options may hold."""

OID = "0123456789abcdef" * 2
PLACE: dict[str, Any] = {
    "id": "c-1",
    "action": "place",
    "account": "btcturk/main",
    "contract": "btcturk/btc.try",
    "side": "b",
    "type": "limit",
    "price": "1000",
    "amount": "0.001",
    "client_oid": OID,
}
"""A limit order as it goes onto the queue."""
PLACES = st.builds(
    Command,
    id=IDS,
    action=st.just("place"),
    account=st.just(ACCOUNT),
    contract=st.builds(Contract, st.just("btcturk"), PARTS, PARTS, PRODUCTS),
    side=st.sampled_from(["b", "s"]),
    type=st.just("limit"),
    price=MONEY,
    amount=MONEY,
    client_oid=OIDS,
    ttl_ms=optional(st.integers(1, 600_000)),
    cancel_after_ms=optional(st.integers(1, 600_000)),
    leverage=optional(MONEY),
    reduce_only=st.booleans(),
    tags=MAPS,
    options=MAPS,
)

FILLS = st.builds(
    Fill, TEXTS, MONEY, MONEY, st.decimals(-1000, 1000, places=8), PARTS, st.sampled_from(["maker", "taker"]), TIMES
)
EVENTS = st.builds(
    Event,
    account=st.just(ACCOUNT),
    type=st.sampled_from(["order", "fill", "foreign", "epoch"]),
    time=TIMES,
    alarm=optional(TEXTS),
    command=optional(TEXTS),
    client_oid=optional(OIDS),
    status=optional(TEXTS),
    filled=optional(MONEY),
    remaining=optional(MONEY),
    average_price=optional(MONEY),
    fills_pending=st.booleans(),
    reason=optional(st.builds(Reason, TEXTS, TEXTS, TEXTS)),
    fact=optional(TEXTS),
    tags=MAPS,
    contract=optional(TEXTS),
    side=optional(st.sampled_from(["b", "s"])),
)

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=10)
    | st.sampled_from(["NaN", "-1", "1e999", "place", "btcturk/main", "btcturk/btc.try", "b", "limit"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.integers(), inner, max_size=4),
    max_leaves=8,
)
"""Anything at all."""
