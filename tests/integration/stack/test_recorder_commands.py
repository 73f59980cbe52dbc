"""`status`, `coverage` and `audit`: what a recorder has, what it lacks, and what cannot be explained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from tests.integration.stack.running import ROOT, environment
from tickrouter.clock import SystemClock
from tickrouter.history.connection import connect, database
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.coverage import Claim, State
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
DAY, TIME = "2026-08-01", 1_785_542_400_000_000_000
HOUR = 3_600_000_000_000
SESSION = 1 << 40
CELLS_AN_HOUR = 4


@dataclass
class Desk:
    """A configuration, its servers' content, and the command."""

    folder: Path
    db: Any

    def tickrouter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tickrouter", *arguments, "--config", str(self.folder / "tickrouter.yaml")]
        return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)

    def claim(self, state: State, start: float, end: float, **records: Any) -> None:
        """The ledger is told, in hours of the day."""
        told = TIME + int(start * HOUR)
        span = told, TIME + int(end * HOUR)
        CoverageWriter(self.db).tell([Claim(told, C, "trade", 1, f"{start}", state, *span, f"why {state}", **records)])

    def trades(self, first: int, last: int) -> None:
        """Trades `first` to `last`, a second apart from midnight on."""
        made = [Trade(TIME + k * 10**9, 1.0, 1.0, "b", str(k), C) for k in range(first, last + 1)]
        MarketWriter(self.db).write([Row("trade", entry(int(one.trade_id)), one) for one in made])

    def keep_state(self, sinks: Mapping[str, Any], *, age: int = -60) -> None:
        """What a collector says of itself, `age` seconds ago; by default not yet: a command may start late."""
        file = self.folder / "data/state/collector.json"
        file.parent.mkdir(parents=True)
        time = SystemClock().now() - age * 10**9
        file.write_text(json.dumps({"pid": 7, "time": time, "frames": 9, "connects": 1, "sinks": sinks}))


def entry(number: int) -> tuple[int, int]:
    return TIME // 1_000_000 + number * 1000, SESSION + number


@pytest.fixture
def desk(tmp_path: Path, mongo_url: str, unique: str) -> Iterator[Desk]:
    config = {
        "data": str(tmp_path / "data"),
        "servers": {"mongo_url": mongo_url, "mongo_database": unique},
        "venues": {"btcturk": {"card": str(ROOT / "configs/venues/btcturk.yaml")}},
        "record": {"contracts": [C], "kinds": ["trade"]},
    }
    (tmp_path / "tickrouter.yaml").write_text(yaml.safe_dump(config))
    with connect(mongo_url) as client:
        yield Desk(tmp_path, database(client, unique))
        client.drop_database(unique)


def account(**parts: int) -> dict[str, int]:
    return dict.fromkeys(("received", "stored", "queued", "spilled", "refused", "given_up"), 0) | parts


def test_status_shows_where_every_record_has_gone_by_sink_and_kind(desk: Desk) -> None:
    trades = account(received=21, stored=10, queued=5, spilled=3, refused=2, given_up=1)
    desk.keep_state({"redis": {"trade": trades}, "mongo": {"trade": account(received=4, stored=4)}})
    done = desk.tickrouter("status", "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"sink": "redis", "kind": "trade", **trades},
        {"sink": "mongo", "kind": "trade", **account(received=4, stored=4)},
    ]
    shown = desk.tickrouter("status")
    assert "collector 7 running: 9 frames on 1 connections" in shown.stdout
    assert "redis  trade        21      10       5        3        2         1" in shown.stdout


def test_status_says_how_long_a_collector_has_been_silent(desk: Desk) -> None:
    desk.keep_state({"redis": {"trade": account()}}, age=3600)
    (since,) = re.findall(r"collector 7 silent for (\d+) s: 9 frames", desk.tickrouter("status").stdout)
    assert int(since) >= 3600


def test_status_fails_where_a_record_is_in_no_account(desk: Desk) -> None:
    desk.keep_state({"redis": {"trade": account(received=21, stored=20)}})
    done = desk.tickrouter("status")
    assert done.returncode == 1
    assert "redis trade: 1 of those received are in no account" in done.stdout


def test_no_number_is_cut_in_a_narrow_terminal(desk: Desk) -> None:
    desk.keep_state({"redis": {"trade": account(received=12_345_678_901, stored=12_345_678_901)}})
    desk.claim("live", 0, 6)
    shown = desk.tickrouter("status").stdout + desk.tickrouter("audit", "--day", DAY).stdout
    for part in ("12,345,678,901  12,345,678,901 ", f"\n{C}  trade ", "backfilled", " 64,800.000"):
        assert part in shown
    assert f"{C}: nothing was recorded that day" in shown
    assert "…" not in shown


