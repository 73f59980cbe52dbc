"""Frames read in one step say what the closer look says, which a space before a frame is enough to bring about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tickrouter.core.market import BookDiff, BookSnapshot, MarketFact, Refused, TickerSeen, TradeSeen, Unread
from tickrouter.model.contract import Contract
from tickrouter.venues.btcturk.market import TOGETHER, BtcturkMarket
from tickrouter.venues.btcturk.plain import HEAD, Meaning, read_diff, read_start, read_ticker, read_tickers, read_trade
from tickrouter.venues.card import load_card

CARD = load_card(Path(__file__).parents[3] / "configs/venues/btcturk.yaml")
MARKET = BtcturkMarket(CARD, [Contract.parse("btcturk/btc.try")])
MEANING = Meaning({"BTCTRY": "btcturk/btc.try"}, {0: "s", 1: "b"})
NOW = 1_700_000_000_000_000_000

decimals = st.decimals(min_value=0, max_value=10**7, places=8).map(lambda number: format(number, "f"))
_ODD_TEXTS = """0 0.0
0.00000000 -1 -0 nan inf 1_0 1e5 1e400 1e-400 x +1 123456789012345 1234567890123456 1234567.89012345
12345678.90123456 2000000.0000000000 ٠١ 00012 0.1234567890123456 1000000000000000000 99999999999999999999.5"""
odd: st.SearchStrategy[Any] = st.sampled_from((*_ODD_TEXTS.split(), "", " 1", 1, 1.5, 0, None, True, []))
numbers: st.SearchStrategy[Any] = st.one_of(decimals, decimals, decimals, odd)
pairs: st.SearchStrategy[Any] = st.sampled_from(("BTCTRY", "BTCTRY", "BTCTRY", "ETHTRY", "BTC_TRY", None))


def _of(fact: MarketFact) -> MarketFact:
    """What a fact says: without the space, and with all that was left unread."""
    if isinstance(fact, Refused):
        return replace(fact, data=fact.data.strip())
    if isinstance(fact, BookSnapshot) and isinstance(fact.bids, Unread) and isinstance(fact.asks, Unread):
        (bids, one), (asks, other) = fact.bids.rest(), fact.asks.rest()
        assert fact.bids.head == bids[:HEAD] and fact.asks.head == asks[:HEAD]
        return replace(fact, bids=bids, asks=asks, flags=one | other)
    return fact


def same(kind: int, body: dict[str, Any]) -> None:
    text = json.dumps([kind, body]).encode()
    quickly, closely = MARKET.decode(text, NOW), MARKET.decode(b" " + text, NOW)
    assert [_of(fact) for fact in quickly] == [_of(fact) for fact in closely]
    assert all(type(one) is type(other) for one, other in zip(quickly, closely, strict=True))


@settings(max_examples=300)
@given(
    st.fixed_dictionaries({"PS": pairs}, optional=dict.fromkeys(("LA", "B", "A", "BA", "AA", "V"), numbers)),
    st.lists(numbers, min_size=6, max_size=6),
)
def test_tickers(fields: dict[str, Any], others: list[Any]) -> None:
    same(402, {"B": "1", "A": "2", "BA": "3", "AA": "4", "LA": "1.5", "V": "7", **fields})
    same(402, {"PS": "BTCTRY", **dict(zip(("LA", "B", "A", "BA", "AA", "V"), others, strict=True))})
    same(402, fields)


short = st.integers(1, 10**9).map(lambda number: f"{number // 100}.{number % 100:02}")
tickers = st.fixed_dictionaries({"PS": st.just("BTCTRY"), **dict.fromkeys(("LA", "B", "A", "BA", "AA", "V"), short)})


@settings(max_examples=100)
@given(
    st.lists(tickers, min_size=TOGETHER - 1, max_size=3 * TOGETHER),
    st.lists(
        st.tuples(st.integers(0, 40), st.fixed_dictionaries({"PS": pairs, "B": numbers, "LA": numbers})), max_size=3
    ),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_tickers_that_came_together_say_what_each_says(
    found: list[dict[str, Any]], others: list[tuple[int, dict[str, Any]]], diffs: list[int]
) -> None:
    frames = [json.dumps([402, body]).encode() for body in found]
    for place, fields in others:
        frames.insert(place, json.dumps([402, found[0] | fields]).encode())
    for place in diffs:
        frames.insert(place, b'[432,{"CS":7,"PS":"BTCTRY","AO":[],"BO":[]}]')
    assert MARKET.decode_all(frames, NOW) == [fact for frame in frames for fact in MARKET.decode(frame, NOW)]
    own = [frame for frame in frames if frame.startswith(b"[402,")]
    singly = [read_ticker(MEANING, frame, NOW) for frame in own]
    assert read_tickers(MEANING, own) == (None if None in singly else singly)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {"PS": pairs, "P": numbers, "A": numbers},
        optional={
            "S": st.one_of(st.integers(-1, 2), st.sampled_from(("0", "1", None, True))),
            "I": st.one_of(st.integers(0, 10**19), st.text(max_size=66)),
            "D": st.one_of(st.integers(-1, 10**20), st.integers(0, 10**13).map(str), odd),
        },
    )
)
@example({"PS": "BTCTRY", "P": "2780000.0000000000", "A": "0.0120000000", "S": 1, "I": "9", "D": "1700000000123"})
def test_trades(fields: dict[str, Any]) -> None:
    same(422, {"S": 0, "I": "900000000000000001", "D": "1700000000123", **fields})
    same(422, fields)


changes: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from((0, 1, 3)), st.sampled_from((2, 4, -1, "1", None, 1.0, True))
)
levels = st.fixed_dictionaries({"P": numbers, "A": numbers}, optional={"CP": changes})
plain_levels = st.fixed_dictionaries({"P": decimals, "A": decimals, "CP": st.sampled_from((0, 1, 3))})


@settings(max_examples=300)
@given(
    pairs,
    st.one_of(st.integers(-(2**64), 2**64), st.sampled_from(("5", "x", None, 1.5))),
    st.lists(st.one_of(plain_levels, plain_levels, levels), max_size=4),
    st.lists(plain_levels, max_size=4),
)
def test_differences(pair: Any, number: Any, one: list[Any], other: list[Any]) -> None:
    same(432, {"PS": pair, "CS": number, "AO": one, "BO": other})
    same(432, {"PS": "BTCTRY", "CS": 7, "AO": other, "BO": one})


def _side(prices: list[int], sign: int, size: str) -> list[dict[str, Any]]:
    return [{"A": size, "P": str(1000 + sign * price)} for price in sorted(set(prices))]


places = st.lists(st.integers(1, 400), max_size=12)


@settings(max_examples=200)
@given(places, places, numbers, st.sampled_from(("obdiff", "orderbook", "x", None)), pairs)
def test_starts_of_a_book(bids: list[int], asks: list[int], first: Any, channel: Any, pair: Any) -> None:
    body = {"CS": 5, "PS": pair, "AO": _side(asks, 1, "1.5"), "BO": _side(bids, -1, "0.12345678"), "channel": channel}
    same(431, body)
    if body["BO"]:
        body["BO"][0]["A"] = first
        same(431, body)


def test_of_a_long_start_only_the_best_levels_are_read() -> None:
    body = {"CS": 5, "PS": "BTCTRY", "AO": _side(list(range(1, 50)), 1, "1"), "channel": "obdiff"}
    body["BO"] = _side(list(range(1, 50)), -1, "2")
    fact = read_start(MEANING, json.dumps([431, body]).encode(), NOW)
    assert isinstance(fact, BookSnapshot) and isinstance(fact.bids, Unread)
    assert fact.bids.head == ((999.0, 2.0), (998.0, 2.0), (997.0, 2.0), (996.0, 2.0), (995.0, 2.0))
    assert len(fact.bids.rest()[0]) == 49
    body["BO"].reverse()
    assert read_start(MEANING, json.dumps([431, body]).encode(), NOW) is None


def test_what_is_plain_is_read_in_one_step() -> None:
    ticker = {"PS": "BTCTRY", "B": "1", "A": "2.50", "BA": "3", "AA": "4", "LA": "1.5", "V": "473.27239993"}
    trade = {"P": "2780000.0000000000", "A": "0.0120000000", "S": 1, "I": "9", "D": "1700000000123", "PS": "BTCTRY"}
    change = {"P": "1.5", "A": "2", "CP": 3}
    frames = [json.dumps([kind, body]).encode() for kind, body in ((402, ticker), (422, trade))]
    assert type(read_ticker(MEANING, frames[0], NOW)) is TickerSeen
    assert type(read_trade(MEANING, frames[1], NOW)) is TradeSeen
    diff = read_diff(MEANING, json.dumps([432, {"PS": "BTCTRY", "CS": 7, "AO": [change], "BO": []}]).encode(), NOW)
    assert diff == BookDiff("btcturk/btc.try", 7, (), ((1.5, 0.0),))


def test_a_price_that_a_float_does_not_carry_is_quarantined_as_ever() -> None:
    ticker = {"PS": "BTCTRY", "B": "1", "A": "2", "BA": "3", "AA": "4", "LA": "1.2345678901234567", "V": "7"}
    (refused,) = MARKET.decode(json.dumps([402, ticker]).encode(), NOW)
    assert isinstance(refused, Refused) and refused.kind == "quarantine"
