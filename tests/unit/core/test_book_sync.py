"""The book: a good one is never a wrong one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickrouter.core.book_sync import CROSSED_NS, HEALTHY_NS, SNAPSHOT_NS, BookOutcome, BookSync
from tickrouter.core.market import BookDiff, BookSnapshot, Change, Unread
from tickrouter.errors import InvalidValue
from tickrouter.model.record import Level

C = "btcturk/btc.try"
SECOND = 1_000_000_000
Levels = tuple[Level, ...]


def start(number: int, bids: Levels = ((100.0, 1.0),), asks: Levels = ((101.0, 1.0),)) -> BookSnapshot:
    return BookSnapshot(C, "obdiff", number, bids, asks)


def periodic(number: int, bids: Levels = ((100.0, 1.0),), asks: Levels = ((101.0, 1.0),)) -> BookSnapshot:
    return BookSnapshot(C, "orderbook", number, bids, asks)


def diff(number: int, bids: tuple[Change, ...] = (), asks: tuple[Change, ...] = ()) -> BookDiff:
    return BookDiff(C, number, bids, asks)


def barely_read(fact: BookSnapshot | BookDiff, depth: int) -> BookSnapshot | BookDiff:
    """The same start with only so many levels read."""
    if isinstance(fact, BookDiff) or isinstance(fact.bids, Unread) or isinstance(fact.asks, Unread):
        return fact
    if fact.channel != "obdiff" or not fact.bids or not fact.asks:
        return fact
    bids, asks = fact.bids, fact.asks
    return BookSnapshot(
        C, fact.channel, fact.sequence, Unread(bids[:depth], lambda: (bids, 0)), Unread(asks[:depth], lambda: (asks, 0))
    )


def unreadable() -> tuple[Levels, int]:
    raise InvalidValue("P", "'x' is no number")


def begun(number: int = 10, cut: int = 90) -> BookSync:
    sync = BookSync(cut)
    sync.reset(0)
    assert sync.apply(start(number), 0) == BookOutcome(changed=True, good=True)
    return sync


def test_nothing_is_good_before_a_start() -> None:
    sync = BookSync()
    sync.reset(0)
    assert sync.apply(diff(10), 0) == BookOutcome()
    assert (sync.is_good, sync.sequence) == (False, None)


def test_differences_before_the_start_are_kept_back_and_applied_in_order() -> None:
    sync = BookSync()
    sync.reset(0)
    for number, size in ((9, 9.0), (11, 11.0), (10, 10.0)):
        sync.apply(diff(number, bids=((float(number), size),)), 0)
    assert sync.apply(start(10), 0).good
    assert sync.top(5)[0] == ((100.0, 1.0), (11.0, 11.0), (10.0, 10.0))
    assert sync.sequence == 11


def test_the_recorded_start_is_followed() -> None:
    """Section 4.5: the snapshot has number n, the first difference n - 1, the next n with a better bid."""
    sync = begun(6955)
    assert sync.apply(diff(6954, bids=((99.0, 5.0),)), 1) == BookOutcome(good=True)
    assert sync.apply(diff(6955, bids=((100.5, 2.0),)), 2) == BookOutcome(changed=True, good=True)
    assert sync.top(2)[0] == ((100.5, 2.0), (100.0, 1.0))


def test_levels_are_set_and_deleted() -> None:
    sync = begun()
    sync.apply(diff(10, bids=((99.0, 2.0), (98.0, 3.0)), asks=((101.0, 4.0), (102.0, 5.0))), 0)
    sync.apply(diff(11, bids=((99.0, 0.0), (55.0, 0.0))), 0)
    assert sync.top(5) == (((100.0, 1.0), (98.0, 3.0)), ((101.0, 4.0), (102.0, 5.0)))
    assert sync.top(1) == (((100.0, 1.0),), ((101.0, 4.0),))


@pytest.mark.parametrize(("number", "word"), [(12, "gap"), (9, "backwards"), (-5000, "backwards")])
def test_another_number_than_the_next_makes_the_book_invalid(number: int, word: str) -> None:
    sync = begun()
    sync.apply(diff(10), 0)
    outcome = sync.apply(diff(number), 0)
    assert outcome.invalidated == f"{word}: difference {number} when 11 was next"
    assert (outcome.good, outcome.resync, sync.is_good) == (False, True, False)
    assert sync.apply(start(number), 0).good


def test_a_counter_that_began_anew_is_seen_even_before_the_first_difference() -> None:
    assert begun(5000).apply(diff(3), 0).invalidated == "backwards: difference 3 when 5000 was next"
    assert begun(5000).apply(start(3), 0).invalidated == "backwards: snapshot 3 when 5000 was next"


def test_an_old_start_that_comes_again_changes_nothing() -> None:
    sync = begun()
    sync.apply(diff(10, bids=((100.0, 9.0),)), 0)
    assert sync.apply(start(10), 0) == BookOutcome(good=True)
    assert sync.top(1)[0] == ((100.0, 9.0),)


def test_a_new_start_ahead_is_taken() -> None:
    sync = begun()
    assert sync.apply(start(20, bids=((90.0, 1.0),)), 0) == BookOutcome(changed=True, good=True)
    assert sync.top(1)[0] == ((90.0, 1.0),)


def test_a_start_is_asked_for_once_and_then_ever_more_rarely() -> None:
    sync = begun()
    assert sync.apply(diff(12), 0).resync
    asked = [second for second in range(1, 40) if sync.check(second * SECOND).resync]
    assert asked == [1, 3, 7, 15, 31]


def test_a_book_that_breaks_at_once_is_not_asked_for_at_network_speed() -> None:
    sync = begun()
    assert sync.apply(diff(12), 0).resync
    assert sync.apply(start(20), 1).good
    assert sync.apply(diff(25), 2) == BookOutcome(invalidated="gap: difference 25 when 20 was next", since=1)
    assert sync.check(SECOND).resync


def test_a_book_that_was_good_for_long_is_asked_for_at_once() -> None:
    sync = begun()
    assert sync.apply(diff(12), 0).resync
    assert sync.apply(start(20), SECOND).good
    assert sync.apply(diff(25), SECOND + HEALTHY_NS).resync


def test_a_start_that_does_not_come_is_asked_for() -> None:
    sync = BookSync()
    sync.reset(5)
    assert not sync.check(SNAPSHOT_NS).resync
    assert sync.check(SNAPSHOT_NS + 5).resync


def test_a_crossed_book_is_held_back_and_then_invalid() -> None:
    sync = begun()
    assert sync.apply(diff(10, bids=((101.0, 1.0),)), 0) == BookOutcome()
    assert not sync.is_good
    assert sync.check(CROSSED_NS - 1) == BookOutcome()
    outcome = sync.check(CROSSED_NS)
    assert (outcome.invalidated, outcome.resync) == ("crossed: bid 101.0 >= ask 101.0", True)


def test_a_book_crossed_for_a_moment_goes_on() -> None:
    sync = begun()
    sync.apply(diff(10, bids=((101.0, 1.0),)), 0)
    assert sync.apply(diff(11, bids=((101.0, 0.0),)), 1) == BookOutcome(changed=True, good=True)


def test_the_periodic_book_of_the_same_number_corrects_a_wrong_one() -> None:
    sync = begun()
    assert sync.apply(periodic(10), 0) == BookOutcome(good=True)
    outcome = sync.apply(periodic(10, bids=((99.5, 1.0),)), 0)
    assert outcome == BookOutcome(changed=True, good=True, corrected=True, since=0)
    assert sync.top(1)[0] == ((99.5, 1.0),)


def test_a_wrong_book_was_right_when_it_was_last_in_step() -> None:
    """A periodic book that is ahead, or behind, is no proof that no difference is lacking: one may be lost by then."""
    sync = begun()
    sync.apply(diff(10), 1)
    sync.apply(periodic(9), 2)
    sync.apply(periodic(12), 3)
    outcome = sync.apply(diff(12), 4)
    assert outcome.invalidated is not None and outcome.since == 1
    sync = begun()
    sync.apply(periodic(12), 1)
    assert sync.apply(periodic(13), 2).since == 0


def test_a_crossed_book_was_right_before_it_was_crossed() -> None:
    sync = begun()
    sync.apply(diff(10), 1)
    sync.apply(diff(11, bids=((101.0, 1.0),)), 2)
    sync.apply(diff(12), 3)
    assert sync.check(2 + SECOND).since == 1


def test_a_corrected_book_was_right_when_it_was_last_checked() -> None:
    sync = begun()
    sync.apply(periodic(10), 1)
    sync.apply(diff(10), 2)
    assert sync.apply(periodic(11, bids=((99.5, 1.0),)), 3).since == 1
    assert sync.apply(periodic(11), 4).since == 3


def test_a_level_too_many_is_corrected() -> None:
    sync = begun()
    sync.apply(diff(10, bids=((50.0, 1.0),)), 0)
    assert sync.apply(periodic(11), 0).corrected
    assert sync.top(5)[0] == ((100.0, 1.0),)


def test_an_older_periodic_book_is_ignored() -> None:
    sync = begun()
    sync.apply(diff(10, bids=((100.0, 9.0),)), 0)
    assert sync.apply(periodic(10), 0) == BookOutcome(good=True)
    assert sync.top(1)[0] == ((100.0, 9.0),)


def test_a_periodic_book_ahead_waits_for_the_differences() -> None:
    sync = begun()
    assert sync.apply(periodic(11, bids=((100.0, 7.0),)), 0) == BookOutcome(good=True)
    assert sync.top(1)[0] == ((100.0, 1.0),)
    assert sync.apply(diff(10, bids=((100.0, 6.0),)), 0).corrected
    assert sync.top(1)[0] == ((100.0, 7.0),)


def test_differences_that_never_came_are_noticed() -> None:
    sync = begun()
    sync.apply(periodic(12), 0)
    outcome = sync.apply(periodic(13), 0)
    assert outcome.invalidated == "lost: 13 was reached without difference 10"
    assert outcome.resync


def test_a_periodic_book_starts_anew_where_a_difference_proves_its_number() -> None:
    sync = begun()
    sync.apply(diff(12, bids=((99.0, 1.0),)), 0)
    assert not sync.apply(periodic(11), 1).good
    outcome = sync.apply(periodic(12, bids=((100.0, 3.0),)), 1)
    assert outcome == BookOutcome(changed=True, good=True)
    assert sync.top(2)[0] == ((100.0, 3.0), (99.0, 1.0))


def test_a_periodic_channel_that_counts_otherwise_is_not_listened_to() -> None:
    sync = BookSync()
    sync.reset(0)
    sync.apply(periodic(461280), 0)
    sync.apply(start(10), 0)
    for number in range(10, 20):
        assert sync.apply(diff(number), 0).good
        assert sync.apply(periodic(461281 + number), 0) == BookOutcome(good=True)


def test_beyond_the_end_of_a_cut_snapshot_nothing_is_known() -> None:
    sync = BookSync(cut=2)
    sync.reset(0)
    sync.apply(start(1, bids=((100.0, 1.0), (99.0, 1.0)), asks=((101.0, 1.0),)), 0)
    sync.apply(diff(1, bids=((98.0, 5.0), (100.0, 0.0)), asks=((110.0, 5.0),)), 0)
    assert sync.top(5) == (((99.0, 1.0),), ((101.0, 1.0), (110.0, 5.0)))
    deeper = periodic(2, bids=((99.0, 1.0), (98.0, 5.0)), asks=((101.0, 1.0), (110.0, 5.0)))
    assert sync.apply(deeper, 0) == BookOutcome(changed=True, good=True)
    assert sync.top(5)[0] == ((99.0, 1.0), (98.0, 5.0))
    outcome = sync.apply(diff(2, bids=((99.0, 0.0), (98.0, 0.0))), 0)
    assert outcome.invalidated == "no level left of what is known"


class Venue:
    """A true book that moves; it knows every state it was in by the number of the next difference."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.number = random.choice([-3, 0, 10**6])
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self.states: dict[int, tuple[Levels, Levels]] = {}
        for offset in range(1, 9):
            self._bids[100.0 - offset], self._asks[100.0 + offset] = 1.0, 1.0
        self._keep()

    def _keep(self) -> None:
        bids = tuple(sorted(self._bids.items(), reverse=True))
        self.states[self.number] = bids, tuple(sorted(self._asks.items()))

    def move(self) -> BookDiff:
        changes: list[list[Change]] = []
        for side, sign in ((self._bids, -1), (self._asks, 1)):
            changed = {}
            for _ in range(self._random.randrange(3)):
                price = 100.0 + sign * self._random.randrange(1, 14)
                size = float(self._random.choice([0, 1, 2, 3]))
                if size or len(side) > 1:
                    changed[price] = size
                    side[price] = size
                    if not size:
                        del side[price]
            changes.append(list(changed.items()))
        made = diff(self.number, tuple(changes[0]), tuple(changes[1]))
        self.number += 1
        self._keep()
        return made

    def snapshot(self, channel: str, depth: int) -> BookSnapshot:
        bids, asks = self.states[self.number]
        return BookSnapshot(C, channel, self.number, bids[:depth], asks[:depth])


