"""Starts processes, starts them again when they die, and ends them all.

Everything runs in the process group of the keeper (keeper.py), so that nothing outlives a supervisor that was
killed. The supervisor itself has no thread: whoever owns it calls `poll` several times a second.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tickrouter import logs
from tickrouter.clock import Clock, SystemClock

from .state import StackState

BACKOFF_FIRST = 0.25
BACKOFF_CAP = 10.0
SETTLED = 30.0
"""Seconds after which a process counts as well again and its backoff begins anew."""
LOG_LIMIT = 32 * 1024 * 1024
"""Bytes after which a log is set aside as `<name>.log.1` when its process starts."""

_log = logs.get("supervisor")


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running.

    Attributes:
        name: for people, the log's name and the state file.
        command: program and arguments.
        log: file to which its output is added.
        environment: the whole of it, or None for ours.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] | None = None


@dataclass(slots=True)
class Child:
    """A program and the process that runs it now.

    Attributes:
        restarts: how often it was started again.
        began: monotonic time of the last start.
        due: monotonic time of the next start, or None while it runs.
        ended: how it ended last, "" if it never did.
    """

    program: Program
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    began: float = 0.0
    due: float | None = None
    ended: str = ""
    _backoff: float = BACKOFF_FIRST

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.is_running and self.process else None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def schedule(self, now: float) -> float:
        """Set the time of the next start; returns the seconds until then."""
        if now - self.began >= SETTLED:
            self._backoff = BACKOFF_FIRST
        wait, self._backoff = self._backoff, min(self._backoff * 2, BACKOFF_CAP)
        self.due = now + wait
        return wait


@dataclass(slots=True)
class Supervisor:
    """Owns the processes.

    Attributes:
        state: where process ids are remembered, for a next run that has to clean up.
        tell: takes a sentence for people whenever something happened to a process.
        clock: for uptimes and backoff.
    """

    state: StackState
    tell: Callable[[str], None]
    clock: Clock = field(default_factory=SystemClock)
    children: dict[str, Child] = field(default_factory=dict)
    _keeper: subprocess.Popen[bytes] | None = None
    _group: int = 0

    def start(self, program: Program) -> Child:
        """Start a program and keep it running from now on."""
        self._keep()
        child = self.children[program.name] = Child(program)
        self._spawn(child)
        return child

    def poll(self) -> None:
        """Notice deaths, and start again what is due. Never blocks."""
        if self._keeper is not None and self._keeper.poll() is not None:
            self.tell("the keeper died, started again")
            self._keep()
        now = self.clock.monotonic()
        for child in self.children.values():
            if child.due is not None:
                if now >= child.due:
                    child.restarts += 1
                    self._spawn(child)
                    self.tell(f"{child.program.name} started again (process {child.pid})")
            elif child.process is not None and child.process.poll() is not None:
                child.ended = how_it_ended(child.process.returncode)
                wait = child.schedule(now)
                self.state.ended(child.program.name)
                self.tell(f"{child.program.name} {child.ended}; starting it again in {wait:.2g} s")

    def stop(self, names: Iterable[str], *, grace: float) -> None:
        """End these for good: SIGTERM to all at once, SIGKILL after `grace` seconds."""
        ending = [self.children[name] for name in names if name in self.children]
        for child in ending:
            child.due = None
            if child.process is not None and child.is_running:
                child.process.terminate()
        deadline = time.monotonic() + grace
        for child in ending:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                self.tell(f"{child.program.name} did not end within {grace:.1f} s and was killed")
            self.state.ended(child.program.name)
            del self.children[child.program.name]

    def close(self) -> None:
        """End whatever still runs, the keeper last."""
        self.stop(list(self.children), grace=2.0)
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.communicate()
            self._keeper = None

    def _spawn(self, child: Child) -> None:
        program = child.program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > LOG_LIMIT:
            program.log.replace(program.log.with_suffix(".log.1"))
        with program.log.open("ab") as out:
            child.process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=program.environment,
                process_group=self._group,
            )
        child.began, child.due = self.clock.monotonic(), None
        self.state.started(program.name, child.process.pid)
        _log.info("started", program=program.name, pid=child.process.pid, restarts=child.restarts)

    def _keep(self) -> None:
        """Have a keeper. A new one joins the group that the old one led, for as long as anyone is in it."""
        if self._keeper is not None and self._keeper.poll() is None:
            return
        try:
            self._keeper = _start_keeper(self._group)
        except PermissionError:
            self._keeper = _start_keeper(0)
        self._group = os.getpgid(self._keeper.pid)


def _start_keeper(group: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=group, bufsize=0)
    if keeper.stdout is not None:
        keeper.stdout.read(1)
    return keeper


def how_it_ended(code: int) -> str:
    """An exit status in words."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with status {code}"
