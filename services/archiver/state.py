"""What the archiver tells the live view: `<data>/state/archiver.json`, written anew each second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Progress:
    """How far one account's copying is.

    Attributes:
        events: copied since the start of the process.
        fills: copied since the start of the process.
        orders: written since the start of the process.
        conflicts: events that could not be stored as what they are; see the collection `conflicts`.
        trimmed: entries removed from Redis since the start of the process.
        lag: events that wait in Redis, or None where it cannot tell.
        through: `<epoch>-<seq>` of the last copied event.
        error: why nothing is copied at the moment, or None.
    """

    events: int = 0
    fills: int = 0
    orders: int = 0
    conflicts: int = 0
    trimmed: int = 0
    lag: int | None = 0
    through: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Packing:
    """How far packing is; counts since the start of the process.

    Attributes:
        chunks: made.
        rows: in them.
        removed: documents removed because their records are archived.
        refused: documents that stay, for what they say is not what their kind can hold.
        bars: written.
        expired: records removed because they are kept no longer.
        error: why nothing is packed at the moment, or None.
    """

    chunks: int = 0
    rows: int = 0
    removed: int = 0
    refused: int = 0
    bars: int = 0
    expired: int = 0
    error: str | None = None


def write_state(file: Path, state: dict[str, Any]) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(file)
