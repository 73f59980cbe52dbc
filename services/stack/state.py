"""What a stack remembers between runs, in `<data>/state/stack.json`: its ports and its processes."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from tickrouter.errors import TickrouterError

from .processes import identity, stop_if_ours
from .servers import free_port

LEFTOVER_GRACE = 6.0
"""Longer than the keeper's own, which is at work on them at the same time."""


class AlreadyRunning(TickrouterError):
    """Another stack works in this data folder."""


@dataclass(slots=True)
class FolderLock:
    """One stack a data folder. The kernel gives the lock back when the process ends, however it ends."""

    file: Path
    _handle: IO[str] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process has it; the text names the process.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        handle = self.file.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "?"
            handle.close()
            raise AlreadyRunning(
                f"a stack runs in {self.file.parent.parent} already (process {holder}); "
                "stop it there, or name another folder with --data"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._handle = handle

    def release(self) -> None:
        """Give it back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def is_held(self) -> bool:
        """True if a stack works here now."""
        try:
            with self.file.open("r+") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False


@dataclass(slots=True)
class StackState:
    """Ports by server and processes by name, written whenever one changes."""

    file: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read it; a missing or broken file is a first run."""
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
            ports = {str(name): int(port) for name, port in known["ports"].items()}
            processes = {str(name): dict(entry) for name, entry in known["processes"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(file)
        return cls(file, ports, processes)

    def port(self, name: str) -> int:
        """The port of the last run if it is free, else a new one; remembered."""
        port = self.ports.get(name)
        if port is None or not is_free(port):
            port = free_port()
            while port in self.ports.values():
                port = free_port()
            self.ports[name] = port
            self.save()
        return port

    def started(self, name: str, pid: int) -> None:
        """Remember a process."""
        self.processes[name] = {"pid": pid, "identity": identity(pid)}
        self.save()

    def ended(self, name: str) -> None:
        """Forget a process."""
        if self.processes.pop(name, None) is not None:
            self.save()

    def stop_leftovers(self) -> list[str]:
        """Stop what an earlier run left behind, after making sure that it is ours; the names of what was stopped."""
        stopped = []
        for name, entry in list(self.processes.items()):
            pid, known_as = entry.get("pid"), entry.get("identity")
            if isinstance(pid, int) and isinstance(known_as, str) and stop_if_ours(pid, known_as, grace=LEFTOVER_GRACE):
                stopped.append(name)
            del self.processes[name]
        self.save()
        return stopped

    def save(self) -> None:
        """Write it whole, or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"ports": self.ports, "processes": self.processes}, indent=1), encoding="utf-8")
        fresh.replace(self.file)


def is_free(port: int) -> bool:
    """True if nobody listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
