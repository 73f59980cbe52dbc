"""At a take-over: the streams are given back what MongoDB alone has of the sessions before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tickrouter import logs
from tickrouter.bus.codec import pack_record
from tickrouter.bus.publish import Entry, Publisher
from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import StorageError
from tickrouter.history.sink import Stored

from .item import Item
from .sink_queue import SinkQueue

BATCH = 500
"""Entries of one write."""
MOST = 50_000
"""Records of a kind that are given back at most."""
Surplus = Callable[[str, str, EntryId, int, int], Sequence[Stored]]
"""Contract, kind, entry id, session and a number to so many records that MongoDB has behind the entry, of sessions
below that one, in order."""
Span = tuple[EntryId, EntryId]
"""First and last entry id."""

_NEVER: EntryId = (2**64, 0)
"""Behind every entry."""

_log = logs.get("redis")


class GiveBack:
    """Knows what an earlier process left in the spill, and what goes before and behind it."""

    def __init__(
        self, queue: SinkQueue, spilled: Mapping[tuple[str, str], Span] | None = None, surplus: Surplus | None = None
    ) -> None:
        """Set up; nothing is sent.

        Args:
            queue: before the sink to Redis; the spill comes first in it.
            spilled: what the spill holds, by contract and kind.
            surplus: what MongoDB has of a stream behind an entry; without it nothing is given back.
        """
        self._queue = queue
        self._spilled = dict(spilled or {})
        self._surplus = surplus

    def with_spilled(self, contract: str, last: Mapping[str, EntryId]) -> dict[str, EntryId]:
        """The last ids of a contract's streams, by kind, once what the spill holds is written."""
        own = {kind: end for (name, kind), (_, end) in self._spilled.items() if name == contract}
        return {kind: max(last.get(kind, (0, 0)), own.get(kind, (0, 0))) for kind in {*last, *own}}

    def write(self, publisher: Publisher, kind: str, end: EntryId, below: int, *, is_new: bool) -> EntryId:
        """Write what belongs before the spill, and put behind it what belongs there.

        Args:
            publisher: of the contract.
            kind: of the stream.
            end: what Redis has.
            below: the first session that is not one of those before.
            is_new: nothing of this process waits for Redis yet: what belongs behind the spill has its place.

        Returns:
            How far the stream comes by that.

        Raises:
            StorageError: Redis did not answer; may be repeated.
        """
        contract = publisher.contract
        first, reached = self._spilled.get((contract, kind), (_NEVER, end))
        try:
            rows = self._surplus(contract, kind, end, below, MOST + 1) if self._surplus is not None else ()
        except StorageError as error:
            _log.warning("Redis is not given back what MongoDB has", contract=contract, kind=kind, error=str(error))
            return reached
        if not rows or len(rows) > MOST:
            _log.debug("nothing, or too much, to be given back", contract=contract, kind=kind, records=len(rows))
            return reached
        before = [Entry(kind, entry_id, pack_record(record)) for entry_id, record in rows if entry_id < first]
        for start in range(0, len(before), BATCH):
            part = before[start : start + BATCH]
            done = publisher.publish(part)
            if done.conflict is not None:
                _log.error("entry refused by its stream", error=str(done.conflict))
                break
            reached = max(reached, part[-1].id)
        behind = [Item(contract, kind, *row) for row in rows if row[0] > reached] if is_new and first < _NEVER else []
        self._queue.put(behind)
        if before or behind:
            _log.info("given back to Redis", contract=contract, kind=kind, entries=len(before) + len(behind))
        return max([reached, *(row[0] for row in rows[-1:] if behind)])
