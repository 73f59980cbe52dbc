"""The recorded tops of book as archived chunks: every bit comes back, and they are small."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reference.test_recorded_markets import FILES
from tickrouter.core.entry_ids import EntryIds
from tickrouter.history.chunks import ROWS, decode, encode
from tickrouter.history.columns import digest, from_records
from tickrouter.model.tick import Tick

pytestmark = [pytest.mark.reference, pytest.mark.timeout(300)]

MOST_BYTES = 8.5
"""A tick, with its place in the stream."""


def tops(file: Path, contract: str) -> Iterator[Tick]:
    """The recorded tops of book as ticks."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            time, _, message = line.partition(" ")
            if "@bookTicker" in message:
                data = json.loads(message)["data"]
                bid, ask = ((float(data[price]), float(data[size])) for price, size in (("b", "B"), ("a", "A")))
                yield Tick(int(time), None, None, (bid,), (ask,), contract, "book")


@pytest.mark.parametrize("pair", list(FILES))
def test_the_recorded_tops_of_book_come_back_and_are_small(reference: Path, pair: str) -> None:
    contract = f"binance/{pair.lower().removesuffix('usdt')}.usdt"
    ticks = list(tops(reference / "data" / FILES[pair], contract))
    assert len(ticks) > 50_000
    ids = EntryIds(3)
    places = [ids.next(tick.time) for tick in ticks]
    total = 0
    for start in range(0, len(ticks), ROWS):
        part = slice(start, start + ROWS)
        columns = from_records("tick", contract, ticks[part], places[part])
        payloads = encode(columns)
        total += len(payloads.top)
        assert payloads.depth is None
        back = decode(payloads.top)
        assert back.records() == ticks[part]
        assert back.ids() == places[part]
        assert digest(back) == digest(columns)
    assert total / len(ticks) <= MOST_BYTES, f"{total / len(ticks):.2f} bytes a tick"
