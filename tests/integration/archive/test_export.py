"""Export to files, stopped and gone on with."""

from __future__ import annotations

import csv
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from services.stack.cli import app
from tests.integration.archive.test_history import COUNT, ROWS, TIME, C, stored
from tickrouter.errors import StorageError
from tickrouter.history.archive import Archive
from tickrouter.history.bar_store import BarStore
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.export import DAY, LATE, Format, Part, plan, write
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.coverage import Claim
from tickrouter.model.tick import Tick

NOON = TIME
MIDNIGHT = NOON - NOON % DAY
LATER = MIDNIGHT + 40 * DAY


def test_a_file_for_each_day_and_those_that_are_not_over_apart(tmp_path: Path) -> None:
    parts = plan(tmp_path, C, "tick", MIDNIGHT - DAY // 2, MIDNIGHT + 2 * DAY, MIDNIGHT + DAY + LATE, "csv")
    assert [part.file.name for part in parts] == [
        "btcturk_btc.try_tick_2026-07-31.part.csv",
        "btcturk_btc.try_tick_2026-08-01.csv",
        "btcturk_btc.try_tick_2026-08-02.part.csv",
    ]
    assert [(part.start, part.end) for part in parts] == [
        (MIDNIGHT - DAY // 2, MIDNIGHT),
        (MIDNIGHT, MIDNIGHT + DAY),
        (MIDNIGHT + DAY, MIDNIGHT + 2 * DAY),
    ]
    assert [part.is_whole for part in parts] == [False, True, False]
    (early,) = plan(tmp_path, C, "tick", MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + DAY + LATE - 1, "csv")
    assert not early.is_whole  # trades may still be read after the fact


def test_parquet_holds_what_history_says_and_is_not_written_twice(db: Any, tmp_path: Path) -> None:
    stored(db, "tick")
    Archive(db, "tick", C, ROWS).pack(LATER, LATER)
    (part,) = plan(tmp_path, C, "tick", MIDNIGHT, MIDNIGHT + DAY, LATER, "parquet")
    assert not part.is_done
    assert sum(write(db, C, "tick", part, "parquet")) == COUNT
    assert part.is_done
    table = parquet.read_table(part.file)
    assert table.equals(History[Any](db, "tick", C, 0).to_arrow())


def test_csv_holds_the_same_numbers(db: Any, tmp_path: Path) -> None:
    records = stored(db, "trade")
    (part,) = plan(tmp_path, C, "trade", MIDNIGHT, MIDNIGHT + DAY, LATER, "csv")
    assert sum(write(db, C, "trade", part, "csv", ("price", "trade_id"))) == COUNT
    with part.file.open() as file:
        rows = list(csv.DictReader(file))
    expected = {one.trade_id: one.price for one in records}
    assert {row["trade_id"]: float(row["price"]) for row in rows} == expected
    assert rows[0]["time"].startswith("2026-08-01 12:00:00.000")


def test_a_file_that_failed_is_not_there(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(db, "tick")
    (part,) = plan(tmp_path, C, "tick", MIDNIGHT, MIDNIGHT + DAY, LATER, "parquet")

    def batches(self: Any) -> Any:
        for batch in original(self):
            yield batch
            raise StorageError("MongoDB went away")

    original = History.batches
    monkeypatch.setattr(History, "batches", batches)
    with pytest.raises(StorageError):
        list(write(db, C, "tick", part, "parquet"))
    assert not part.file.exists()
    monkeypatch.undo()
    assert sum(write(db, C, "tick", part, "parquet")) == COUNT


HALF = DAY // 2


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes: the kernel refuses, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cut_and_resumed(db: Any, folder: Path, form: Format, every: int) -> None:
    """Fail the writing at byte after byte, leave what a killed process leaves, go on: always the same bytes."""
    for number in range(12):
        one = Tick(MIDNIGHT + number * DAY // 12, 100.5 + number, None, ((1.5, 2.0),), (), C, "trade")
        MarketWriter(db).write([Row("tick", (one.time // 10**6, number + 1), one)])

    def part(name: str) -> Part:
        (found,) = plan(folder / name, C, "tick", MIDNIGHT, MIDNIGHT + DAY, LATER, form)
        return found

    def export(to: Part) -> int:
        return sum(write(db, C, "tick", to, form, ("price", "bid1"), HALF))

    right = part("right")
    assert export(right) == 12
    expected = right.file.read_bytes()
    for size in range(0, len(expected), every):
        cut = part(f"cut{size}")
        with files_up_to(size), pytest.raises(OSError, match="File too large"):
            export(cut)
        assert not cut.file.exists()
        leftovers = [cut.file, *cut.file.parent.glob(".*.pieces/*")]
        for file in leftovers:
            file.with_name(f".{file.name}.new").write_bytes(expected[:size])
        assert export(cut) == 12
        assert cut.file.read_bytes() == expected
        shutil.rmtree(cut.file.parent)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_cut_off_at_any_byte_it_ends_in_the_same_bytes(db: Any, tmp_path: Path, form: Format) -> None:
    cut_and_resumed(db, tmp_path, form, every=41)


@pytest.mark.long
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_cut_off_at_every_byte_it_ends_in_the_same_bytes(db: Any, tmp_path: Path, form: Format) -> None:
    cut_and_resumed(db, tmp_path, form, every=1)


def test_hours_that_were_read_are_not_read_again(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(db, "tick")
    (part,) = plan(tmp_path, C, "tick", MIDNIGHT, MIDNIGHT + DAY, LATER, "parquet")
    writing = write(db, C, "tick", part, "parquet")
    assert next(rows for rows in writing if rows) == COUNT  # all of them are of one hour
    assert next(writing) == 0  # by now it is written
    with pytest.raises(StorageError):
        writing.throw(StorageError("MongoDB went away"))
    assert not part.file.exists()
    db.ticks.delete_many({})
    assert sum(write(db, C, "tick", part, "parquet")) == COUNT
    assert parquet.read_table(part.file).num_rows == COUNT
    assert [file.name for file in tmp_path.iterdir()] == [part.file.name]


def test_the_bytes_do_not_tell_what_was_archived(db: Any, tmp_path: Path) -> None:
    stored(db, "tick")
    files = []
    for name in ("hot", "archived"):
        (part,) = plan(tmp_path / name, C, "tick", MIDNIGHT, MIDNIGHT + DAY, LATER, "parquet")
        assert sum(write(db, C, "tick", part, "parquet")) == COUNT
        files.append(part.file.read_bytes())
        Archive(db, "tick", C, ROWS).pack(LATER, LATER)
    assert files[0] == files[1]


def test_the_commands(db: Any, mongo_url: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(db, "trade")
    monkeypatch.setenv("MONGO_URL", mongo_url)
    config = tmp_path / "tickrouter.yaml"
    config.write_text(f"data: {tmp_path}\nservers: {{mongo_database: {unique}}}\n")
    runner = CliRunner()
    packed = runner.invoke(app, ["archive-now", "--hot-hours", "0", "--config", str(config)])
    assert packed.exit_code == 0, packed.output
    assert f"{COUNT} records in 1 chunks, {COUNT} documents removed" in packed.output
    assert db.trades.count_documents({}) == 0
    command = [
        "export",
        C,
        "--from",
        "2026-07-31",
        "--to",
        "2026-08-03",
        "--kind",
        "trade",
        "--out",
        str(tmp_path / "x"),
    ]
    first = runner.invoke(app, [*command, "--config", str(config)])
    assert first.exit_code == 0, first.output
    assert f"{COUNT} rows in 3 files" in first.output
    again = runner.invoke(app, [*command, "--config", str(config)])
    assert "0 rows in 0 files" in again.output
    assert "3 were there" in again.output
    assert len(list((tmp_path / "x").iterdir())) == 3


@pytest.mark.parametrize("kind", ["trade", "bar"])
def test_a_day_that_is_not_stored_as_a_whole_yet_is_written_anew(
    db: Any, mongo_url: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """MongoDB was away and its sink catches up, or no archiver has made the bars: the day is over, its file is not."""
    records = stored(db, "trade")
    monkeypatch.setenv("MONGO_URL", mongo_url)
    config = tmp_path / "tickrouter.yaml"
    config.write_text(f"data: {tmp_path}\nservers: {{mongo_database: {unique}}}\n")
    folder = tmp_path / "x"
    command = ["export", C, "--from", "2026-08-01", "--to", "2026-08-02", "--kind", kind]
    command += ["--out", str(folder), "--config", str(config)]
    name = f"btcturk_btc.try_{kind}_2026-08-01"
    for end in (NOON, MIDNIGHT + DAY + LATE):
        CoverageWriter(db).tell([Claim(1, C, "trade", 1, "all", "live", MIDNIGHT, end, "connected")])
        if end > NOON:
            MarketWriter(db).tell_through({(C, "trade"): (end // 1_000_000, 1 << 41)})
            while BarStore(db, C).advance():
                pass
            db.archive.update_one({"_id": f"{C}#bars"}, {"$set": {"time": end}}, upsert=True)
        assert CliRunner().invoke(app, command).exit_code == 0
        assert (folder / f"{name}.part.parquet").exists()
        assert (folder / f"{name}.parquet").exists() == (end > NOON)
    assert records and parquet.read_metadata(folder / f"{name}.parquet").num_rows > 0
