"""Every market frame that was sent, by when and with which number: what a recorder is judged by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_NUMBERED: Final = frozenset({("trade", 422), ("obdiff", 431), ("obdiff", 432)})
"""Frames with a number of their own: a trade's id, a difference's, that of the next difference."""


class FrameRecord:
    """Appends a JSON line a frame: time (ns since 1970 UTC), channel, event, kind, and the frame; null for it where it
    has no number."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1, encoding="utf-8")

    def note(self, channel: str, event: str, kind: int, frame: str) -> None:
        """A frame leaves. It is written as it is: thousands a second leave a venue under full load."""
        said = frame if (channel, kind) in _NUMBERED else "null"
        self._file.write(f'[{time.time_ns()},"{channel}","{event}",{kind},{said}]\n')
