"""What was refused, kept where a person can see it: one JSON line each, with reason and bytes, bounded."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

from tickrouter import logs
from tickrouter.core.market import Refused

KEPT_BYTES = 4096
"""Of each refused frame or item; a digest tells of the whole."""
FILE_BYTES = 4_000_000
"""The file is put aside as `.old` when it passes this."""

_log = logs.get("refused")


class Refusals:
    """The file `<data>/state/refused.jsonl`, written by one reader thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.counts: Counter[str] = Counter()

    def keep(self, refused: Refused, now: int) -> None:
        """Count it and write it down; a disk that takes nothing is said, and recording goes on."""
        self.counts[refused.kind] += 1
        line = {
            "time": now,
            "kind": refused.kind,
            "contract": refused.contract,
            "reason": refused.text,
            "bytes": len(refused.data),
            "sha256": hashlib.sha256(refused.data).hexdigest(),
            "data": refused.data[:KEPT_BYTES].decode("utf-8", "backslashreplace"),
        }
        if self.counts[refused.kind].bit_count() == 1:
            _log.warning(
                "refused", kind=refused.kind, contract=refused.contract, reason=refused.text, so_far=dict(self.counts)
            )
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.exists() and self._file.stat().st_size > FILE_BYTES:
                self._file.replace(self._file.with_suffix(".old"))
            with self._file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
        except OSError as error:
            _log.error("refused record not kept", file=str(self._file), error=str(error))
