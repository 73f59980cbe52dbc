"""Reading many chunks at once: whichever way they were packed, and whatever becomes of them meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tickrouter.history import chunks as codec
from tickrouter.history.archive import Archive
from tickrouter.history.chunk_reader import Chunk, ChunkReader
from tickrouter.history.columns import Column, Columns, empty_column
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
TIME = 1_785_585_600_000_000_000
MS = 1_000_000
FOREVER = TIME * 2
NAMES = ("bid1", "bid1_size", "ask1", "ask1_size", "bid2", "ask2_size", "price", "ms", "n")


def ticks(first: int, rows: int, levels: int = 2) -> Columns:
    """Rows of a market that moves by a cent now and then, one a millisecond."""
    number = np.arange(first, first + rows)
    columns = {name: empty_column(name, rows) for name in ("exchange_time", "amount")}
    columns |= {"time": Column(TIME + number * MS), "price": Column((6_500_000 + number // 9 % 300) / 100)}
    columns |= {"volume": Column((10_000 + number) / 1e5)}
    for level in range(1, levels + 1):
        for side, sign in (("bid", -1), ("ask", 1)):
            columns[f"{side}{level}"] = Column((6_500_000 + sign * level + number // 9 % 300) / 100)
            columns[f"{side}{level}_size"] = Column((1 + number * (level + 3) % 70_001) / 1e5)
    columns |= {name: Column(np.full(rows, levels)) for name in ("bid_count", "ask_count")}
    columns |= {"ms": Column(TIME // MS + number), "n": Column((3 << 40) + 1 + number)}
    columns |= {"flags": Column(np.zeros(rows, np.int64)), "source": Column(np.full(rows, "book", object))}
    return Columns("tick", C, rows, columns)


def told(db: Any, start: int = 0) -> dict[str, list[Any]]:
    arrays = History(db, "tick", C, start, None, NAMES).to_numpy()
    return {name: array.tolist() for name, array in arrays.items()}


def values(columns: Columns) -> dict[str, list[Any]]:
    return {name: columns[name].values.tolist() for name in ("time", *NAMES)}


def test_chunks_of_before_are_read_beside_those_of_now(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16,000 rows and zstd throughout, as chunks once were."""
    archive = Archive(db, "tick", C)
    with monkeypatch.context() as before:
        before.setattr(codec, "_FAST", ("zstd", 3))
        for first in (0, 16_000, 32_000):
            archive.write(ticks(first, 16_000))
    archive.write(ticks(48_000, 42_000))
    archive.write(ticks(90_000, 10_000))
    assert told(db) == values(ticks(0, 100_000))
    assert told(db, TIME + 20_000 * MS) == values(ticks(20_000, 80_000))
    batches = list(History(db, "tick", C, 0, None, NAMES).batches())
    assert sum(batch.rows for batch in batches) == 100_000


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("decoders", [1, 2])
def test_a_chunk_that_is_gone_is_told_and_the_others_are_read(db: Any, levels: int, whole: bool, decoders: int) -> None:
    archive = Archive(db, "tick", C)
    for first in range(0, 900, 100):
        archive.write(ticks(first, 100, levels))
    reader = ChunkReader(db, "tick", C)
    listed = reader.by_time(0, None)
    db.chunks.delete_one({"_id": listed[3].id})
    names = {"time", "bid1", "ask1_size", "bid2"}
    found = list(reader.loading(listed, names, decoders, whole=whole))
    assert [columns is None for columns in found] == [number == 3 for number in range(9)]
    for number, columns in enumerate(found):
        expected = ticks(number * 100, 100, levels)
        if columns is not None:
            for name in names & expected.columns.keys():
                assert columns[name].values.tolist() == expected[name].values.tolist()


def all_of_them(history: History[Trade]) -> list[Any]:
    return [(one.time, one.trade_id, one.price) for one in history]


def as_arrays(history: History[Trade]) -> list[Any]:
    arrays = history.to_numpy()
    return list(zip(*(arrays[name].tolist() for name in ("time", "trade_id", "price")), strict=True))


@pytest.mark.parametrize("read", [all_of_them, as_arrays])
@pytest.mark.parametrize("replaced", [0, 2, 5])
def test_a_chunk_that_is_replaced_and_removed_while_it_is_read(
    db: Any, monkeypatch: pytest.MonkeyPatch, read: Callable[[History[Trade]], list[Any]], replaced: int
) -> None:
    trades = [Trade(TIME + n * MS, 100.0 + n, 0.5, "b", str(10**17 + n), C, "live") for n in range(60)]
    late = trades[replaced * 10 + 4]
    trades[replaced * 10 + 4] = Trade(late.time, 1.0, 0.5, "b", late.trade_id, C, "backfill")
    writer = MarketWriter(db)
    rows = [Row("trade", (TIME // MS + n, 1 + n), one) for n, one in enumerate(trades)]
    writer.write([Row("trade", None, row.record) if row.record.source == "backfill" else row for row in rows])
    writer.tell_through({(C, "trade"): (TIME // MS + 1000, 1)})
    archive = Archive(db, "trade", C, 10)
    while archive.pack(FOREVER, FOREVER).chunks:
        archive.settle()
    assert db.chunks.count_documents({}) == 6
    original = ChunkReader.by_time
    listed: list[list[Chunk]] = []

    def by_time(reader: ChunkReader, start: int, end: int | None) -> list[Chunk]:
        """The list is made; then the live copy comes, is packed, and the chunk that had the other is removed."""
        chunks = original(reader, start, end)
        if not listed:
            writer.write([Row("trade", (TIME // MS + 500, 501), late)])
            assert archive.pack(FOREVER, FOREVER).chunks == 1
            archive.settle()
            archive.settle()
            assert db.chunks.count_documents({"_id": chunks[replaced].id}) == 0
        listed.append(chunks)
        return chunks

    monkeypatch.setattr(ChunkReader, "by_time", by_time)
    found = read(History(db, "trade", C, 0, None, ("trade_id", "price")))
    assert found == [
        (one.time, one.trade_id, one.price)
        for one in [*trades[: replaced * 10 + 4], late, *trades[replaced * 10 + 5 :]]
    ]
    assert len(listed) == 2
