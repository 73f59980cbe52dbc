"""Keeping a book from a snapshot and numbered differences (BTCTurk reference, section 4.5).

A snapshot's number is that of the *next* difference. A difference has to carry the number expected, else the book is
invalid until a new start. Differences before the start are kept back; those below the snapshot's number are dropped.

The periodic `orderbook` channel (#420) checks the book, and may replace it only where its number proves that both speak
of the same moment: the number expected next. A number below is an older state and ignored. A number above is kept
until the differences reach it; if a second one comes first, differences were lost. A snapshot as long as `cut` levels a
side is taken to end there: what lies deeper is unknown, and no difference out there is taken.

A start may come with its best levels alone read (`Unread`). The rest is read when it is needed, a difference or a check
by time at the latest; a book whose rest cannot be read is invalid from then on.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from tickrouter.core.market import BookDiff, BookSnapshot, Change, Unread
from tickrouter.errors import InvalidValue
from tickrouter.model.record import Level

CROSSED_NS = 1_000_000_000
"""A crossed book is held back at once, and invalid when it stays so for this long (section 4.5, step 4)."""
SNAPSHOT_NS = 10_000_000_000
"""A start is asked for again when none came for this long."""
FIRST_WAIT_NS = 1_000_000_000
LAST_WAIT_NS = 60_000_000_000
HEALTHY_NS = 10_000_000_000
"""A start is asked for at once, and again after 1, 2, 4 … 60 s; a book good for 10 s begins anew with that."""
KEPT_NS = 5_000_000_000
"""When a start is asked for, differences older than this are forgotten: it will be ahead of them."""
STALE_NUMBERS = 1000
"""How far below a snapshot's number its first differences may be; further is a counter that began anew."""
KEPT_BACK = 5000
"""Most differences kept back while waiting for a start; the oldest go first, and the start shows the hole."""


class BookOutcome(msgspec.Struct, frozen=True, gc=False):
    """What one fact, or time passing, did to the book.

    Attributes:
        changed: the book is good, and its levels are not what they were when it last was good.
        good: it may be published.
        invalidated: why it went invalid just now, or None.
        resync: a new start is to be asked for now.
        corrected: the periodic snapshot differed from the book and replaced it.
        since: where it was invalidated or corrected, the last moment (ns) at which it was known to be right, or None.
    """

    changed: bool = False
    good: bool = False
    invalidated: str | None = None
    resync: bool = False
    corrected: bool = False
    since: int | None = None


_GOOD = BookOutcome(changed=True, good=True)
"""What nearly every difference does."""