def assert_true_or_not_good(sync: BookSync, venue: Venue) -> None:
    if sync.is_good:
        assert sync.sequence is not None
        for known, true in zip(sync.top(99), venue.states[sync.sequence + 1], strict=True):
            assert known == true[: len(known)]
            assert known


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.sampled_from([4, 90]))
def test_skipped_repeated_and_reordered_frames_never_make_a_wrong_good_book(seed: int, cut: int) -> None:
    random = Random(seed)
    venue, sync = Venue(random), BookSync(cut)
    sync.reset(0)
    way: list[BookSnapshot | BookDiff] = []
    sent: list[BookSnapshot | BookDiff] = []
    now, good = 0, 0
    joined = False
    for _ in range(120):
        now += 300_000_000
        frames: list[BookSnapshot | BookDiff] = [venue.move()]
        if not joined:
            frames.insert(random.randrange(2), venue.snapshot("obdiff", 4 if cut == 4 else 99))
            joined = True
        if random.random() < 0.3:
            frames.append(venue.snapshot("orderbook", 4 if cut == 4 else 99))
        frames = [barely_read(frame, random.randrange(1, 6)) if random.random() < 0.5 else frame for frame in frames]
        sent += frames
        way += [frame for frame in frames if random.random() > 0.05]
        if random.random() < 0.1:
            way.append(random.choice(sent[-6:]))
        if len(way) > 1 and random.random() < 0.1:
            way[-1], way[-2] = way[-2], way[-1]
        if random.random() < 0.8:
            for frame in way:
                joined &= not sync.apply(frame, now).resync
                assert_true_or_not_good(sync, venue)
            way = []
        joined &= not sync.check(now).resync
        assert_true_or_not_good(sync, venue)
        good += sync.is_good
    assert good


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_undisturbed_frames_give_the_true_book_after_each(seed: int) -> None:
    venue, sync = Venue(Random(seed)), BookSync()
    sync.reset(0)
    sync.apply(venue.snapshot("obdiff", 99), 0)
    for _ in range(50):
        assert sync.apply(venue.move(), 0) == BookOutcome(changed=True, good=True)
        assert sync.top(99) == venue.states[venue.number]
        assert sync.apply(venue.snapshot("orderbook", 99), 0) == BookOutcome(good=True)


