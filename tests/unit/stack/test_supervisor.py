"""The supervisor with stand-in programs: starting again, backoff, ending, and not outliving a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.stack.processes import identity
from services.stack.state import StackState
from services.stack.supervisor import BACKOFF_CAP, BACKOFF_FIRST, SETTLED, Child, Program, Supervisor
from tests.waiting import until

SLEEPER = "import signal; print('here', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); signal.pause()"
ROOT = Path(__file__).parents[3]


class Said(list[str]):
    """What the supervisor told, one sentence an item."""

    def has(self, *words: str) -> bool:
        return any(all(word in sentence for word in words) for sentence in self)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def supervisor(tmp_path: Path, said: Said) -> Iterator[Supervisor]:
    made = Supervisor(StackState(tmp_path / "state" / "stack.json"), said.append)
    yield made
    made.close()


def program(folder: Path, name: str, code: str = SLEEPER) -> Program:
    return Program(name, (sys.executable, "-I", "-c", code), folder / f"{name}.log")


def written(file: Path) -> bool:
    return file.exists() and "here" in file.read_text()


def test_a_killed_program_is_started_again_and_that_is_said(supervisor: Supervisor, said: Said, tmp_path: Path) -> None:
    child = supervisor.start(program(tmp_path, "sleeper"))
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        supervisor.poll()
        return child.restarts == 1

    until(back)
    assert child.pid not in (None, first)
    assert said.has("sleeper", "SIGKILL", "starting it again")
    assert said.has("sleeper", "started again", str(child.pid))


def test_backoff_doubles_up_to_a_cap_and_begins_anew_after_a_good_while() -> None:
    child = Child(Program("p", ("true",), Path("p.log")))
    waits = [child.schedule(now=1.0) for _ in range(10)]
    assert waits[:3] == [BACKOFF_FIRST, 2 * BACKOFF_FIRST, 4 * BACKOFF_FIRST]
    assert waits[-1] == BACKOFF_CAP
    assert child.schedule(now=1.0 + SETTLED) == BACKOFF_FIRST


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    child = supervisor.start(program(tmp_path, "deaf", DEAF))
    until(lambda: written(child.program.log))
    pid = child.pid
    supervisor.stop(["deaf"], grace=0.1)
    assert pid is not None
    assert identity(pid) is None
    assert said.has("deaf", "was killed")
    assert supervisor.children == {}


def test_the_keeper_is_replaced_and_programs_stay_in_one_group(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    child = supervisor.start(program(tmp_path, "one"))
    assert child.pid is not None
    group = os.getpgid(child.pid)
    os.kill(group, signal.SIGKILL)

    def told() -> bool:
        supervisor.poll()
        return said.has("keeper")

    until(told)
    other = supervisor.start(program(tmp_path, "two"))
    assert other.pid is not None
    assert os.getpgid(other.pid) == os.getpgid(child.pid) == group


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    code = f"""
import signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "shared")!r}]
from pathlib import Path
from services.stack.state import StackState
from services.stack.supervisor import Program, Supervisor
folder = Path({str(tmp_path)!r})
supervisor = Supervisor(StackState(folder / "stack.json"), print)
for name, code in (("sleeper", {SLEEPER!r}), ("deaf", {DEAF!r})):
    supervisor.start(Program(name, (sys.executable, "-I", "-c", code), folder / f"{{name}}.log"))
signal.pause()
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: written(tmp_path / "sleeper.log") and written(tmp_path / "deaf.log"))
    state = StackState.load(tmp_path / "stack.json")
    pids = [entry["pid"] for entry in state.processes.values()]
    assert len(pids) == 2
    run.kill()
    run.wait()
    until(lambda: all(identity(pid) is None for pid in pids), timeout=8.0)
