"""Every market frame that was sent, by when and with which number: what a recorder is judged by."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

_NUMBERS: Final = {422: "I", 431: "CS", 432: "CS"}
"""Kinds with a number of their own: a trade's id, a difference's, that of the next difference."""


class FrameRecord:
    """Appends a JSON line a frame: time (ns since 1970 UTC), channel, event, kind, number, levels of channel obdiff."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1, encoding="utf-8")

    def note(self, channel: str, event: str, kind: int, frame: str) -> None:
        """A frame leaves."""
        name = "" if channel == "orderbook" else _NUMBERS.get(kind, "")
        said = json.loads(frame)[1] if name else {}
        levels = [said["BO"], said["AO"]] if channel == "obdiff" else []
        self._file.write(json.dumps([time.time_ns(), channel, event, kind, str(said.get(name, "")), levels]) + "\n")
