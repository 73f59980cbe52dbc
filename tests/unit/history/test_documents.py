"""Records to documents and back."""

from __future__ import annotations

import bson
import pytest
from bson.codec_options import CodecOptions

from tickrouter.errors import InvalidValue
from tickrouter.history.documents import (
    MarketRecord,
    document_id,
    from_document,
    replaces,
    same_content,
    to_document,
)
from tickrouter.model.bar import Bar
from tickrouter.model.book import Book
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

CONTRACT = "btcturk/btc.try"
TIME = 1_700_000_000_123_456_789
TICK = Tick(TIME, 100.5, 12.25, ((100.0, 1.0), (99.0, 2.0)), ((101.0, 3.0),), CONTRACT, "trade", TIME - 5, None, 1)
TRADE = Trade(TIME, 100.5, 0.25, "b", "1234567890123456789", CONTRACT, "live", TIME - 5)
BOOK = Book(TIME, ((100.0, 1.0),), (), CONTRACT, -17, None)
BAR = Bar(TIME, "1m", 1.0, 2.0, 0.5, 1.5, 10.0, CONTRACT)


@pytest.mark.parametrize(
    ("kind", "record"),
    [("tick", TICK), ("trade", TRADE), ("book", BOOK), ("bar", BAR)],
    ids=lambda value: str(value)[:5],
)
def test_a_record_survives_the_way_through_bson(kind: str, record: MarketRecord) -> None:
    stored = bson.decode(bson.encode(to_document(record, 1_700_000_000_123, 2**40 + 7)), CodecOptions(tz_aware=True))
    assert from_document(kind, stored) == record
    assert stored["at"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert (stored["ms"], stored["n"], stored["time"]) == (1_700_000_000_123, 2**40 + 7, TIME)


def test_keys_are_natural_where_there_is_one() -> None:
    assert document_id(TRADE, 1, 2) == "btcturk/btc.try#t1234567890123456789"
    assert document_id(BAR, None, None) == f"btcturk/btc.try#1m#{TIME}"
    assert document_id(TICK, 1_700_000_000_123, 2**40 + 7) == "btcturk/btc.try#1700000000123-0000001099511627783"


def test_a_tick_without_entry_id_is_refused() -> None:
    with pytest.raises(InvalidValue, match="entry id"):
        to_document(TICK)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidValue, match="'noise' is not one of"):
        from_document("noise", {})


def test_a_trade_is_the_same_if_the_venue_said_the_same() -> None:
    backfilled = Trade(TIME + 9, 100.5, 0.25, "b", TRADE.trade_id, CONTRACT, "backfill", TIME - 5)
    dearer = Trade(TIME, 100.6, 0.25, "b", TRADE.trade_id, CONTRACT, "live", TIME - 5)
    live, late = to_document(TRADE, 5, 6), to_document(backfilled)
    assert same_content("trade", live, late)
    assert not same_content("trade", live, to_document(dearer, 5, 6))
    assert replaces("trade", live, late)
    assert not replaces("trade", late, live)


def test_a_tick_is_the_same_if_every_value_is() -> None:
    stored = bson.decode(bson.encode(to_document(TICK, 5, 6)))
    other = Tick(TIME, 100.6, 12.25, TICK.bids, TICK.asks, CONTRACT, "trade", TIME - 5, None, 1)
    assert same_content("tick", to_document(TICK, 5, 6), stored)
    assert not same_content("tick", to_document(TICK, 5, 7), stored)
    assert not same_content("tick", to_document(other, 5, 6), stored)
