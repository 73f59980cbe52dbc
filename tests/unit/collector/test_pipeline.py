"""Facts of one contract into records and feed states."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.collector.item import LEDGER, Item
from services.collector.loss import Loss
from services.collector.pipeline import Pipeline
from services.collector.session import Session
from tickrouter.config import Recording
from tickrouter.core.coverage import paint
from tickrouter.core.entry_ids import SESSION_BITS, EntryIds
from tickrouter.core.market import BookDiff, BookSnapshot, MarketFact, Refused, TickerSeen, TradeSeen
from tickrouter.model.book import Book
from tickrouter.model.coverage import Claim, Opening
from tickrouter.model.feed import Feed
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade
from tickrouter.venues.card import Channels

C = "btcturk/btc.try"
SECOND = 1_000_000_000
CHANNELS = Channels(
    stale_after={"tick": 15, "trade": 900, "book": 15},
    connects_per_minute=15,
    backoff_first=1,
    backoff_cap=60,
    trade_buy=1,
)


def session(number: int = 1, ended_ms: int = 0) -> Session:
    return Session(number, ended_ms, {kind: EntryIds(number) for kind in ("tick", "trade", "book", "feed")})


def pipeline(*, recording: bool = True, **record: Any) -> Pipeline:
    made = Pipeline(C, Recording(**record), CHANNELS)
    if recording:
        made.session = session()
    made.connected(0)
    return made


def seen(number: str, price: float = 100.0, *, live: bool = True, at: int = 1) -> TradeSeen:
    return TradeSeen(Trade(at, price, 1.0, "b", number, C, "live" if live else "backfill", at), live)


def ticker(bid: float = 99.0) -> TickerSeen:
    return TickerSeen(C, 100.0, (bid, 1.0), (101.0, 1.0), 5.0, None, None)


def snapshot(number: int, channel: str = "obdiff") -> BookSnapshot:
    return BookSnapshot(C, channel, number, ((99.0, 1.0), (98.0, 1.0)), ((101.0, 1.0),))


def diff(number: int, size: float = 2.0) -> BookDiff:
    return BookDiff(C, number, ((99.0, size),), ())


def feed(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.record.state, item.record.kind) for item in items if isinstance(item.record, Feed)]


def records(items: list[Item], kind: type[Tick | Trade | Book]) -> list[Any]:
    return [item.record for item in items if isinstance(item.record, kind)]


def take(made: Pipeline, now: int, *facts: MarketFact) -> list[Item]:
    return [item for fact in facts for item in told(made.take([fact], now))]


def told(items: list[Item]) -> list[Item]:
    """Without what is for the ledger."""
    return [item for item in items if item.kind not in LEDGER]


def painted(items: list[Item], kind: str, end: int) -> list[tuple[int, int, str]]:
    """What the claims among the items say together."""
    claims = {item.record.name: item.record for item in items if isinstance(item.record, Claim)}
    intervals = paint([claim for claim in claims.values() if claim.kind == kind], 0, end)
    return [(interval.start, interval.end, interval.state) for interval in intervals]


def test_a_live_trade_is_a_trade_and_a_tick() -> None:
    made = pipeline()
    items = take(made, 5, seen("1"), seen("1"))
    assert [item.kind for item in items] == ["feed", "feed", "trade", "tick"]
    assert [item.id for item in items if item.kind != "feed"] == [(0, (1 << SESSION_BITS) + 1)] * 2
    assert made.status()["counts"]["trades_repeated"] == 1


def test_a_past_trade_is_for_mongodb_only_and_a_live_copy_is_still_news() -> None:
    made = pipeline()
    (past,) = (item for item in take(made, 5, seen("1", live=False), seen("1", live=False)) if item.kind != "feed")
    assert (past.kind, past.id, past.record) == ("trade", None, seen("1", live=False).trade)
    assert [item.kind for item in take(made, 6, seen("1"))] == ["trade", "tick"]


def test_nothing_is_recorded_without_a_session_but_trades_become_backfill() -> None:
    made = pipeline(recording=False)
    assert take(made, 5, ticker(), seen("1"), snapshot(1)) == []
    made.session = session(ended_ms=3)
    items = take(made, 6, ticker(98.0))
    assert [(item.kind, item.id is None) for item in items] == [
        ("feed", False),
        ("feed", False),
        ("trade", True),
        ("feed", False),
        ("feed", False),
    ]
    assert records(items, Trade)[0].source == "backfill"
    assert feed(items) == [("gap", "all"), ("live", "all"), ("live", "all"), ("live", "book")]
    first = items[0].record
    assert isinstance(first, Feed) and (first.since, first.cause) == (3_000_000, "the collector was not running")


def test_a_new_session_says_how_things_stand() -> None:
    made = pipeline()
    take(made, 5, ticker(), snapshot(1))
    made.session = session(2)
    items = made.passed(6)
    assert feed(items) == [("live", "all"), ("live", "book")]
    assert {item.id[1] >> SESSION_BITS for item in items if item.id} == {2}


def test_a_good_book_gives_ticks_and_book_records() -> None:
    made = pipeline(levels=1, book_levels=2, book_interval_ms=0)
    items = take(made, 5, snapshot(1), diff(1))
    assert records(items, Book) == [
        Book(5, ((99.0, 1.0), (98.0, 1.0)), ((101.0, 1.0),), C, 0),
        Book(5, ((99.0, 2.0), (98.0, 1.0)), ((101.0, 1.0),), C, 1),
    ]
    assert [tick.bids for tick in records(items, Tick)] == [((99.0, 1.0),), ((99.0, 2.0),)]
    assert feed(items)[-1] == ("live", "book")


def test_book_records_keep_their_distance_and_the_last_state_comes_later() -> None:
    made = pipeline(book_interval_ms=100)
    start = SECOND
    assert len(records(take(made, start, snapshot(1)), Book)) == 1
    assert records(take(made, start + 1, diff(1), diff(2, 3.0)), Book) == []
    assert records(made.passed(start + 99_000_000), Book) == []
    (late,) = records(made.passed(start + 100_000_000), Book)
    assert late.bids[0] == (99.0, 3.0)
    assert records(made.passed(start + 300_000_000), Book) == []


def test_an_invalid_book_is_said_and_a_new_one_asked_for() -> None:
    made = pipeline()
    take(made, 5, ticker(), snapshot(1), diff(1))
    items = take(made, 6, diff(7))
    assert feed(items) == [("resync", "book")]
    assert made.wants_resync
    (tick,) = records(take(made, 7, ticker(97.0)), Tick)
    assert tick.bids == ((97.0, 1.0),)
    assert told(made.passed(8 * SECOND)) == []
    assert feed(take(made, 9 * SECOND, snapshot(9))) == [("live", "book")]


def test_a_book_that_was_corrected_is_missing_since_it_was_last_checked() -> None:
    made = pipeline()
    items = made.take([ticker(), snapshot(1)], 5)
    items += made.take([snapshot(1, "orderbook")], 6)
    items += made.take([diff(1)], 7)
    wrong = BookSnapshot(C, "orderbook", 2, ((98.5, 1.0),), ((101.0, 1.0),))
    corrected = made.take([wrong], 9)
    assert ("gap", "book") in feed(corrected)
    assert records(corrected, Tick)[0].bids == ((98.5, 1.0),)
    items += [*corrected, *made.passed(SECOND)]
    for kind in ("tick", "book"):
        states = painted(items, kind, 12)
        assert [one for one in states if one[2] == "missing"][-1] == (6, 9, "missing")
        assert states[-1][2] == "live"


def test_while_the_book_is_crossed_a_trade_is_not_told_with_its_levels() -> None:
    made = pipeline()
    take(made, 5, ticker(97.0), snapshot(1))
    (good,) = records(take(made, 6, seen("1")), Tick)
    assert good.bids[0] == (99.0, 1.0)
    (crossed,) = records(take(made, 7, BookDiff(C, 1, ((102.0, 1.0),), ()), seen("2")), Tick)
    assert crossed.bids == ((97.0, 1.0),)
    (again,) = records(take(made, 8, BookDiff(C, 2, ((102.0, 0.0),), ())), Tick)
    assert again.bids[0] == (99.0, 1.0)


def test_kinds_that_are_not_recorded_are_left_out() -> None:
    made = pipeline(kinds=("trade",))
    items = take(made, 5, ticker(), snapshot(1), seen("1"), seen("2", live=False))
    assert {item.kind for item in items} == {"feed", "trade"}
    only_ticks = pipeline(kinds=("tick",))
    assert {item.kind for item in take(only_ticks, 5, snapshot(1), seen("1"), seen("2", live=False))} == {
        "feed",
        "tick",
    }


def test_silence_is_stale_and_what_comes_after_is_live() -> None:
    made = pipeline()
    take(made, 5, ticker())
    assert feed(made.passed(16 * SECOND)) == [("stale", "tick"), ("stale", "book")]
    assert told(made.passed(17 * SECOND)) == []
    assert feed(take(made, 18 * SECOND, ticker())) == [("live", "tick")]


def test_a_lost_connection_is_a_gap_until_the_first_frame() -> None:
    made = pipeline()
    take(made, 5, ticker(), snapshot(1))
    assert feed(made.disconnected(6, "closed")) == [("down", "all")]
    assert made.status()["feed"] == "down"
    assert feed(made.disconnected(7, "refused")) == [("down", "all")]
    assert made.passed(8) == []
    made.connected(9)
    items = take(made, 10, ticker())
    assert feed(items) == [("gap", "all"), ("live", "all")]
    gap = items[0].record
    assert isinstance(gap, Feed) and (gap.since, gap.time) == (5, 10)


def test_an_interval_that_a_sink_gave_up_is_in_the_stream() -> None:
    made = pipeline()
    take(made, 5, ticker())
    items = made.lost(Loss(C, "tick", 12, 3, 4), "mongo", 6)
    assert feed(items) == [("gap", "tick"), ("live", "tick")]
    gap = items[0].record
    assert isinstance(gap, Feed) and (gap.cause, gap.since) == ("mongo: 12 tick records given up", 3)
    assert made.lost(Loss(C, "feed", 1, 3, 4), "redis", 6) == []


def test_a_record_that_was_not_taken_is_a_gap_and_a_hole() -> None:
    made = pipeline()
    items = made.take([ticker()], SECOND)
    refused = Refused("quarantine", C, "P: too long", b""), Refused("unreadable", C, "S", b"")
    fresh = made.take([refused[0], refused[0]], 2 * SECOND) + made.take([refused[1]], 4 * SECOND)
    assert feed(fresh) == [("gap", "all"), ("live", "all")] * 2
    items += fresh + made.passed(6 * SECOND)
    for kind in ("tick", "trade"):
        assert painted(items, kind, 6 * SECOND)[1:] == [
            (SECOND, 2 * SECOND, "live"),
            (2 * SECOND, 3 * SECOND, "missing"),
            (3 * SECOND, 4 * SECOND, "live"),
            (4 * SECOND, 5 * SECOND, "unknown"),
            (5 * SECOND, 6 * SECOND, "live"),
        ]
    counts = made.status()["counts"]
    assert (counts["quarantine"], counts["unreadable"]) == (2, 1)


def test_a_hole_that_a_new_claim_covered_is_told_again() -> None:
    made = pipeline()
    unread = Refused("unreadable", None, "no JSON", b"")
    assert made.unread(unread, SECOND // 2) == []
    items = made.take([snapshot(1)], SECOND) + made.unread(unread, 2 * SECOND)
    items += made.take([diff(7)], 2 * SECOND + 100) + made.take([snapshot(9)], 2 * SECOND + 200)
    items += made.unread(unread, 2 * SECOND + 300) + made.passed(5 * SECOND)
    assert painted(items, "book", 5 * SECOND)[1:] == [
        (SECOND, 2 * SECOND + 200, "missing"),
        (2 * SECOND + 200, 2 * SECOND + 300, "live"),
        (2 * SECOND + 300, 3 * SECOND + 300, "unknown"),
        (3 * SECOND + 300, 5 * SECOND, "live"),
    ]


def test_a_book_of_which_nothing_comes_is_good_no_longer() -> None:
    made = pipeline(levels=1)
    items = made.take([ticker(98.5), snapshot(1)], 10)
    for second in range(1, 16):
        items += made.take([ticker()], second * SECOND)
    items += made.take([seen("1", 99.5)], 15 * SECOND + 1)
    (before,) = [tick for tick in records(items, Tick) if tick.source == "trade"]
    assert before.bids == ((99.0, 1.0),)
    stale = made.passed(15 * SECOND + 11)
    assert feed(stale) == [("stale", "book")]
    assert made.wants_resync
    later = made.take([ticker(97.0)], 16 * SECOND)
    assert [tick.bids for tick in records(later, Tick)] == [((97.0, 1.0),)]
    heard = made.take([diff(3)], 17 * SECOND)
    assert feed(heard) == [("resync", "book")]
    again = made.take([snapshot(3)], 18 * SECOND)
    assert feed(again) == [("live", "book")]
    items += stale + later + heard + again + made.passed(20 * SECOND)
    assert painted(items, "book", 20 * SECOND)[1:] == [
        (10, 18 * SECOND, "unknown"),
        (18 * SECOND, 20 * SECOND, "live"),
    ]
    assert painted(items, "tick", 20 * SECOND)[1:] == [
        (10, 15 * SECOND + 12, "unknown"),
        (15 * SECOND + 12, 20 * SECOND, "live"),
    ]


def test_a_book_that_is_not_recorded_goes_stale_too() -> None:
    made = pipeline(kinds=("tick",))
    made.take([ticker(), snapshot(1)], 10)
    made.take([ticker()], 14 * SECOND)
    made.passed(16 * SECOND)
    assert made.wants_resync
    assert [tick.bids for tick in records(made.take([ticker(97.0)], 17 * SECOND), Tick)] == [((97.0, 1.0),)]


def test_an_answer_by_rest_is_not_compared_with_itself() -> None:
    made = pipeline()
    made.past_trades([seen(number, live=False).trade for number in "123"], 5)
    made.past_trades([seen(number, live=False).trade for number in "123"], 6)
    assert (made.sides.verdict, made.sides.wants_trades) == ("open", False)
    made.take([seen(number) for number in "123"], 7)
    assert made.sides.wants_trades
    made.past_trades([replace(seen(number).trade, side="s") for number in "123"], 8)
    assert (made.sides.verdict, made.sides.wants_trades) == ("wrong", False)


def test_the_ledger_is_told_of_every_kind_by_itself() -> None:
    made = pipeline()
    items = made.take([ticker()], 10)
    assert [item.record for item in items if isinstance(item.record, Opening)] == [
        Opening(10, C, 1, ("book", "tick", "trade"))
    ]
    items += made.take([snapshot(1)], 20) + made.take([diff(1)], 30) + made.take([diff(7)], 40)
    items += made.take([snapshot(9)], 50) + made.passed(SECOND) + made.ended(2 * SECOND)
    assert painted(items, "tick", 3 * SECOND) == [
        (0, 10, "missing"),
        (10, 30, "live"),
        (30, 41, "missing"),
        (41, 2 * SECOND, "live"),
        (2 * SECOND, 3 * SECOND, "unknown"),
    ]
    assert [part for part in painted(items, "book", 2 * SECOND) if part[1] > 10] == [
        (10, 20, "missing"),
        (20, 30, "live"),
        (30, 50, "missing"),
        (50, 2 * SECOND, "live"),
    ]
    closed = [item.record for item in items if isinstance(item.record, Claim) and not item.record.is_open]
    assert sum(claim.count for claim in closed if claim.kind == "book") == sum(item.kind == "book" for item in items)


def test_what_was_not_read_yet_when_a_connection_was_lost_is_missing() -> None:
    made = pipeline()
    items = made.take([ticker()], 10) + made.take([seen("1")], 30) + made.disconnected(31, "closed", 20)
    made.connected(40)
    items += made.take([ticker()], 50) + made.passed(SECOND, 60)
    assert painted(items, "trade", 60) == [(0, 10, "missing"), (10, 20, "live"), (20, 50, "missing"), (50, 60, "live")]


def test_silence_is_unknown_until_something_is_heard() -> None:
    made = pipeline()
    items = made.take([ticker()], 10) + made.passed(16 * SECOND) + made.take([ticker(98.0)], 17 * SECOND)
    items += made.passed(18 * SECOND)
    assert painted(items, "tick", 18 * SECOND)[1:] == [
        (10, 17 * SECOND, "unknown"),
        (17 * SECOND, 18 * SECOND, "live"),
    ]


def test_what_mongodb_gave_up_is_missing_and_what_redis_gave_up_is_noted() -> None:
    made = pipeline()
    items = made.take([ticker()], 10)
    items += made.lost(Loss(C, "tick", 12, 20, 30, (1, 5), (1, 16)), "mongo", 50)
    items += made.lost(Loss(C, "tick", 3, 35, 36, (1, 17), (1, 19)), "redis", 51)
    items += made.passed(SECOND)
    assert painted(items, "tick", 100) == [(0, 10, "missing"), (10, 20, "live"), (20, 31, "missing"), (31, 100, "live")]
    claims = [item.record for item in items if isinstance(item.record, Claim)]
    points = [claim for claim in claims if claim.cause.endswith("given up")]
    assert [(claim.note, claim.first, claim.last, claim.count) for claim in points] == [
        ("", (1, 5), (1, 16), 12),
        ("redis", (1, 17), (1, 19), 3),
    ]
