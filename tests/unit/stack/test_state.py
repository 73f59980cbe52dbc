"""Ports and processes that outlast a run."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.stack.processes import identity, stop_if_ours
from services.stack.servers import PORTS, free_port
from services.stack.state import AlreadyRunning, FolderLock, StackState


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "stack.json"


def test_ports_stay_the_same_while_they_are_free(file: Path) -> None:
    first = StackState.load(file).port("redis")
    assert StackState.load(file).port("redis") == first


def test_a_port_that_somebody_took_is_replaced_and_the_new_one_remembered(file: Path) -> None:
    state = StackState.load(file)
    first = state.port("redis")
    with socket.create_server(("127.0.0.1", first)):
        second = StackState.load(file).port("redis")
    assert second != first
    assert StackState.load(file).ports == {"redis": second}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": {"redis": "x"}, "processes": {}}', '{"ports": []}'])
def test_a_broken_file_is_a_first_run(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(content)
    state = StackState.load(file)
    assert (state.ports, state.processes) == ({}, {})


def test_leftovers_are_stopped_only_if_they_are_ours(file: Path) -> None:
    ours = subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"])
    stranger = subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"])
    try:
        state = StackState.load(file)
        state.started("ours", ours.pid)
        state.started("stranger", stranger.pid)
        state.processes["stranger"]["identity"] = "of an earlier process with this id"
        state.save()
        again = StackState.load(file)
        assert again.stop_leftovers() == ["ours"]
        assert again.processes == {}
        assert ours.wait(5) != 0
        assert stranger.poll() is None
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_a_process_that_is_gone_has_no_identity_and_is_not_signalled() -> None:
    process = subprocess.Popen([sys.executable, "-I", "-c", ""])
    known_as = identity(process.pid)
    process.wait()
    assert identity(process.pid) is None
    assert known_as is None or not stop_if_ours(process.pid, known_as, grace=0.1)


def test_one_stack_a_folder(tmp_path: Path) -> None:
    first, second = (FolderLock(tmp_path / "state" / "stack.lock") for _ in range(2))
    assert not first.is_held()
    first.take()
    assert second.is_held()
    with pytest.raises(AlreadyRunning, match=r"--data"):
        second.take()
    first.release()
    assert not second.is_held()


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert all(free_port() in PORTS for _ in range(20))
