"""What history has of a contract, and what it lacks: claims as they are written down, intervals as they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tickrouter.model.record import Record

State = Literal["live", "backfilled", "missing", "unknown"]
"""`live`: recorded as it came. `backfilled`: read after the fact, complete by the venue's ids. `missing`: known to lack
something. `unknown`: nobody can say whether something is lacking."""
Note = Literal["", "redis", "double"]
"""`redis`: of the stream alone, MongoDB has it. `double`: a trade that stands under its earlier entry id."""

EntryId = tuple[int, int]
"""(ms, n)."""


class Claim(Record, frozen=True, array_like=True, gc=False, tag=1):
    """One statement about an interval, a document of the collection `coverage`.

    Where two claims overlap, the one of the later session holds, within a session the one told later.

    Attributes:
        told: when the claim was first made, ns since 1970 UTC.
        contract: canonical name.
        kind: `tick`, `trade` or `book`.
        session: of the collector that claims.
        name: unique for contract and kind; the same claim told again has the same name.
        state: see `State`.
        start: first moment it speaks of, ns.
        end: first moment that it does not speak of any more, ns; only ever grows while the claim is open.
        cause: why, for people.
        first: entry id of the first record within it, or None.
        last: entry id of the last one, or None.
        count: records from first to last that MongoDB has to hold; with state `missing`, that it need not hold.
        is_open: True while its collector extends it.
        note: see `Note`; only claims without one speak of what history has.
    """

    told: int
    contract: str
    kind: str
    session: int
    name: str
    state: State
    start: int
    end: int
    cause: str
    first: EntryId | None = None
    last: EntryId | None = None
    count: int = 0
    is_open: bool = False
    note: Note = ""


class Opening(Record, frozen=True, array_like=True, gc=False, tag=1):
    """A session begins: what lies between the last word of the sessions before and `time` is to be claimed.

    Attributes:
        time: when the session's own claims begin, ns since 1970 UTC.
        contract: canonical name.
        session: the new one.
        kinds: what is recorded.
        alive: last sign of life of the collector before, ns; 0 if none is known.
    """

    time: int
    contract: str
    session: int
    kinds: tuple[str, ...]
    alive: int = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """What holds from `start` to `end` (ns since 1970 UTC, the end left out)."""

    start: int
    end: int
    state: State
    cause: str

    @property
    def is_hole(self) -> bool:
        """True if records may be lacking."""
        return self.state in ("missing", "unknown")
