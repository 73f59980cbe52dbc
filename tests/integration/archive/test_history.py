"""History over documents and chunks: the same answers, wherever the records are."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl
import pytest
from msgspec.structs import replace

from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import InvalidValue
from tickrouter.history import queries
from tickrouter.history.archive import Archive
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.history.superseded import Superseded
from tickrouter.model.book import Book
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
TIME = 1_785_585_600_000_000_000
MS = 1_000_000
FOREVER = TIME * 2
COUNT = 400
ROWS = 64


def place(number: int) -> EntryId:
    """Three entries a millisecond."""
    return TIME // MS + number // 3, (1 << 40) + number + 1


def tick(number: int) -> Tick:
    bids = tuple((100 - k / 100, 1.5 + number % 7) for k in range(number % 4))
    time = TIME + number // 3 * MS
    return Tick(time, 100 + number / 100, None, bids, ((101.0, 2.0),), C, ("book", "trade")[number % 2], time - 5, 0.25)


def trade(number: int) -> Trade:
    is_late = number % 10 == 3
    time = TIME + number // 3 * MS
    side = "b" if number % 3 else "s"
    source = "backfill" if is_late else "live"
    return Trade(time, 100 + number / 100, 0.5, side, str(10**17 + number), C, source, time - time % MS)


def book(number: int) -> Book:
    bids = tuple((100 - k / 100, 1.0 + number) for k in range(number % 30))
    return Book(TIME + number // 3 * MS, bids, ((101.0, 2.0), (102.0, 1.0)), C, number or None)


MAKE = {"tick": tick, "trade": trade, "book": book}


@dataclass
class Answers:
    """What the queries say."""

    records: list[Any]
    part: list[Any]
    entries: list[Any]
    frame: pd.DataFrame
    table: Any
    rows: list[Any]
    newest: Any
    as_of: list[Any]
    before: list[Any]

    @classmethod
    def of(cls, db: Any, kind: str, columns: tuple[str, ...] | None = None) -> Answers:
        whole: History[Any] = History(db, kind, C, 0, None, columns)
        some: History[Any] = History(db, kind, C, TIME + 20 * MS, TIME + 90 * MS)
        moments = [TIME - 1, TIME, TIME + 33 * MS, TIME + 70 * MS + 5, FOREVER]
        return cls(
            list(whole),
            list(some),
            list(queries.between(db, kind, C, place(31), place(350))),
            whole.to_pandas(),
            whole.to_arrow(),
            list(whole.rows()),
            queries.newest(db, kind, C),
            [queries.newest(db, kind, C, moment) for moment in moments],
            [queries.last_before(db, kind, C, place(number)) for number in (0, 1, 100, 399)],
        )

    def assert_same(self, other: Answers) -> None:
        for name in ("records", "part", "entries", "newest", "as_of", "before"):
            assert getattr(self, name) == getattr(other, name), name
        plain = [[{k: _plain(v) for k, v in row.items()} for row in one.rows] for one in (self, other)]
        assert plain[0] == plain[1]
        pd.testing.assert_frame_equal(self.frame, other.frame)
        assert self.table.equals(other.table)


def _plain(value: Any) -> Any:
    return [tuple(level) for level in value] if isinstance(value, list | tuple) else value


def stored(db: Any, kind: str) -> list[Any]:
    records: list[Any] = [MAKE[kind](number) for number in range(COUNT)]
    writer = MarketWriter(db)
    writer.write(
        [
            Row(kind, None if getattr(record, "source", "") == "backfill" else place(number), record)
            for number, record in enumerate(records)
        ]
    )
    writer.tell_through({(C, kind): place(COUNT)})
    return records


@pytest.mark.parametrize("kind", ["tick", "trade", "book"])
def test_answers_stay_the_same_while_records_move(db: Any, kind: str) -> None:
    records = stored(db, kind)
    hot = Answers.of(db, kind)
    assert (
        sorted(hot.records, key=lambda one: (one.time, one.price if kind != "book" else one.sequence or 0)) == records
    )
    archive = Archive(db, kind, C, ROWS)
    archive.settle()
    while archive.pack(FOREVER, 0).chunks:
        Answers.of(db, kind).assert_same(hot)
    assert db[f"{kind}s"].count_documents({}) == COUNT % ROWS
    assert archive.pack(FOREVER, FOREVER).rows == COUNT % ROWS
    Answers.of(db, kind).assert_same(hot)
    assert db[f"{kind}s"].count_documents({}) == 0


@pytest.mark.parametrize("seed", range(6))
def test_chunks_that_overlap_in_any_way(db: Any, seed: int) -> None:
    """Documents come in any order and are packed in between: chunks lie across each other."""
    chance = random.Random(seed)
    records = [trade(number) for number in range(COUNT)]
    order = chance.sample(range(COUNT), COUNT)
    writer = MarketWriter(db)
    writer.tell_through({(C, "trade"): place(COUNT)})
    archive = Archive(db, "trade", C, chance.choice([16, 50, 300]))
    for start in range(0, COUNT, 80):
        numbers = order[start : start + 80]
        writer.write([Row("trade", None if records[n].source == "backfill" else place(n), records[n]) for n in numbers])
        for _ in range(chance.randrange(3)):
            archive.pack(FOREVER, chance.choice([0, FOREVER]))
    found = list(History[Trade](db, "trade", C, 0))
    assert sorted(found, key=lambda one: one.trade_id) == records
    assert [one.time for one in found] == sorted(one.time for one in records)
    live = [place(n) for n in range(COUNT) if records[n].source == "live"]
    assert [entry for entry, _ in queries.between(db, "trade", C, (0, 0), place(COUNT))] == live


def test_a_reader_under_way_misses_nothing_while_a_packer_works(db: Any) -> None:
    records = stored(db, "tick")
    stop = threading.Event()

    def pack() -> None:
        archive = Archive(db, "tick", C, ROWS)
        while archive.pack(FOREVER, FOREVER).chunks:
            stop.wait(0.01)

    thread = threading.Thread(target=pack)
    thread.start()
    seen = 0
    while thread.is_alive():
        assert list(History[Tick](db, "tick", C, 0)) == records
        seen += 1
    thread.join()
    assert seen
    assert list(History[Tick](db, "tick", C, 0)) == records


def test_chosen_columns_as_every_form(db: Any) -> None:
    stored(db, "tick")
    names = ("price", "bid2_size", "source", "n", "contract", "bids")
    hot = Answers.of(db, "tick", names)
    Archive(db, "tick", C, ROWS).pack(FOREVER, FOREVER)
    history: History[Any] = History(db, "tick", C, 0, None, names)
    Answers.of(db, "tick", names).assert_same(hot)
    arrays = history.to_numpy()
    assert arrays["time"].tolist() == [tick(number).time for number in range(COUNT)]
    assert arrays["price"].tolist() == [tick(number).price for number in range(COUNT)]
    assert [arrays["bids"][3], arrays["bid2_size"][3]] == [tick(3).bids, tick(3).bids[1][1]]
    frame = history.to_polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame["n"].to_list() == [place(number)[1] for number in range(COUNT)]
    assert frame["bid2_size"].null_count() == COUNT // 2
    assert sum(batch.rows for batch in history.batches()) == COUNT
    with pytest.raises(InvalidValue, match="columns"):
        History(db, "trade", C, 0, None, ("bid1",))


def test_only_what_is_through_and_old_enough_and_fit_is_packed(db: Any) -> None:
    stored(db, "tick")
    db.through.update_one({"_id": f"{C}#tick"}, {"$set": {"ms": place(99)[0], "n": place(99)[1]}})
    db.ticks.update_one({"n": place(7)[1]}, {"$set": {"note": "by hand"}})
    db.ticks.update_one({"n": place(8)[1]}, {"$set": {"price": "much"}})
    archive = Archive(db, "tick", C, 1000)
    assert archive.pack(TIME, FOREVER).rows == 0
    assert archive.pack(TIME + 10 * MS, FOREVER).rows == 30 - 2
    done = archive.pack(FOREVER, FOREVER)
    assert (done.rows, done.refused) == (100 - 30, 2)
    assert archive.pack(FOREVER, FOREVER).rows == 0
    assert sorted(one["n"] - place(0)[1] for one in db.ticks.find()) == [7, 8, *range(100, COUNT)]


def test_nothing_is_removed_when_a_chunk_reads_back_as_something_else(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tickrouter.errors import StorageError
    from tickrouter.history import archive as module

    records = stored(db, "tick")
    wrong = module.codec.encode(module.columns_of("tick", C, list(db.ticks.find().sort("time", 1).limit(ROWS - 1))))
    monkeypatch.setattr(module.codec, "encode", lambda columns: wrong)
    with pytest.raises(StorageError, match="something else"):
        Archive(db, "tick", C, ROWS).pack(FOREVER, FOREVER)
    assert db.ticks.count_documents({}) == COUNT
    assert list(History[Tick](db, "tick", C, 0)) == records
    monkeypatch.undo()
    archive = Archive(db, "tick", C, ROWS)
    archive.settle()
    assert db.chunks.count_documents({}) == 0
    assert archive.pack(FOREVER, FOREVER).rows == ROWS


def test_two_packers_at_once_change_nothing_for_readers(db: Any) -> None:
    from tickrouter.errors import StorageError

    records = stored(db, "tick")
    overtaken = []

    def pack() -> None:
        archive = Archive(db, "tick", C, ROWS)
        for _ in range(20):
            try:
                archive.settle()
                archive.pack(FOREVER, FOREVER)
            except StorageError as error:
                overtaken.append(str(error))

    threads = [threading.Thread(target=pack) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive = Archive(db, "tick", C, ROWS)
    archive.settle()
    assert list(History[Tick](db, "tick", C, 0)) == records


def read_after_the_fact(db: Any) -> list[Trade]:
    """Ten trades, of which four were read after the fact, all archived."""
    records = [trade(number) for number in range(0, 40, 4)]
    records = [Trade(one.time, one.price, 0.5, "b", one.trade_id, C, "live") for one in records]
    for index in (1, 3, 5, 7):
        records[index] = Trade(records[index].time, 1.0, 0.5, "b", records[index].trade_id, C, "backfill")
    rows = [Row("trade", None if one.source == "backfill" else place(index), one) for index, one in enumerate(records)]
    writer = MarketWriter(db)
    writer.write(rows)
    writer.tell_through({(C, "trade"): place(COUNT)})
    assert Archive(db, "trade", C, ROWS).pack(FOREVER, FOREVER).rows == len(records)
    return records


def came_live(db: Any, one: Trade, later: int) -> Trade:
    """The same trade out of the stream, received at another time."""
    live = Trade(one.time + later, one.price, 0.5, "b", one.trade_id, C, "live")
    MarketWriter(db).write([Row("trade", place(COUNT - 1), live)])
    return live


@pytest.mark.parametrize("later", [-7 * MS, 3600_000 * MS])
def test_a_live_copy_of_an_archived_backfilled_trade_is_told_alone(db: Any, later: int) -> None:
    records = read_after_the_fact(db)
    late = records[3]
    live = came_live(db, late, later)
    expected = sorted([one for one in records if one is not late] + [live], key=lambda one: one.time)
    history: History[Trade] = History(db, "trade", C, 0)
    assert list(history) == expected
    assert History[Trade](db, "trade", C, 0, None, ("trade_id",)).to_numpy()["trade_id"].tolist() == [
        one.trade_id for one in expected
    ]
    assert [row["trade_id"] for row in History[Trade](db, "trade", C, 0, None, ("trade_id",)).rows()] == [
        one.trade_id for one in expected
    ]
    assert list(History[Trade](db, "trade", C, late.time, late.time + 1)) == []
    MarketWriter(db).tell_through({(C, "trade"): place(2 * COUNT)})
    assert Archive(db, "trade", C, ROWS).pack(FOREVER, FOREVER).chunks == 1
    assert list(history) == expected
    assert db.trades.count_documents({}) == 0


def test_an_archived_trade_that_is_read_again_after_the_fact_is_told_once(db: Any) -> None:
    """A venue's list of past trades reaches back for days where few trade: a collector that starts reads them again."""
    records = stored(db, "trade")
    while Archive(db, "trade", C, ROWS).pack(FOREVER, FOREVER).chunks:
        pass
    expected = list(History[Trade](db, "trade", C, 0))
    now = TIME + 3600_000 * MS
    again = [replace(one, time=now, source="backfill") for one in records[-50:]]
    new = replace(trade(1000), time=now, source="backfill")
    MarketWriter(db).write([Row("trade", None, one) for one in (*again, new)])
    assert list(History[Trade](db, "trade", C, 0)) == [*expected, new]
    assert list(History[Trade](db, "trade", C, now)) == [new]
    assert len(History[Trade](db, "trade", C, 0).to_numpy()["time"]) == len(expected) + 1


