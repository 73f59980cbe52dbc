"""Which folder a process spills into: one that no living process holds, with all that dead ones left."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

SLOTS = 16
"""Collectors that may share a data folder."""


class SpillFolder:
    """A slot below `<data>/state/spill`, held until the process ends; the kernel gives it back, however that is."""

    def __init__(self, base: Path) -> None:
        """Take the first free slot, and into it what stands in other free ones.

        Raises:
            OSError: no folder can be made, or every slot is held.
        """
        held: Path | None = None
        for number in range(SLOTS):
            slot = base / str(number)
            if held is not None and not slot.exists():
                continue
            slot.mkdir(parents=True, exist_ok=True)
            lock = os.open(slot / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            if held is None:
                held, self._lock = slot, lock
            else:
                _adopt(slot, held)
                os.close(lock)
        if held is None:
            raise OSError(f"{base}: {SLOTS} collectors spill there already")
        self.path = held

    def release(self) -> None:
        """Let others have it."""
        os.close(self._lock)


def _adopt(source: Path, target: Path) -> None:
    """Move segments behind those that are there, in their order."""
    for sink in sorted(entry for entry in source.iterdir() if entry.is_dir()):
        (target / sink.name).mkdir(exist_ok=True)
        last = max((int(file.stem) for file in (target / sink.name).glob("*.seg")), default=0)
        for file in sorted(sink.glob("*.seg")):
            last += 1
            done = file.with_suffix(".done")
            if done.exists():
                done.replace(target / sink.name / f"{last:08d}.done")
            file.replace(target / sink.name / f"{last:08d}.seg")
