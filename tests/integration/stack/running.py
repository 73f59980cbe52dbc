"""A running `tickrouter up`, and the command beside it, as a user has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from services.stack.state import StackState
from tests.waiting import until

ROOT = Path(__file__).parents[3]
PROGRAMS = ("redis", "orders", "mongo", "simulator", "collector", "router", "archiver")


def environment() -> dict[str, str]:
    """Ours, without servers of the user's, and with this checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return clean | {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}", "COLUMNS": "200"}


class Up:
    """A running `tickrouter up`."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.output = data.parent / "output.txt"
        command = [sys.executable, "-m", "tickrouter", "up", "--plain", "--data", str(data), *options]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def pid(self, name: str) -> int | None:
        entry = StackState.load(self.data / "state" / "stack.json").processes.get(name)
        return entry["pid"] if entry else None

    def pids(self) -> list[int]:
        return [pid for name in PROGRAMS if (pid := self.pid(name)) is not None]

    def ticks(self) -> int:
        """Ticks in Redis by the newest line."""
        lines = [line for line in self.said.splitlines() if " ticks/s  redis " in line and "redis ?" not in line]
        return int(lines[-1].partition("redis ")[2].split()[0]) if lines else 0

    def until_it_flows(self, more_than: int = 0) -> None:
        until(lambda: self.ticks() > more_than or self.process.poll() is not None, timeout=45)
        assert self.process.poll() is None, self.said

    def kill(self, name: str) -> int:
        """Kill -9; the process id that the program has afterwards."""
        before = self.pid(name)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        return until(lambda: pid if (pid := self.pid(name)) not in (None, before) else None, timeout=15)

    def end(self, number: signal.Signals = signal.SIGINT) -> float:
        """Ask it to end; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def tickrouter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command in another terminal, with this run's configuration."""
        command = [sys.executable, "-m", "tickrouter", *arguments]
        named = environment() | {"TICKROUTER_CONFIG": str(self.data / "run" / "tickrouter.yaml")}
        return subprocess.run(command, cwd=ROOT, env=named, capture_output=True, text=True, check=False)
