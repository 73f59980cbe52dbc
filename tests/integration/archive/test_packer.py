"""The packer of the archiver, over everything that is recorded."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from services.archiver.main import Archiver
from services.archiver.packer import Packer
from tests.integration.archive.test_history import COUNT, MS, TIME, C, book, place, stored, tick, trade
from tests.waiting import until
from tickrouter.clock import SystemClock
from tickrouter.config import Archive, Config, Recording, Servers
from tickrouter.errors import HistoryGap, StorageError
from tickrouter.history.archive import Archive as Archive_
from tickrouter.history.audit import audit
from tickrouter.history.chunk_reader import ChunkReader
from tickrouter.history.connection import connect, database
from tickrouter.history.coverage import CoverageWriter, coverage
from tickrouter.history.documents import to_document
from tickrouter.history.queries import History
from tickrouter.history.retention import remove_before
from tickrouter.history.series import Series
from tickrouter.model.bar import Bar
from tickrouter.model.coverage import Claim

HOUR = 3_600_000_000_000


class Clock(SystemClock):
    """A clock that stands where it is put."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


def packer(db: Any, now: int, **fields: Any) -> Packer:
    return Packer(db, Archive(**fields), Clock(now), threading.Event())


def test_what_is_older_than_the_hot_window_is_packed_in_its_time(db: Any) -> None:
    records = {kind: stored(db, kind) for kind in ("tick", "trade", "book")}
    one = packer(db, TIME + 24 * HOUR, hot_hours=24, wait_hours=2)
    while one.step():
        pass
    assert db.chunks.count_documents({}) == 0
    one._clock.time = TIME + 26 * HOUR + HOUR
    while one.step():
        pass
    assert {name: db[name].count_documents({}) for name in ("ticks", "trades", "books")} == dict.fromkeys(
        ("ticks", "trades", "books"), 0
    )
    assert (one.progress.chunks, one.progress.rows, one.progress.error) == (3, 3 * COUNT, None)
    for kind, expected in records.items():
        found = list(History[Any](db, kind, C, 0))
        assert sorted(found, key=expected.index) == expected


def test_each_kind_is_kept_as_long_as_it_is_told(db: Any) -> None:
    for kind in ("tick", "trade", "book"):
        stored(db, kind)
    one = packer(db, TIME + 48 * HOUR, hot_hours=1, wait_hours=0)
    while one.step():
        pass
    db.ticks.insert_one({"_id": "x", "contract": C, "time": TIME, "ms": 1, "n": 1})
    expiring = packer(db, TIME + 48 * HOUR, enabled=False, keep_days={"tick": 1, "book": 3})
    expiring.step()
    kinds = {"tick": tick, "trade": trade, "book": book}
    found = {kind: sum(1 for _ in History[Any](db, kind, C, 0)) for kind in kinds}
    assert found == {"tick": 0, "trade": COUNT, "book": COUNT}
    assert expiring.progress.expired == COUNT + 1


@pytest.mark.parametrize("archived", [False, True])
def test_what_is_kept_no_longer_is_missing_in_every_answer_and_explained_to_the_audit(db: Any, archived: bool) -> None:
    records = stored(db, "tick")
    first, last = place(0), place(COUNT - 1)
    end = TIME + HOUR
    CoverageWriter(db).tell(
        [Claim(end, C, kind, 1, "all", "live", TIME, end, "recorded", first, last, COUNT) for kind in ("tick", "trade")]
    )
    if archived:
        one = packer(db, TIME + 48 * HOUR, hot_hours=1, wait_hours=0)
        while one.step():
            pass
    assert list(History[Any](db, "tick", C, TIME, end, complete=True)) == records
    assert audit(db, C, "tick", 0, 2**62).problems == ()
    for now in (30 * 24 * HOUR, 31 * 24 * HOUR):
        packer(db, TIME + now, enabled=False, keep_days={"tick": 1, "bar": 20}).step()
    history: History[Any] = History(db, "tick", C, TIME, end)
    assert list(history) == []
    assert [(one.state, one.cause) for one in history.coverage] == [("missing", "kept no longer")]
    with pytest.raises(HistoryGap, match="kept no longer"):
        list(History[Any](db, "tick", C, TIME, end, complete=True))
    found = audit(db, C, "tick", 0, 2**62)
    assert (found.problems, found.excused) == ((), COUNT)


def test_an_audit_counts_what_is_archived_twice(db: Any) -> None:
    stored(db, "tick")
    end = TIME + HOUR
    first, last = place(0), place(COUNT - 1)
    CoverageWriter(db).tell([Claim(end, C, "tick", 1, "all", "live", TIME, end, "recorded", first, last, COUNT)])
    archive = Archive_(db, "tick", C)
    archive.pack(TIME * 2, TIME * 2)
    assert audit(db, C, "tick", TIME, end).problems == ()
    reader = ChunkReader(db, "tick", C)
    rows = reader.load(reader.by_time(TIME, end)[0], None)
    assert rows is not None
    archive.write(rows.take(slice(0, 10)))
    assert audit(db, C, "tick", TIME, end).problems == ("10 archived rows have an entry id that another has too",)


