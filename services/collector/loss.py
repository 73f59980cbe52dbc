"""What was given up: intervals, by contract and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tickrouter.core.entry_ids import EntryId
from tickrouter.model.coverage import Claim

from .item import LEDGER, Item


@dataclass(frozen=True, slots=True)
class Loss:
    """Records of one contract and kind.

    Attributes:
        count: how many.
        since: time of the earliest, ns since 1970 UTC.
        until: time of the latest.
        first: lowest entry id, or None where none has one.
        last: highest entry id.
    """

    contract: str
    kind: str
    count: int
    since: int
    until: int
    first: EntryId | None = None
    last: EntryId | None = None


def losses_of(items: Iterable[Item]) -> tuple[Loss, ...]:
    """Items as intervals; what the ledger is told is none."""
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        if item.kind not in LEDGER:
            found.setdefault((item.contract, item.kind), []).append(item)
    losses = []
    for (contract, kind), own in found.items():
        times = [item.record.time for item in own if not isinstance(item.record, Claim)]
        ids = [item.id for item in own if item.id is not None]
        losses.append(
            Loss(contract, kind, len(own), min(times), max(times), min(ids, default=None), max(ids, default=None))
        )
    return tuple(losses)