class Side:
    """One side of a book, best first. `sign` is -1 for bids, so that the best has the lowest key."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[float] = []
        self._levels: dict[float, Level] = {}
        self._horizon: float | None = None
        self._unread: Unread | None = None
        self._cut = 0

    def replace(self, levels: tuple[Level, ...] | Unread, cut: int) -> None:
        """Take a snapshot's side; at `cut` levels or more its end is the horizon."""
        if isinstance(levels, Unread):
            self._unread, self._cut = levels, cut
            return
        self._unread = None
        self._levels = {level[0] * self._sign: level for level in levels if level[1] > 0}
        self._keys = sorted(self._levels)
        self._horizon = self._keys[-1] if len(levels) >= cut else None

    def read_all(self) -> int:
        """Read what was left unread; its flags.

        Raises:
            InvalidValue: it cannot be read, or the best levels are not those that stood first.
        """
        unread, self._unread = self._unread, None
        if unread is None:
            return 0
        self._levels, self._keys = {}, []
        levels, flags = unread.rest()
        self.replace(levels, self._cut)
        if self.top(len(unread.head)) != unread.head:
            raise InvalidValue("levels", "the best ones do not stand first")
        return flags

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Set levels, or delete those of size 0; all are read. Deleting an unknown level does nothing (#206)."""
        known, keys, sign = self._levels, self._keys, self._sign
        for level in changes:
            key = level[0] * sign
            if key in known:
                if level[1] > 0:
                    known[key] = level
                else:
                    del known[key]
                    del keys[bisect_left(keys, key)]
            elif level[1] > 0 and (self._horizon is None or key < self._horizon):
                known[key] = level
                keys.insert(bisect_left(keys, key), key)

    def top(self, depth: int) -> tuple[Level, ...]:
        """The best levels, at most `depth`, of those that were read."""
        if self._unread is not None:
            return self._unread.head[:depth]
        return tuple(map(self._levels.__getitem__, self._keys[:depth]))

    @property
    def best(self) -> float | None:
        if self._unread is not None:
            return self._unread.head[0][0]
        return self._keys[0] * self._sign if self._keys else None

    def is_cut_before(self, levels: tuple[Level, ...]) -> bool:
        """True if a snapshot's side goes deeper than what is known here."""
        return self._horizon is not None and len(levels) > len(self._keys)

    @property
    def is_read(self) -> bool:
        """True if nothing was left unread."""
        return self._unread is None

    def knows(self, depth: int) -> bool:
        """True if so many levels are read, or all that there are."""
        return self._unread is None or len(self._unread.head) >= depth

    @property
    def is_exhausted(self) -> bool:
        """True if every level up to the horizon is gone: the best is unknown."""
        return self._unread is None and not self._keys and self._horizon is not None

    def agrees(self, levels: tuple[Level, ...], cut: int) -> bool:
        """True if a snapshot's side says the same, as far down as both go."""
        if len(levels) < cut and len(self._keys) > len(levels):
            return False
        known = self.top(len(levels))
        return known == levels or (self._horizon is not None and known == levels[: len(known)])


class BookSync:
    """The book of one contract. Facts and times go in, outcomes come out."""

    def __init__(self, cut: int = 90, shown: int = 5) -> None:
        """Set up, without a book.

        Args:
            cut: levels a side from which on a snapshot is taken to be cut off, not whole.
            shown: levels a side that are always read.
        """
        self._cut = cut
        self._shown = shown
        self.bids = Side(-1)
        self.asks = Side(1)
        self._resync_at: int | None
        self.reset(0)
        self._resync_at = None

    def reset(self, now: int) -> None:
        """Forget all: a new connection, which joins everything and so brings a start by itself."""
        self.flags = 0
        self._expected: int | None = None
        self._started = False
        self._kept: list[tuple[int, BookDiff]] = []
        self._ahead: BookSnapshot | None = None
        self._comparable = True
        self._crossed_since: int | None = None
        # Where the numbers last said that nothing lacks, and where a whole book last said the same as this one.
        self._in_step_at: int | None = None
        self._checked_at: int | None = None
        self._begun_at: int | None = None
        self._asked_at: int | None = None
        self._wait = FIRST_WAIT_NS
        self._resync_at = now + SNAPSHOT_NS

    @property
    def is_good(self) -> bool:
        """True if the book may be published."""
        return self._expected is not None and self._crossed_since is None

    @property
    def is_read(self) -> bool:
        """True if all levels are read, not the best alone."""
        return self.bids.is_read and self.asks.is_read

    @property
    def sequence(self) -> int | None:
        """The venue's number of the last difference in the book; None without a book."""
        return None if self._expected is None else self._expected - 1

    def top(self, depth: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Bids and asks, best first, at most `depth` levels each; more than `shown` only where `is_read`."""
        return self.bids.top(depth), self.asks.top(depth)

    def apply(self, fact: BookSnapshot | BookDiff, now: int) -> BookOutcome:
        """Take one fact, received at `now` (ns)."""
        try:
            if isinstance(fact, BookDiff):
                return self._apply_diff(fact, now)
            if fact.channel == "orderbook":
                return self._apply_periodic(fact, now)
            return self._apply_start(fact, now)
        except InvalidValue as error:
            return self._invalidate(f"unreadable: {error}", now)

    def check(self, now: int) -> BookOutcome:
        """Let time pass: a book crossed for too long goes invalid, one whose rest cannot be read too; starts are asked
        for when they are due."""
        try:
            self._read_all()
        except InvalidValue as error:
            return self._invalidate(f"unreadable: {error}", now)
        if self._crossed_since is not None and now - self._crossed_since >= CROSSED_NS:
            return self._invalidate(f"crossed: bid {self.bids.best} >= ask {self.asks.best}", now)
        return BookOutcome(good=self.is_good, resync=self._is_resync_due(now))

    def _apply_start(self, start: BookSnapshot, now: int) -> BookOutcome:
        if self._ahead is not None and self._ahead.sequence > start.sequence:
            # A later start with a lower number than an earlier periodic snapshot: the channels count differently.
            self._comparable = False
            self._ahead = None
        if self._expected is not None:
            behind = self._expected - start.sequence
            if 0 < behind <= STALE_NUMBERS:
                return BookOutcome(good=self.is_good)
            if behind > 0:
                return self._invalidate(f"backwards: snapshot {start.sequence} when {self._expected} was next", now)
        return self._begin(start, now)

    def _begin(self, start: BookSnapshot, now: int) -> BookOutcome:
        self._replace(start)
        self._started = False
        self._begun_at = self._checked_at = now
        kept, self._kept = self._kept, []
        for entry in sorted(kept, key=lambda entry: entry[1].sequence):
            if entry[1].sequence < start.sequence:
                continue
            if (reason := self._step(entry[1])) is not None:
                self._kept = [later for later in kept if later[1].sequence >= entry[1].sequence]
                return self._invalidate(reason, now)
        return self._changed(now)

    def _apply_diff(self, diff: BookDiff, now: int) -> BookOutcome:
        if self._expected is None:
            self._kept.append((now, diff))
            del self._kept[:-KEPT_BACK]
            return self._begin_from_periodic(now)
        if not self._started and 0 < self._expected - diff.sequence <= STALE_NUMBERS:
            return BookOutcome(good=self.is_good)
        if (reason := self._step(diff)) is not None:
            self._kept = [(now, diff)]
            return self._invalidate(reason, now)
        if self._ahead is None:
            return self._changed(now)
        since = self._checked_at
        corrected, _ = self._compare(now)
        return _with_correction(self._changed(now), corrected, since)

    def _begin_from_periodic(self, now: int) -> BookOutcome:
        """Start without a start, if a difference proves that the periodic snapshot counts as the differences do."""
        book = self._ahead
        if book is not None and any(diff.sequence == book.sequence for _, diff in self._kept):
            self._ahead = None
            return self._begin(book, now)
        return BookOutcome(resync=self._is_resync_due(now))

    def _apply_periodic(self, book: BookSnapshot, now: int) -> BookOutcome:
        if not self._comparable:
            return BookOutcome(good=self.is_good, resync=self._is_resync_due(now))
        if self._expected is None:
            self._ahead = book
            return self._begin_from_periodic(now)
        if book.sequence < self._expected:
            return BookOutcome(good=self.is_good)
        if book.sequence > self._expected and self._ahead is not None:
            self._ahead = book
            return self._invalidate(f"lost: {book.sequence} was reached without difference {self._expected}", now)
        self._ahead = book
        since = self._checked_at
        corrected, replaced = self._compare(now)
        if not replaced:
            return BookOutcome(good=self.is_good)
        return _with_correction(self._changed(now), corrected, since)

    def _compare(self, now: int) -> tuple[bool, bool]:
        """Check the book against the periodic snapshot of the same number, if there is one: (was wrong, replaced)."""
        book = self._ahead
        if book is None or self._expected is None or book.sequence > self._expected:
            return False, False
        self._ahead = None
        if book.sequence < self._expected:
            return False, False
        self._read_all()
        bids, asks = _whole(book.bids), _whole(book.asks)
        wrong = not (self.bids.agrees(bids, self._cut) and self.asks.agrees(asks, self._cut))
        shorter = self.bids.is_cut_before(bids) or self.asks.is_cut_before(asks)
        if wrong or shorter:
            self._replace(book)
        self._checked_at = now
        if self.is_good:
            self._in_step_at = now
        return wrong, wrong or shorter

    def _step(self, diff: BookDiff) -> str | None:
        """Apply the difference if its number is the one expected, else say why not."""
        expected = self._expected
        if expected is None or diff.sequence != expected:
            kind = "gap" if expected is not None and diff.sequence > expected else "backwards"
            return f"{kind}: difference {diff.sequence} when {expected} was next"
        self._read_all()
        if diff.bids:
            self.bids.apply(diff.bids)
        if diff.asks:
            self.asks.apply(diff.asks)
        self.flags |= diff.flags
        self._expected = expected + 1
        self._started = True
        return None

    def _replace(self, snapshot: BookSnapshot) -> None:
        self.bids.replace(snapshot.bids, self._cut)
        self.asks.replace(snapshot.asks, self._cut)
        self.flags = snapshot.flags
        self._expected = snapshot.sequence
        if not (self.bids.knows(self._shown) and self.asks.knows(self._shown)):
            self._read_all()

    def _read_all(self) -> None:
        if not self.is_read:
            self.flags |= self.bids.read_all() | self.asks.read_all()

    def _changed(self, now: int) -> BookOutcome:
        bid, ask = self.bids.best, self.asks.best
        if self.bids.is_exhausted or self.asks.is_exhausted:
            return self._invalidate("no level left of what is known", now)
        if bid is None or ask is None or bid < ask:
            self._crossed_since = None
            self._in_step_at = now
            return _GOOD
        if self._crossed_since is None:
            self._crossed_since = now
        return self.check(now)

    def _invalidate(self, reason: str, now: int) -> BookOutcome:
        if self._begun_at is not None and now - self._begun_at >= HEALTHY_NS:
            self._asked_at, self._wait = None, FIRST_WAIT_NS
        since, self._in_step_at, self._checked_at = self._in_step_at, None, None
        self._expected = None
        self._crossed_since = None
        self._begun_at = None
        self._resync_at = now if self._asked_at is None else max(now, self._asked_at + self._wait)
        return BookOutcome(invalidated=reason, resync=self._is_resync_due(now), since=since)

    def _is_resync_due(self, now: int) -> bool:
        if self._expected is not None or self._resync_at is None or now < self._resync_at:
            return False
        if self._asked_at is not None:
            self._wait = min(self._wait * 2, LAST_WAIT_NS)
        self._asked_at = now
        self._resync_at = now + self._wait
        self._kept = [entry for entry in self._kept if now - entry[0] < KEPT_NS]
        return True


def _with_correction(outcome: BookOutcome, corrected: bool, since: int | None) -> BookOutcome:
    if not corrected:
        return outcome
    return msgspec.structs.replace(outcome, corrected=True, since=since)


def _whole(side: tuple[Level, ...] | Unread) -> tuple[Level, ...]:
    return side.rest()[0] if isinstance(side, Unread) else side
