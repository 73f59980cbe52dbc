"""`tickrouter up` with real processes: it runs, heals, ends in time, and goes on with its data."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.stack.processes import identity
from services.stack.state import StackState
from tests.integration.stack.running import PROGRAMS, ROOT, Up
from tests.waiting import until

ENDS_WITHIN = 5.0
"""Seconds for an ordered end (README)."""


@pytest.fixture
def started() -> Iterator[list[Up]]:
    runs: list[Up] = []
    yield runs
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


@pytest.mark.timeout(90)
def test_it_runs_for_a_time_and_sums_up(tmp_path: Path, started: list[Up]) -> None:
    file = tmp_path / "summary.json"
    up = Up(tmp_path / "data", "--for", "12s", "--summary", str(file))
    started.append(up)
    assert up.process.wait(80) == 0, up.said
    summary: dict[str, Any] = json.loads(file.read_text())
    assert summary["same"] is True, summary
    assert summary["errors"] == []
    assert summary["ticks"] > 300
    assert summary["records"]["trade"]["redis"] == summary["records"]["trade"]["mongo"] > 0
    assert summary["fills"] >= 1
    assert summary["orders"].get("Filled", 0) >= 1
    assert summary["restarts"] == {}
    assert StackState.load(tmp_path / "data" / "state" / "stack.json").processes == {}
    assert "the same in MongoDB" in up.said


@pytest.mark.timeout(120)
def test_each_process_that_is_killed_comes_back_and_ticks_go_on(tmp_path: Path, started: list[Up]) -> None:
    up = Up(tmp_path / "data")
    started.append(up)
    up.until_it_flows()
    for name in PROGRAMS:
        up.kill(name)
        up.until_it_flows(more_than=up.ticks() + 50)
        assert f"{name} was killed by SIGKILL; starting it again" in up.said
        assert f"{name} started again" in up.said
    pids = up.pids()
    assert up.end() < ENDS_WITHIN
    assert up.process.returncode == 0
    assert [pid for pid in pids if identity(pid)] == []


@pytest.mark.timeout(120)
def test_a_second_run_goes_on_after_the_first_was_killed(tmp_path: Path, started: list[Up]) -> None:
    first = Up(tmp_path / "data")
    started.append(first)
    first.until_it_flows(more_than=100)
    ports = StackState.load(tmp_path / "data" / "state" / "stack.json").ports
    left_behind = first.pids()
    first.process.kill()
    first.process.wait()

    file = tmp_path / "summary.json"
    second = Up(tmp_path / "data", "--for", "4s", "--no-demo", "--summary", str(file))
    started.append(second)
    assert second.process.wait(80) == 0, second.said
    assert [pid for pid in left_behind if identity(pid)] == []
    assert StackState.load(tmp_path / "data" / "state" / "stack.json").ports == ports
    summary = json.loads(file.read_text())
    assert summary["same"] is True, summary
    assert summary["documents"]["ticks"] >= summary["ticks"] + 100


@pytest.mark.timeout(60)
def test_sigterm_while_starting_leaves_nothing_behind(tmp_path: Path, started: list[Up]) -> None:
    up = Up(tmp_path / "data")
    started.append(up)
    until(lambda: up.pid("mongo"), timeout=30)
    pids = up.pids()
    assert up.end(signal.SIGTERM) < ENDS_WITHIN
    until(lambda: all(identity(pid) is None for pid in pids), timeout=5)


@pytest.mark.timeout(60)
def test_two_stacks_do_not_share_a_folder(tmp_path: Path, started: list[Up]) -> None:
    first = Up(tmp_path / "data")
    started.append(first)
    until(lambda: first.pid("redis"), timeout=30)
    second = subprocess.run(first.process.args, cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "--data" in second.stderr
    assert "Traceback" not in second.stderr
    assert str(first.process.pid) in second.stderr
    first.end()