@pytest.mark.parametrize("archived", [False, True])
def test_the_newest_of_a_list_of_past_trades_is_the_venues_last(db: Any, archived: bool) -> None:
    past = [replace(trade(number), time=TIME, source="backfill") for number in (1, 4, 7)]
    MarketWriter(db).write([Row("trade", None, one) for one in past])
    if archived:
        MarketWriter(db).tell_through({(C, "trade"): place(COUNT)})
        assert Archive(db, "trade", C, ROWS).pack(FOREVER, FOREVER).rows == 3
    assert queries.newest(db, "trade", C) == past[-1]


def test_a_live_copy_that_comes_while_somebody_reads_is_not_told_behind_the_other(db: Any) -> None:
    records = read_after_the_fact(db)
    for number in range(600):  # more than a first page of documents, behind what is archived
        MarketWriter(db).write([Row("trade", place(400 + number), trade(1000 + number))])
    reading = iter(History[Trade](db, "trade", C, 0))
    seen = [next(reading) for _ in range(len(records))]
    came_live(db, records[3], 3600_000 * MS)
    seen += list(reading)
    told = [one.trade_id for one in seen]
    assert len(told) == len(set(told)) == len(records) + 600


def test_a_packer_between_two_looks_of_a_reader_hides_nothing(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    records = read_after_the_fact(db)
    late = records[3]
    live = came_live(db, late, -7 * MS)
    original = Superseded.rows
    packed = []

    def rows(self: Superseded, chunk: Any, columns: Any) -> Any:
        if not packed:
            packed.append(Archive(db, "trade", C, ROWS).pack(FOREVER, FOREVER))
        return original(self, chunk, columns)

    monkeypatch.setattr(Superseded, "rows", rows)
    found = list(History[Trade](db, "trade", C, 0))
    assert found == sorted([one for one in records if one is not late] + [live], key=lambda one: one.time)
