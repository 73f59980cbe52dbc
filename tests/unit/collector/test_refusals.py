"""What was refused is kept, bounded."""

from __future__ import annotations

import json
from pathlib import Path

from services.collector import refusals
from services.collector.refusals import Refusals
from tickrouter.core.market import Refused


def test_reason_and_bytes_are_kept_and_counted(tmp_path: Path) -> None:
    kept = Refusals(tmp_path / "state/refused.jsonl")
    kept.keep(Refused("unreadable", None, "no JSON", b"\xff{"), 5)
    kept.keep(Refused("quarantine", "btcturk/btc.try", "P: too long", b"x" * 10_000), 6)
    lines = [json.loads(line) for line in (tmp_path / "state/refused.jsonl").read_text().splitlines()]
    assert [(line["time"], line["kind"], line["reason"], line["bytes"]) for line in lines] == [
        (5, "unreadable", "no JSON", 2),
        (6, "quarantine", "P: too long", 10_000),
    ]
    assert lines[0]["data"] == "\\xff{"
    assert len(lines[1]["data"]) == refusals.KEPT_BYTES
    assert kept.counts == {"unreadable": 1, "quarantine": 1}


def test_a_long_file_is_put_aside(tmp_path: Path) -> None:
    file = tmp_path / "refused.jsonl"
    file.write_bytes(b"x" * (refusals.FILE_BYTES + 1))
    Refusals(file).keep(Refused("unreadable", None, "why", b""), 5)
    assert len(file.read_text().splitlines()) == 1
    assert (tmp_path / "refused.old").stat().st_size > refusals.FILE_BYTES


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Refusals(tmp_path / "file" / "refused.jsonl")
    kept.keep(Refused("unreadable", None, "why", b""), 5)
    assert kept.counts == {"unreadable": 1}
