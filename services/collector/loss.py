"""What was given up: intervals, by contract and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tickrouter.core.entry_ids import EntryId, session_of
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

    @property
    def ids(self) -> tuple[EntryId, EntryId, int] | None:
        """First and last entry id and how many; None for records without one."""
        return None if self.first is None or self.last is None else (self.first, self.last, self.count)


def claim_of(loss: Loss, sink: str, now: int) -> Claim | None:
    """What the ledger is told of records that a sink gave up when its process ended; None for those without an id."""
    if loss.first is None or loss.last is None:
        return None
    cause = f"{sink}: {loss.count} {loss.kind} records given up at the end of the process"
    name = f"{sink}-{loss.first[1]:019d}"
    return Claim(
        now,
        loss.contract,
        loss.kind,
        session_of(loss.first),
        name,
        "missing",
        loss.since,
        loss.until + 1,
        cause,
        loss.first,
        loss.last,
        loss.count,
        note="" if sink == "mongo" else "redis",
    )


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
