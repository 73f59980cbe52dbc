"""The form in which figures are written and shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.report import Figure, ratios, table, write_json

FAST = Figure("a.fast", "1/s", "higher", (300.0, 100.0, 200.0))
UNSET = {"target": None, "floor": None, "holds": None}
SLOW = Figure("a.slow", "1/s", "higher", (100.0, 100.0, 50.0))


def test_a_figure_is_the_median_of_its_runs() -> None:
    assert FAST.value == 200
    assert Figure("even", "us", "lower", (1.0, 2.0)).value == 1.5


def test_a_figure_without_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="empty: not one run"):
        Figure("empty", "us", "lower", ())


def test_without_a_target_nothing_holds_or_fails() -> None:
    assert FAST.holds is None


@pytest.mark.parametrize(
    ("better", "target", "holds"), [("higher", 200.0, True), ("higher", 201.0, False), ("lower", 199.0, False)]
)
def test_a_target_is_reached_or_not(better: str, target: float, holds: bool) -> None:
    assert Figure("a", "1/s", better, FAST.runs, target).holds is holds


def test_a_ratio_is_taken_round_by_round() -> None:
    ratio = ratios("a.ratio", FAST, SLOW, "higher")
    assert ratio.runs == (3.0, 1.0, 4.0)
    assert (ratio.value, ratio.unit) == (3.0, "x")


def test_a_ratio_of_other_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios("a.ratio", FAST, Figure("a.one", "1/s", "higher", (1.0,)), "higher")


def test_a_floor_is_what_binds_where_there_is_one() -> None:
    assert Figure("a", "x", "higher", FAST.runs, target=300.0, floor=200.0).holds is True
    assert Figure("a", "x", "higher", FAST.runs, target=100.0, floor=201.0).holds is False
    assert ratios("a.ratio", FAST, SLOW, "lower", 1.0, 3.0).holds is True


def test_the_file_has_every_figure_with_its_six_fields(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    write_json(file, [FAST, Figure("a.ratio", "x", "lower", (1.23456,), target=1.0)])
    assert json.loads(file.read_text()) == {
        "a.fast": {"value": 200.0, "unit": "1/s", **UNSET, "runs": [300.0, 100.0, 200.0]},
        "a.ratio": {"value": 1.235, "unit": "x", "target": 1.0, "floor": None, "holds": False, "runs": [1.235]},
    }
    assert list(file.parent.iterdir()) == [file]


def test_the_table_shows_what_a_person_asks_for() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table([FAST, Figure("b.time", "ms", "lower", (3.14159,), target=3.0)], "five rounds"))
    shown = console.export_text()
    assert "five rounds" in shown
    assert "200 1/s" in shown
    assert "3.142 ms" in shown
    assert "NO" in shown
