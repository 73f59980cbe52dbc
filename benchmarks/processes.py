"""A measured process: started, asked for the CPU seconds it used, ended."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0
END_TIMEOUT = 10.0


class Process:
    """Speaks by lines: `ready` first, then a number of CPU seconds for every line."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in ("REDIS_URL", "MONGO_URL")}
        environment["PYTHONPATH"] = f"{ROOT / 'shared'}{os.pathsep}{ROOT}"
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                bufsize=1,
                cwd=ROOT,
                env=environment,
            )

    def ready(self) -> None:
        """Wait for its first line.

        Raises:
            RuntimeError: it ended, or said something else; the text holds the end of its log.
        """
        line = self.line()
        if line != "ready":
            raise RuntimeError(f"{self._process.args} said {line!r}:\n{self._tail()}")

    def cpu(self) -> float:
        """CPU seconds of user and system that it used so far."""
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write("cpu\n")
        return self.number()

    def number(self) -> float:
        """The number on its next line."""
        return float(self.line())

    def end(self) -> None:
        """End its input, and it if need be."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def line(self) -> str:
        """Its next line.

        Raises:
            RuntimeError: none comes.
        """
        out = self._process.stdout
        if out is None or not select.select([out], [], [], START_TIMEOUT)[0]:
            raise RuntimeError(f"{self._process.args} is silent:\n{self._tail()}")
        return out.readline().strip()

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


@contextmanager
def process(command: Sequence[str], log: Path) -> Iterator[Process]:
    """A measured process, ended with the block."""
    started = Process(command, log)
    try:
        yield started
    finally:
        started.end()
