"""Bars from trades."""

from __future__ import annotations

import random
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.errors import InvalidValue
from tickrouter.history.bars import PERIODS, combine, moment, resample
from tickrouter.model.bar import Bar
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
TIME = 1_785_585_600_000_000_000
SECOND = 1_000_000_000


def trade(number: int, second: float, price: float, size: float = 1.0) -> Trade:
    at = TIME + int(second * SECOND)
    return Trade(at + 7, price, size, "b", str(number), C, "live", at)


TRADES = st.lists(
    st.builds(
        trade,
        st.integers(1, 10**6),
        st.integers(0, 200_000).map(lambda ms: ms / 1000),
        st.integers(1, 10_000).map(lambda cents: cents / 100),
        st.integers(1, 10_000).map(lambda parts: parts / 1000),
    ),
    unique_by=lambda one: one.trade_id,
    max_size=60,
)


def test_a_bar_is_what_the_trades_of_its_period_say() -> None:
    trades = [
        trade(4, 59.999, 104, 0.1),
        trade(1, 0, 100, 0.2),
        trade(2, 1, 107, 0.3),
        trade(3, 2, 99),
        trade(5, 60, 9),
    ]
    minute, later = resample(trades, "1m")
    amount = fsum([104 * 0.1, 100 * 0.2, 107 * 0.3, 99])
    assert minute == Bar(TIME, "1m", 100, 107, 99, 104, fsum([0.1, 0.2, 0.3, 1.0]), C, amount, 4)
    assert (later.time, later.open, later.trades) == (TIME + 60 * SECOND, 9, 1)


def test_trades_of_one_moment_count_by_their_ids() -> None:
    (bar,) = resample([trade(10, 1, 3), trade(9, 1, 2), trade(8, 1, 5)], "1s")
    assert (bar.open, bar.close) == (5, 3)


def test_our_clock_counts_where_the_venue_says_no_time() -> None:
    assert moment(Trade(TIME, 1, 1, "b", "1", C)) == TIME
    assert moment(trade(1, 5, 1)) == TIME + 5 * SECOND


def test_other_periods_are_refused() -> None:
    with pytest.raises(InvalidValue, match="'2m' is not one of 1s, 1m, 5m, 1h, 1d"):
        resample([], "2m")
    with pytest.raises(InvalidValue, match="period"):
        combine([], "1w")


@given(TRADES, st.sampled_from(list(PERIODS)), st.integers())
def test_the_order_in_which_trades_are_given_says_nothing(trades: list[Trade], period: str, seed: int) -> None:
    shuffled = random.Random(seed).sample(trades, len(trades))
    assert resample(shuffled, period) == resample(trades, period)


@given(TRADES)
def test_longer_bars_are_made_of_shorter_ones(trades: list[Trade]) -> None:
    minutes = resample(trades, "1m")
    for period in ("5m", "1h", "1d"):
        combined, whole = combine(minutes, period), resample(trades, period)
        for one, other in zip(combined, whole, strict=True):
            assert one.volume == pytest.approx(other.volume, rel=1e-12)
            assert one.amount == pytest.approx(other.amount, rel=1e-12)
            names = ("time", "period", "open", "high", "low", "close", "trades", "contract")
            assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
