"""After a takeover: MongoDB is given what Redis alone has of the sessions before, and the ledger's last words with it.

Until that is done `through` stays where it is, so that whoever takes over next goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tickrouter import logs
from tickrouter.bus.codec import unpack_record
from tickrouter.bus.publish import Entry
from tickrouter.core.entry_ids import SESSION_BITS, EntryId, session_of
from tickrouter.history.sink import Row
from tickrouter.model.coverage import Claim, Opening

from .item import FEED, KINDS
from .takeover import Takeover

PAGE = 5000
"""Entries that are read at once."""
SOME = 100

Read = Callable[[str, str, EntryId, int], Sequence[Entry]]
"""Contract, kind, entry id and a number to so many entries behind it, in order."""
Write = Callable[[Sequence[Row]], None]

_log = logs.get("repair")


@dataclass(slots=True)
class _Run:
    """What MongoDB has without a hole, of one session: first <= id <= last."""

    first: EntryId
    last: EntryId


class Repair:
    """Of one contract, when a session begins; may be gone on with where it was broken off."""

    def __init__(self, opening: Opening, takeover: Takeover, stored: Mapping[str, EntryId]) -> None:
        """Args: stored: how far MongoDB has each kind, by its `through`, which tells of all sessions before."""
        self._contract = opening.contract
        self._session = opening.session
        self._takeover = takeover
        self._runs = {kind: _Run((0, session_of(last) << SESSION_BITS), last) for kind, last in stored.items()}

    def hand_on(self, read: Read, write: Write, is_over: Callable[[], bool]) -> bool:
        """Write what Redis alone has; True once that is all, False where more is to come or there is no time.

        Args:
            read: reads a stream.
            write: writes to MongoDB, all or nothing.
            is_over: True when there is no more time.

        Raises:
            StorageError: as `read` and `write` do; to be tried again.
        """
        # What waited for Redis from before comes first in its queue: behind an entry of ours there is none of it.
        begun = read(self._contract, FEED, self._takeover.ends.get(FEED, (0, 0)), SOME)
        is_past = any(session_of(entry.id) >= self._session for entry in begun)
        is_done = True
        for kind, end in self._takeover.ends.items():
            if kind in KINDS:
                self._hand_on(kind, end, read, write, is_over)
                is_done &= is_past or (kind in self._runs and self._runs[kind].last >= end)
        return is_done and not is_over()

    def borne_out(self) -> list[Claim]:
        """The ledger's last words whose records MongoDB has by now."""
        return [claim for claim in self._takeover.claims.values() if claim.session < self._session and self._has(claim)]

    def ends(self) -> dict[str, EntryId]:
        """How far MongoDB has each kind of the sessions before."""
        return {kind: run.last for kind, run in self._runs.items()}

    def _has(self, claim: Claim) -> bool:
        if claim.first is None or claim.last is None:
            return True
        run = self._runs.get(claim.kind)
        return run is not None and run.first[1] <= claim.first[1] and claim.last[1] <= run.last[1]

    def _hand_on(self, kind: str, end: EntryId, read: Read, write: Write, is_over: Callable[[], bool]) -> None:
        run = self._runs.get(kind)
        # Where MongoDB knows nothing, the stream may be another database's: only its last session is ours.
        after, lowest = (run.last, session_of(run.last)) if run is not None else ((0, 0), session_of(end))
        while after < end and not is_over():
            page = read(self._contract, kind, after, PAGE)
            own = [entry for entry in page if lowest <= session_of(entry.id) < self._session]
            write([Row(kind, entry.id, unpack_record(KINDS[kind], entry.data)) for entry in own])
            for entry in own:
                self._note(kind, entry.id)
            if own:
                _log.info("handed on what Redis alone had", contract=self._contract, kind=kind, entries=len(own))
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _note(self, kind: str, entry_id: EntryId) -> None:
        run = self._runs.get(kind)
        if run is None or entry_id[1] != run.last[1] + 1:
            self._runs[kind] = _Run(entry_id, entry_id)
        else:
            run.last = entry_id
