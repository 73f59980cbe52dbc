"""The coverage ledger: what a collector claims as time goes on, and what the claims say together.

Times are ns since 1970 UTC and are given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tickrouter.core.entry_ids import EntryId
from tickrouter.model.coverage import Claim, Interval, Opening, State

ROTATE_NS = 3600 * 1_000_000_000
"""A claim speaks of an hour at most, so that a day is counted by its own claims."""
NEVER = "nothing was recorded"
NOT_YET = "not written down yet"
NOT_MADE = "bars are not made yet"
UNWATCHED = "the collector was not running"
DIED = "the collector ended without a last word"
CORRECTED = "the venue's whole book said something else"
SIDES_TURNED = "the card had the sides of trades the other way round"
KEY_TAKEN = "refused: its key holds something else"
DOUBTED = frozenset((SIDES_TURNED, KEY_TAKEN))
"""Causes of holes in which records stand and may be wrong: that every id is there proves nothing of them."""


@dataclass(slots=True)
class _Standing:
    state: State
    cause: str
    start: int
    told: int
    first: EntryId | None = None
    last: EntryId | None = None
    count: int = 0


class Ledger:
    """What one collector claims of one contract: for each kind one open claim at any time of a session."""

    def __init__(self, contract: str, kinds: Iterable[str]) -> None:
        """Nothing is claimed before `begin`."""
        self._contract = contract
        self._kinds = tuple(kinds)
        self._session: int | None = None
        self._told = 0
        self._states: dict[str, tuple[State, str]] = dict.fromkeys(self._kinds, ("missing", "not connected yet"))
        self._open: dict[str, _Standing] = {}

    def begin(self, session: int, now: int) -> list[Claim]:
        """A session begins: every kind goes on as it stands."""
        claims = self.stop(now)
        self._session = session
        for kind, (state, cause) in self._states.items():
            claims.append(self._start(kind, state, cause, now, now))
        return claims

    def stop(self, now: int) -> list[Claim]:
        """The session is over: the last word of every kind."""
        claims = [self._claim(kind, now, is_open=False) for kind in self._open]
        self._open.clear()
        self._session = None
        return claims

    def turn(self, kind: str, state: State, cause: str, now: int, since: int | None = None) -> list[Claim]:
        """A kind is in another state from `since` on, which may lie in the past; nothing if it is in it already."""
        if kind not in self._kinds:
            return []
        before, self._states[kind] = self._states[kind], (state, cause)
        if self._session is None or before == (state, cause):
            return []
        return [self._claim(kind, now, is_open=False), self._start(kind, state, cause, since or now, now)]

    def stored(self, kind: str, first: EntryId, last: EntryId, count: int) -> None:
        """Records are on their way to the sinks, with these ids and those between."""
        if (standing := self._open.get(kind)) is not None:
            if standing.first is None:
                standing.first = first
            standing.last = last
            standing.count += count

    def point(
        self,
        kind: str,
        state: State,
        cause: str,
        interval: tuple[int, int],
        now: int,
        *,
        lost: tuple[EntryId, EntryId, int] | None = None,
    ) -> list[Claim]:
        """Claim a closed interval apart from what stands open.

        Args:
            kind: record kind.
            state: what holds there.
            cause: why.
            interval: start and end.
            now: when it is claimed.
            lost: first and last entry id and number of records that are lacking.
        """
        if kind not in self._kinds or self._session is None:
            return []
        first, last, count = lost or (None, None, 0)
        told = self._tell(now)
        name = _name(self._session, told)
        return [Claim(told, self._contract, kind, self._session, name, state, *interval, cause, first, last, count)]

    def renew(self, now: int) -> list[Claim]:
        """All open claims up to now; long ones are closed and gone on with."""
        claims: list[Claim] = []
        for kind, standing in list(self._open.items()):
            if now - standing.start < ROTATE_NS:
                claims.append(self._claim(kind, now, is_open=True))
            else:
                claims.append(self._claim(kind, now, is_open=False))
                claims.append(self._start(kind, standing.state, standing.cause, now, now))
        return claims

    def state(self, kind: str) -> State:
        """How a kind stands."""
        return self._states[kind][0]

    def _start(self, kind: str, state: State, cause: str, start: int, now: int) -> Claim:
        self._open[kind] = _Standing(state, cause, start, self._tell(now))
        return self._claim(kind, now, is_open=True)

    def _claim(self, kind: str, now: int, *, is_open: bool) -> Claim:
        one = self._open[kind]
        session = self._session or 0
        end = max(now, one.start)
        return Claim(
            one.told,
            self._contract,
            kind,
            session,
            _name(session, one.told),
            one.state,
            one.start,
            end,
            one.cause,
            one.first,
            one.last,
            one.count,
            is_open,
        )

    def _tell(self, now: int) -> int:
        """Later than anything told before, though the clock may stand still or go back."""
        self._told = max(now, self._told + 1)
        return self._told


def opened(opening: Opening, kind: str, end: int, was_open: bool) -> list[Claim]:
    """What is claimed between the sessions before and a new one.

    Args:
        opening: the new session's.
        kind: record kind.
        end: where the claims of the sessions before end.
        was_open: True if their last claim had not been closed: the collector died.
    """
    head = (opening.contract, kind, opening.session)
    claims = []
    alive = min(max(opening.alive, end), opening.time) if was_open else end
    if end < alive:
        name = f"{opening.session:07d}-unknown"
        claims.append(Claim(opening.time, *head, name, "unknown", end, alive, DIED))
    if alive < opening.time:
        name = f"{opening.session:07d}-away"
        claims.append(Claim(opening.time, *head, name, "missing", alive, opening.time, UNWATCHED))
    return claims


def paint(claims: Iterable[Claim], start: int, end: int) -> list[Interval]:
    """What the claims say together of start <= time < end, without a gap; neighbours that say the same are one.

    What nobody claims is missing before the last claim's end and unknown after it.
    """
    spoken = sorted((claim for claim in claims if not claim.note), key=lambda claim: (claim.session, claim.told))
    written = max((claim.end for claim in spoken), default=start)
    painted: list[Interval] = []
    if start < min(end, written):
        painted.append(Interval(start, min(end, written), "missing", NEVER))
    if max(start, written) < end:
        painted.append(
            Interval(max(start, written), end, "unknown" if spoken else "missing", NOT_YET if spoken else NEVER)
        )
    for claim in spoken:
        first, last = max(claim.start, start), min(claim.end, end)
        if first < last:
            painted = _over(painted, Interval(first, last, claim.state, claim.cause))
    return _joined(painted)


def holes(intervals: Iterable[Interval]) -> list[Interval]:
    """Those that are missing or unknown."""
    return [interval for interval in intervals if interval.is_hole]


def _over(below: Sequence[Interval], top: Interval) -> list[Interval]:
    found: list[Interval] = []
    is_placed = False
    for one in below:
        if one.start < top.start:
            found.append(Interval(one.start, min(one.end, top.start), one.state, one.cause))
        if not is_placed and one.end > top.start:
            found.append(top)
            is_placed = True
        if one.end > top.end:
            found.append(Interval(max(one.start, top.end), one.end, one.state, one.cause))
    return found


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for one in intervals:
        last = found[-1] if found else None
        if last is not None and (last.state, last.cause, last.end) == (one.state, one.cause, one.start):
            found[-1] = Interval(last.start, one.end, last.state, last.cause)
        else:
            found.append(one)
    return found


def _name(session: int, told: int) -> str:
    return f"{session:07d}-{told:019d}"
