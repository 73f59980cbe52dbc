"""Facts about processes, so that only our own are ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START_TICKS = 0, 19
"""Fields of /proc/<pid>/stat, counted behind the command's name (proc(5): fields 3 and 22)."""


def identity(pid: int) -> str | None:
    """What tells a process from a later one with the same id: when it began. None if it is gone.

    A process that ended and was not yet waited for counts as gone.
    """
    if _PROC.joinpath("self").exists():
        try:
            fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
            boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return None if fields[_STATE] in "ZX" else f"{boot}:{fields[_START_TICKS]}"
    done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = done.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def stop_if_ours(pid: int, known_as: str, *, grace: float) -> bool:
    """Stop a process left over from an earlier run, kindly first, if it is still the same process.

    Args:
        pid: its id.
        known_as: its `identity` when we started it.
        grace: seconds between SIGTERM and SIGKILL.

    Returns:
        True if it was there and is gone now.
    """
    if identity(pid) != known_as:
        return False
    for name, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, name)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if identity(pid) != known_as:
                return True
            time.sleep(0.02)
    return identity(pid) != known_as
