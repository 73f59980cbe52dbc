"""Broken recorders, and a broken archiver: each does one thing wrong that the recorder protocol forbids, and must be
caught by the proof.

A twin is made in the forked child, by replacing a function of the real process; the product knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any


def acknowledge_before_storing() -> None:
    """A batch counts as stored when it is handed over; it is written when the next one comes."""
    from tickrouter.history.sink import MarketWriter, Written

    real = MarketWriter.write
    held: list[Any] = []

    def write(self: Any, rows: Any) -> Any:
        late, held[:] = list(held), list(rows)
        if late:
            real(self, late)
        return Written(len(rows))

    MarketWriter.write = write


def close_at_the_newest_id() -> None:
    """After a kill the open interval is closed at the newest id there is, the new session's first, not at `through`."""
    from tickrouter.history import coverage
    from tickrouter.model.coverage import Claim

    def opened(opening: Any, kind: str, end: int, was_open: bool) -> list[Claim]:
        head = (opening.time, opening.contract, kind, opening.session, "closed", "live", end, opening.time)
        return [Claim(*head, "closed at the newest id")] if end < opening.time else []

    coverage.opened = opened


def equal_or_smaller_is_success() -> None:
    """An entry that its stream refuses as too old counts as stored there."""
    from services.collector import redis_sink
    from tickrouter.bus.publish import Published

    real = redis_sink.publish_together

    def publish_together(batches: Any, **named: Any) -> Any:
        answers = []
        for batch, answer in zip(batches, real(batches, **named), strict=True):
            done = answer
            while isinstance(done, Published) and done.conflict is not None:
                passed = done.stored + 1
                more = batch.publisher.publish(batch.entries()[passed:], batch.through)
                done = replace(more, stored=passed + more.stored)
            answers.append(done)
        return answers

    redis_sink.publish_together = publish_together


def store_without_journal() -> None:
    """Documents count as stored when mongod has them in memory."""
    from pymongo import WriteConcern

    from tickrouter.history import connection

    connection.DURABLE = WriteConcern(w=1, j=False)


def delete_by_range() -> None:
    """The archiver removes whatever lies between the first and the last record that it packed."""
    from tests.packing import remove_range
    from tickrouter.history import archive

    archive.remove_packed = remove_range


TWINS: Mapping[str, Callable[[], None]] = {
    "acknowledge before storing": acknowledge_before_storing,
    "close at the newest id": close_at_the_newest_id,
    "equal or smaller is success": equal_or_smaller_is_success,
    "store without journal": store_without_journal,
    "delete by range": delete_by_range,
}
