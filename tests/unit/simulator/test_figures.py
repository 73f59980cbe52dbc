"""Numbers as the venue writes them, candles, tickers and pairs."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.accounts import charges
from services.simulator.candles import MINUTE_MS, Candles
from services.simulator.engine.events import TradePrinted
from services.simulator.frames import encode, exact, ticker_figures
from services.simulator.pairs import PAIRS, exchange_info, find_pair
from services.simulator.tape import Tape
from services.simulator.text import decimals_of, places, plain

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9)


def _trade(minute: float, price: str, amount: str = "1") -> TradePrinted:
    return TradePrinted("BTCUSDT", 1, Decimal(price), Decimal(amount), "buy", int(minute * MINUTE_MS))


@pytest.mark.parametrize(
    ("number", "text"), [("1E-8", "0.00000001"), ("0.2000", "0.2"), ("100", "100"), ("1E+2", "100")]
)
def test_plain_has_neither_exponent_nor_needless_zeros(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@given(NUMBERS, st.integers(0, 16))
def test_no_text_loses_a_digit(number: Decimal, count: int) -> None:
    assert Decimal(plain(number)) == Decimal(places(number, count)) == number
    assert len(places(number, count).partition(".")[2]) >= count
    assert (
        Decimal(json.loads(encode(1, {"n": exact(number)}), parse_float=Decimal, parse_int=Decimal)[1]["n"]) == number
    )


def test_decimals_count_what_is_needed() -> None:
    assert [decimals_of(Decimal(text)) for text in ("1", "1.0", "1.50", "1E-8")] == [0, 0, 1, 8]


def test_charges_are_cut_to_eight_places() -> None:
    assert charges(Decimal("209.3448"), "maker") == (Decimal("0.10467240"), Decimal("0.02093448"))


def test_candles_join_minutes_and_leave_out_empty_ones() -> None:
    candles = Candles(PAIRS)
    candles.record([_trade(0.1, "10"), _trade(0.9, "12", "3"), _trade(2.5, "8"), _trade(5, "9")])
    minutes = candles.history("BTCUSDT", MINUTE_MS, 0, 4 * MINUTE_MS)
    assert [(bar.start_ms // MINUTE_MS, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in minutes] == [
        (0, 10, 12, 10, 12, 4),
        (2, 8, 8, 8, 8, 1),
    ]
    (five, ten) = candles.history("BTCUSDT", 5 * MINUTE_MS, 0, 9 * MINUTE_MS)
    assert (five.open, five.high, five.low, five.close, five.total) == (10, 12, 8, 8, 54)
    assert ten.start_ms == 5 * MINUTE_MS


def test_the_day_is_the_last_24_hours() -> None:
    candles = Candles(PAIRS)
    candles.record([_trade(0, "10"), _trade(60, "20"), _trade(1440, "30")])
    day = candles.day("BTCUSDT", 1441 * MINUTE_MS)
    assert day is not None and (day.open, day.high, day.close) == (20, 30, 30)
    assert candles.day("BTCUSDT", 9999 * MINUTE_MS) is None
    assert candles.day("ETHUSDT", 0) is None


def test_daily_is_ask_less_open_but_the_percentage_is_of_last() -> None:
    """As in the capture of BTCUSDT (BTCTurk reference, section 1.4): 1829 and 2.32 at last 79152, open 77356."""
    candles = Candles(PAIRS)
    candles.record([_trade(0, "77356"), _trade(1, "79152")])
    level = Decimal(1)
    figures = ticker_figures(
        Decimal(79152), candles.day("BTCUSDT", MINUTE_MS), (Decimal(79164), level), (Decimal(79185), level)
    )
    assert (figures["daily"], figures["percent"]) == (1829, Decimal("2.32"))


def test_the_tape_counts_all_and_shows_the_newest_first() -> None:
    tape = Tape(PAIRS)
    tape.record([_trade(number, str(number + 1)) for number in range(1200)])
    assert tape.counts["BTCUSDT"] == 1200
    assert [trade.price for trade in tape.latest("BTCUSDT", 2)] == [1200, 1199]
    assert len(tape.all("BTCUSDT")) == 1000


def test_pairs_are_found_in_both_spellings() -> None:
    assert find_pair("btc_usdt") is find_pair("BTCUSDT") is PAIRS["BTCUSDT"]
    assert find_pair("NONE") is None


def test_scales_carry_recorded_prices_and_whole_lira() -> None:
    rows = {row["name"]: row for row in exchange_info(1, {})["symbols"]}
    assert (rows["BTCUSDT"]["hasFraction"], rows["BTCUSDT"]["denominatorScale"]) == (True, 2)
    assert (rows["BTCTRY"]["hasFraction"], rows["BTCTRY"]["denominatorScale"]) == (False, 0)


def test_limits_of_price_follow_the_market() -> None:
    (row,) = (row for row in exchange_info(1, {"ETHUSDT": Decimal(3000)})["symbols"] if row["name"] == "ETHUSDT")
    assert (row["minimumLimitOrderPrice"], row["maximumLimitOrderPrice"]) == (300, 30000)