ASKS: Levels = ((101.0, 1.0), (102.0, 1.0), (103.0, 1.0))
BIDS: Levels = ((100.0, 1.0), (99.0, 1.0), (98.0, 1.0))


def test_the_rest_of_a_start_is_read_when_it_is_needed() -> None:
    made = barely_read(start(10, BIDS, ASKS), 2)
    sync = BookSync(shown=2)
    assert sync.apply(made, 0) == BookOutcome(changed=True, good=True)
    assert not sync.is_read
    assert sync.top(2) == (BIDS[:2], ASKS[:2])
    assert sync.apply(diff(10, bids=((100.0, 0.0),)), 1) == BookOutcome(changed=True, good=True)
    assert sync.is_read
    assert sync.top(3) == (BIDS[1:], ASKS)


def test_more_levels_than_were_read_are_read_at_once_where_they_are_shown() -> None:
    sync = BookSync(shown=3)
    sync.apply(barely_read(start(10, BIDS, ASKS), 2), 0)
    assert sync.is_read and sync.top(3) == (BIDS, ASKS)


def test_flags_of_the_rest_are_the_books_once_it_is_read() -> None:
    sync = BookSync(shown=2)
    sync.apply(BookSnapshot(C, "obdiff", 1, Unread(BIDS[:2], lambda: (BIDS, 1)), ASKS), 0)
    assert sync.flags == 0
    assert sync.check(1) == BookOutcome(good=True)
    assert sync.flags == 1 and sync.is_read


@pytest.mark.parametrize("rest", [unreadable, lambda: (((100.5, 1.0), *BIDS), 0)])
def test_a_book_whose_rest_cannot_be_taken_is_invalid_at_the_next_look_at_the_latest(rest: Any) -> None:
    made = BookSnapshot(C, "obdiff", 10, Unread(BIDS[:2], rest), ASKS)
    for look in (lambda sync: sync.check(1), lambda sync: sync.apply(diff(10), 1)):
        sync = BookSync(shown=2)
        sync.reset(0)
        assert sync.apply(made, 0).good
        outcome = look(sync)
        assert (outcome.invalidated or "").startswith("unreadable: ") and outcome.resync
        assert not sync.is_good
        assert sync.check(2) == BookOutcome()
        assert sync.apply(start(12, BIDS, ASKS), 3).good
    sync = BookSync(shown=3)
    sync.reset(0)
    assert (sync.apply(made, 0).invalidated or "").startswith("unreadable: ")
