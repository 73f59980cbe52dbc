"""Ticker, trades and book into ticks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.market import TickerSeen
from tickrouter.core.tick_merge import TickMerge
from tickrouter.model.record import SIZE_ROUNDED, STATISTIC_ROUNDED, Level
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Side, Trade

C = "btcturk/btc.try"


def ticker(
    last: float | None = 100.0, bid: Level | None = (99.0, 1.0), ask: Level | None = (101.0, 2.0), flags: int = 0
) -> TickerSeen:
    return TickerSeen(C, last, bid, ask, 12.5, None, None, flags)


def trade(price: float, at: int | None = 5, side: Side = "b") -> Trade:
    return Trade(1, price, 0.5, side, str(at), C, "live", at)


def take_ticker(merge: TickMerge, ticker: TickerSeen, now: int) -> Tick | None:
    ticks = merge.on_tickers([ticker], now)
    return ticks[0] if ticks else None


def test_before_a_book_the_ticker_gives_one_level_a_side() -> None:
    tick = take_ticker(TickMerge(C), ticker(flags=SIZE_ROUNDED | STATISTIC_ROUNDED), 7)
    flags = SIZE_ROUNDED | STATISTIC_ROUNDED
    assert tick == Tick(7, 100.0, 12.5, ((99.0, 1.0),), ((101.0, 2.0),), C, "ticker", None, None, flags)


def test_a_live_book_alone_gives_bid_and_ask_and_the_ticker_the_figures() -> None:
    merge = TickMerge(C, levels=2)
    bids = ((99.5, 1.0), (99.0, 1.0), (98.0, 1.0))
    tick = merge.on_book(bids, (), 1, 3, 0)
    assert tick == Tick(1, None, None, bids[:2], (), C, "book", 3)
    assert take_ticker(merge, ticker(last=None, bid=(50.0, 1.0)), 2) is None
    changed = merge.on_book(((99.6, 1.0),), (), 3, None, SIZE_ROUNDED)
    assert changed == Tick(3, None, 12.5, ((99.6, 1.0),), (), C, "book", None, None, SIZE_ROUNDED)


def test_what_changes_below_the_recorded_levels_is_no_tick() -> None:
    merge = TickMerge(C, levels=1)
    assert merge.on_book(((99.0, 1.0), (98.0, 1.0)), (), 1, None, 0) is not None
    assert merge.on_book(((99.0, 1.0), (98.0, 2.0)), (), 2, None, 0) is None
    assert merge.on_book(((99.0, 1.5), (98.0, 2.0)), (), 3, None, 0) is not None


def test_each_trade_is_a_tick_even_at_the_same_price() -> None:
    merge = TickMerge(C)
    first, second = merge.on_trade(trade(100.0, 5), 6), merge.on_trade(trade(100.0, 6), 7)
    assert first is not None and (first.price, first.source, first.exchange_time) == (100.0, "trade", 5)
    assert second is not None and second.time == 7


def test_the_ticker_is_asked_for_the_price_only_until_a_trade_was_seen() -> None:
    merge = TickMerge(C)
    take_ticker(merge, ticker(last=100.0), 1)
    assert merge.last_price == 100.0
    merge.on_trade(trade(105.0), 2)
    assert take_ticker(merge, ticker(last=100.0), 3) is None
    assert merge.last_price == 105.0


def test_an_older_trade_that_comes_late_is_not_the_last() -> None:
    merge = TickMerge(C)
    merge.on_trade(trade(105.0, 9), 1)
    assert merge.on_trade(trade(90.0, 8), 2) is None
    merge.on_past_trade(trade(80.0, 7))
    assert merge.last_price == 105.0


def test_a_past_trade_gives_the_price_without_a_tick() -> None:
    merge = TickMerge(C)
    merge.on_past_trade(trade(105.0, 9))
    tick = merge.on_book(((99.0, 1.0),), (), 2, None, 0)
    assert tick is not None and tick.price == 105.0


def test_a_lost_book_gives_way_to_the_ticker() -> None:
    merge = TickMerge(C)
    take_ticker(merge, ticker(), 1)
    merge.on_book(((99.9, 1.0),), (), 2, None, 0)
    assert merge.best == (99.9, None)
    merge.on_book_lost()
    assert merge.best == (99.0, 101.0)
    tick = take_ticker(merge, ticker(), 3)
    assert tick is not None and tick.bids == ((99.0, 1.0),)


def test_after_a_disconnect_no_level_is_known() -> None:
    merge = TickMerge(C)
    take_ticker(merge, ticker(), 1)
    merge.on_disconnect()
    tick = merge.on_trade(trade(100.0), 2)
    assert tick is not None and (tick.bids, tick.asks) == ((), ())


_LEVELS = st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([1.0, 2.0])), max_size=4).map(tuple)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("book"), _LEVELS, _LEVELS),
            st.tuples(st.just("ticker"), st.sampled_from([None, 1.0, 2.0]), _LEVELS),
            st.tuples(st.just("trade"), st.sampled_from([1.0, 2.0]), st.just(())),
            st.tuples(st.just("lost"), st.none(), st.just(())),
        ),
        max_size=40,
    )
)
def test_a_tick_is_told_exactly_when_what_it_says_changes(events: list[tuple[str, object, tuple[Level, ...]]]) -> None:
    merge = TickMerge(C, levels=2)
    told: tuple[object, ...] = (None, (), ())
    book: tuple[tuple[Level, ...], tuple[Level, ...]] | None = None
    for now, (kind, value, levels) in enumerate(events, 1):
        tick = None
        if kind == "book" and isinstance(value, tuple):
            book = value[:2], levels[:2]
            tick = merge.on_book(value, levels, now, None, 0)
        elif kind == "ticker":
            best = levels[0] if levels else None
            last = value if isinstance(value, float) else None
            tick = take_ticker(merge, ticker(last, best, None), now)
        elif kind == "trade" and isinstance(value, float):
            tick = merge.on_trade(trade(value, now), now)
            assert tick is not None
        else:
            book = None
            merge.on_book_lost()
        if tick is not None:
            said = (tick.price, tick.bids, tick.asks)
            assert said != told or kind == "trade"
            assert book is None or (tick.bids, tick.asks) == book
            assert (tick.time, tick.source) == (now, kind)
            told = said
        elif kind == "book":
            assert book == told[1:]


@given(
    st.lists(st.tuples(st.sampled_from([None, 1.0, 2.0]), _LEVELS, _LEVELS, st.integers(0, 3)), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_tickers_taken_together_are_as_taken_one_by_one(
    told: list[tuple[float | None, tuple[Level, ...], tuple[Level, ...], int]], has_book: bool, has_traded: bool
) -> None:
    tickers = [
        ticker(last, *(side[0] if side else None for side in (bids, asks)), flags) for last, bids, asks, flags in told
    ]
    at_once, singly = TickMerge(C), TickMerge(C)
    for merge in (at_once, singly):
        if has_traded:
            merge.on_trade(trade(2.0), 1)
        if has_book:
            merge.on_book(((1.0, 1.0),), (), 2, None, SIZE_ROUNDED)
    one_by_one = [tick for one in tickers for tick in singly.on_tickers([one], 3)]
    assert at_once.on_tickers(tickers, 3) == one_by_one
    assert at_once.best == singly.best and at_once.last_price == singly.last_price
    assert at_once.on_trade(trade(1.0, 9), 9) == singly.on_trade(trade(1.0, 9), 9)
