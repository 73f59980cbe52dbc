"""Packing in processes that may be killed at any moment: forked from one that has imported everything.

As a program (`python -m tests.packing`) it reads a line of JSON for each process to make, answers with its process id,
and, when it ended, with its exit status.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.simulation import ROOT
from tickrouter.history import archive as archive_module
from tickrouter.history.archive import Archive
from tickrouter.history.columns import Columns
from tickrouter.history.connection import connect, database

BEFORE = 2_000_000_000_000_000_000


def pack_all(url: str, name: str, contract: str, rows: int) -> int:
    """Settle what was left, then pack everything; returns how many chunks were made."""
    with connect(url) as client:
        archive = Archive(database(client, name), "trade", contract, rows)
        archive.settle()
        made = 0
        while (done := archive.pack(BEFORE, BEFORE)).removed:
            made += done.chunks
        for _ in range(2):  # what is replaced is noted, then thrown away
            archive.settle()
        return made


def remove_range(documents: Any, columns: Columns) -> int:
    """The broken twin: removes whatever lies between the first and the last record packed."""
    times = columns["time"].values
    bounds = {"$gte": int(times[0]), "$lte": int(times[-1])}
    return int(documents.delete_many({"contract": columns.contract, "time": bounds}).deleted_count)


@dataclass
class Nursery:
    """Makes packers."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls) -> Nursery:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-m", "tests.packing"]
        pipe = subprocess.PIPE
        return cls(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment))

    def pack(self, url: str, name: str, contract: str, rows: int, *, twin: bool = False) -> int:
        """Start one; returns its process id."""
        self._tell([url, name, contract, rows, twin])
        return int(self._line())

    def status(self) -> int:
        """Wait for the one that was started to end; negative if a signal ended it."""
        return int(self._line())

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def _tell(self, order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def _serve() -> None:
    # pyarrow imports it when the first chunk is read: once here, not in every child.
    import_module("pandas")
    for line in sys.stdin:
        url, name, contract, rows, twin = json.loads(line)
        child = os.fork()
        if child == 0:
            if twin:
                archive_module.remove_packed = remove_range
            pack_all(url, name, contract, rows)
            os._exit(0)
        _tell(child)
        _tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