def test_of_a_contract_that_was_never_recorded_that_is_said(desk: Desk) -> None:
    told = desk.tickrouter("history", C, "--kind", "trade")
    assert (told.returncode, told.stdout) == (0, "")
    assert told.stderr.splitlines() == ["lacking: trade: nothing was recorded of that time"]
    assert "that day has not begun" in desk.tickrouter("coverage", C, "--day", "2200-01-01").stdout
    turned = desk.tickrouter("export", C, "--from", "2026-08-02", "--to", DAY, "--out", str(desk.folder))
    assert turned.returncode == 2
    assert "2026-08-01 is not after 2026-08-02" in turned.stderr


def test_history_and_export_say_what_they_lack(desk: Desk) -> None:
    desk.trades(1, 3)
    desk.claim("live", 0, 6)
    desk.claim("unknown", 6, 7)
    day = ("--kind", "trade", "--from", DAY, "--to", "2026-08-02", "--out", str(desk.folder))
    lacking = "lacking: trade 2026-08-01 06:00:00.000 to 07:00:00.000 unknown (3600.000 s): why unknown"
    told = desk.tickrouter("history", C, "--kind", "trade", "--start", DAY, "--end", "2026-08-01T07:00", "--json")
    assert (told.returncode, len(told.stdout.splitlines())) == (0, 3)
    assert told.stderr.splitlines() == [lacking]
    done = desk.tickrouter("export", C, *day)
    assert "3 rows in 1 files" in done.stdout
    assert lacking in done.stderr
    (file,) = desk.folder.glob("*.parquet")
    said = json.loads(parquet.read_schema(file).metadata[b"coverage"])
    assert [(one["state"], one["end"]) for one in said] == [
        ("live", TIME + 6 * HOUR),
        ("unknown", TIME + 7 * HOUR),
        ("unknown", TIME + 24 * HOUR),
    ]


def test_coverage_draws_the_day_as_a_line_and_says_what_it_lacks(desk: Desk) -> None:
    desk.claim("live", 0, 6)
    desk.claim("missing", 6, 6.1)
    desk.claim("live", 6.1, 12)
    desk.claim("unknown", 12, 13)
    desk.claim("backfilled", 13, 24)
    shown = desk.tickrouter("coverage", C, "--day", DAY)
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("trade  ") and "%" in line]
    hours = {"live": "█", "missing": "·", "unknown": "?", "backfilled": "▓"}
    drawn = hours["live"] * 6 * CELLS_AN_HOUR + hours["missing"] + hours["live"] * (6 * CELLS_AN_HOUR - 1)
    drawn += hours["unknown"] * CELLS_AN_HOUR + hours["backfilled"] * 11 * CELLS_AN_HOUR
    assert line == f"trade  {drawn}  95.42%"
    assert "trade  06:00:00.000 to 06:06:00.000 missing (360.000 s): why missing" in shown.stdout
    assert "trade  12:00:00.000 to 13:00:00.000 unknown (3600.000 s): why unknown" in shown.stdout
    rows = [json.loads(row) for row in desk.tickrouter("coverage", C, "--day", DAY, "--json").stdout.splitlines()]
    assert [row["state"] for row in rows] == ["live", "missing", "live", "unknown", "backfilled"]
    assert (rows[0]["start"], rows[-1]["end"]) == (TIME, TIME + 24 * HOUR)


def test_audit_recounts_and_fails_on_what_it_cannot_explain(desk: Desk) -> None:
    desk.trades(1, 100)
    desk.claim("live", 0, 6, first=entry(1), last=entry(100), count=100)
    done = desk.tickrouter("audit", "--day", DAY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything claimed is stored, or the ledger says why not" in done.stdout
    desk.db.trades.delete_many({"n": {"$gte": SESSION + 41, "$lte": SESSION + 43}})
    lacking = desk.tickrouter("audit", "--day", DAY)
    assert lacking.returncode == 1
    assert "live claim 0 lacks 3 of 100 entries: session 1: 41-43" in lacking.stdout
    desk.claim("missing", 1, 2, first=entry(41), last=entry(43), count=3)
    assert desk.tickrouter("audit", "--day", DAY).returncode == 0
    desk.trades(101, 101)
    strange = desk.tickrouter("audit", C, "--day", DAY, "--json")
    assert strange.returncode == 1
    (row,) = [json.loads(line) for line in strange.stdout.splitlines()]
    assert row["problems"] == ["1 entries are stored that no claim speaks of: session 1: 101"]
    assert (row["claimed"], row["documents"], row["excused"]) == (100, 97, 3)