def test_a_chunk_that_stays_is_not_called_missing(db: Any) -> None:
    stored(db, "tick")
    end = TIME + HOUR
    CoverageWriter(db).tell(
        [Claim(end, C, "tick", 1, "all", "live", TIME, end, "recorded", place(0), place(COUNT - 1), COUNT)]
    )
    Archive_(db, "tick", C, 100).pack(TIME * 2, TIME * 2)
    second = Archive_(db, "tick", C, 200)
    second.pack(TIME * 2, TIME * 2)
    reaches = TIME + 50 * MS  # into the second chunk
    assert remove_before(db, Series(C, "tick"), reaches) == 100
    kept = [one.time for one in History[Any](db, "tick", C, 0)]
    assert len(kept) == COUNT - 100
    states = [(one.state, one.end) for one in coverage(db, C, "tick", TIME, end)]
    assert states == [("missing", min(kept) + 1), ("live", end)]  # of that moment one was in the chunk that went


def test_what_is_removed_beside_a_chunk_that_stays_is_missing(db: Any) -> None:
    """Longer bars are never archived: those of the chunk's time go with it, or the ledger says that they are gone."""
    end = TIME + HOUR
    CoverageWriter(db).tell([Claim(end, C, "trade", 1, "all", "live", TIME, end, "recorded")])
    minutes = [Bar(TIME + k * 60_000 * MS, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, C, 1.0, 1) for k in range(60)]
    seconds = [Bar(TIME + k * 1_000 * MS, "1s", 1.0, 1.0, 1.0, 1.0, 1.0, C, 1.0, 1) for k in range(600, 3600)]
    db.bars.insert_many(to_document(bar) for bar in (*minutes, *seconds))
    Archive_(db, "bar", C).pack(TIME * 2, TIME * 2)
    remove_before(db, Series(C, "bar"), TIME + HOUR // 2)
    kept = [bar.time for bar in History[Bar](db, "bar", C, TIME, end, period="1m")]
    lacking = [bar.time for bar in minutes if bar.time not in kept]
    spoken = coverage(db, C, "bar", TIME, end)
    assert lacking
    for time in lacking:
        assert [one.state for one in spoken if one.start <= time < one.end] == ["missing"]


def test_what_is_removed_of_chunks_that_overlap_is_missing(db: Any) -> None:
    records = stored(db, "tick")
    end = TIME + HOUR
    CoverageWriter(db).tell([Claim(end, C, "tick", 1, "all", "live", TIME, end, "recorded")])
    late = db.ticks.find_one(sort=[("time", 1)])
    db.ticks.delete_one({"_id": late["_id"]})
    middle = records[COUNT // 2].time
    Archive_(db, "tick", C).pack(middle, TIME * 2)
    db.ticks.insert_one(late)  # written again by a repair, and packed with what is newer
    Archive_(db, "tick", C).pack(TIME * 2, TIME * 2)
    remove_before(db, Series(C, "tick"), middle)
    kept = list(History[Any](db, "tick", C, 0))
    spoken = coverage(db, C, "tick", TIME, end)
    for record in records:
        if record not in kept:
            assert [one.state for one in spoken if one.start <= record.time < one.end] == ["missing"]
    assert kept != records


def test_bars_are_kept_for_a_time_of_their_own(db: Any) -> None:
    end = TIME + HOUR
    claim = Claim(end, C, "trade", 1, "all", "live", TIME, end, "recorded")
    CoverageWriter(db).tell([claim])
    stored(db, "trade")
    remove_before(db, Series(C, "trade"), TIME * 2)
    assert [one.state for one in coverage(db, C, "trade", TIME, end)] == ["missing"]
    assert [one.state for one in coverage(db, C, "bar", TIME, end)] == ["live"]
    db.bars.insert_one({"_id": "x", "contract": C, "period": "1m", "time": TIME, "ms": None, "n": None})
    remove_before(db, Series(C, "bar"), TIME + HOUR // 2)
    assert [one.state for one in coverage(db, C, "bar", TIME, end)] == ["missing", "live"]


def test_one_damaged_chunk_holds_up_nothing_else(db: Any) -> None:
    for kind in ("tick", "trade"):
        stored(db, kind)
    one = packer(db, TIME + 48 * HOUR, hot_hours=1, wait_hours=0)
    while one.step():
        pass
    db.chunks.update_one({"kind": "trade"}, {"$set": {"top": b"junk", "settled": False}})
    stored(db, "book")
    one.step()
    assert "not a chunk" in (one.progress.error or "")
    assert db.chunks.count_documents({"kind": "book"}) == 1


def test_without_mongo_it_says_so() -> None:
    client = connect("mongodb://127.0.0.1:1", timeout=0.05)
    with pytest.raises(StorageError):
        packer(database(client, "nowhere"), TIME).step()
    client.close()


def test_the_archiver_packs_without_an_account(
    db: Any, mongo_url: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGO_URL", raising=False)
    records = stored(db, "tick")
    config = Config(
        data=tmp_path,
        servers=Servers(mongo_url=mongo_url, mongo_database=unique),
        record=Recording(contracts=(C,)),
        archive=Archive(hot_hours=0.001, wait_hours=0, every_seconds=0.05),
    )
    archiver = Archiver(config, (), Clock(TIME + COUNT * MS + HOUR))
    thread = threading.Thread(target=archiver.run)
    thread.start()
    try:
        file = tmp_path / "state" / "archiver.json"
        until(lambda: file.exists() and json.loads(file.read_text())["packing"]["rows"] == COUNT)
        assert db.ticks.count_documents({}) == 0
        assert list(History[Any](db, "tick", C, 0)) == records
    finally:
        archiver.stop.set()
        thread.join(5)
    assert not thread.is_alive()
