"""A mirrored pair: what each frame makes of it. Values are made up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.markets.mirror import (
    Effect,
    Mirror,
    NewBook,
    NewLevels,
    NewTrade,
    Rejoin,
    Unread,
    join,
)

D = Decimal
NEW, CHANGED, REMOVED = 1, 0, 3


def items(levels: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"P": price, "A": amount} for price, amount in levels]


def whole(number: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]], channel: str = "obdiff") -> Any:
    return {"CS": number, "PS": None, "channel": channel, "event": "ABCTRY", "BO": items(bids), "AO": items(asks)}


def difference(number: int, bids: list[tuple[str, str, int]], asks: list[tuple[str, str, int]] | None = None) -> Any:
    sides = [[{"P": price, "A": amount, "CP": change} for price, amount, change in side] for side in (bids, asks or [])]
    return {"CS": number, "PS": "ABCTRY", "BO": sides[0], "AO": sides[1]}


def item(number: int, price: str = "5.50", side: int = 1) -> dict[str, Any]:
    return {"I": str(number), "P": price, "A": "2.0000000000", "D": str(1000 + number), "S": side}


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror("ABCTRY")
    assert made.feed(431, whole(10, [("5.00", "1.50"), ("4", "2")], [("6", "3")])) == [
        NewBook([(D(5), D("1.5")), (D(4), D(2))], [(D(6), D(3))])
    ]
    return made


def test_differences_begin_with_the_number_of_the_snapshot(mirror: Mirror) -> None:
    assert mirror.feed(432, difference(9, [("1", "1", NEW)])) == []
    assert mirror.feed(432, difference(10, [("5", "7", CHANGED), ("4", "2", REMOVED)], [("7", "1", NEW)])) == [
        NewLevels([(D(5), D(7)), (D(4), D(0))], [(D(7), D(1))])
    ]
    assert mirror.feed(432, difference(10, [("1", "1", NEW)])) == []
    assert mirror.feed(432, difference(11, [("3", "1", NEW)])) == [NewLevels([(D(3), D(1))], [])]


def test_before_the_snapshot_nothing_is_said() -> None:
    mirror = Mirror("ABCTRY")
    assert mirror.feed(432, difference(10, [("1", "1", NEW)])) == []
    assert mirror.feed(431, whole(10, [("5", "1")], [("6", "1")], "orderbook")) == []


def test_a_gap_empties_the_book_until_a_new_snapshot(mirror: Mirror) -> None:
    assert mirror.feed(432, difference(12, [("1", "1", NEW)])) == [NewBook([], []), Rejoin()]
    assert mirror.feed(432, difference(13, [("1", "1", NEW)])) == []
    assert mirror.feed(431, whole(3, [("5", "1")], [("6", "1")])) == [NewBook([(D(5), D(1))], [(D(6), D(1))])]
    assert mirror.feed(432, difference(3, [("4", "1", NEW)])) == [NewLevels([(D(4), D(1))], [])]


def test_a_lost_connection_makes_the_book_worthless(mirror: Mirror) -> None:
    mirror.lost()
    assert mirror.feed(432, difference(10, [("1", "1", NEW)])) == []


def test_a_full_book_corrects_what_it_covers_and_leaves_what_is_deeper(mirror: Mirror) -> None:
    mirror.feed(432, difference(10, [("3", "9", NEW), ("4.5", "1", NEW)], [("6.5", "1", NEW), ("9", "9", NEW)]))
    full = whole(11, [("5", "1.5"), ("4", "1")], [("6", "3"), ("7", "2")], "orderbook")
    assert mirror.feed(431, full) == [
        NewLevels([(D("4.5"), D(0)), (D(4), D(1))], [(D("6.5"), D(0)), (D(7), D(2))]),
    ]
    assert mirror.feed(431, full) == []
    assert mirror.feed(432, difference(11, [("3", "9", REMOVED)])) == [NewLevels([(D(3), D(0))], [])]


def test_an_older_full_book_is_left_out_and_a_newer_one_sets_the_number(mirror: Mirror) -> None:
    mirror.feed(432, difference(10, [("4.5", "1", NEW)]))
    assert mirror.feed(431, whole(10, [("5", "1.5")], [("6", "3")], "orderbook")) == []
    assert mirror.feed(431, whole(20, [("5", "2")], [("6", "3")], "orderbook")) == [NewLevels([(D(5), D(2))], [])]
    assert mirror.feed(432, difference(19, [("1", "1", NEW)])) == []
    assert mirror.feed(432, difference(20, [("1", "1", NEW)])) == [NewLevels([(D(1), D(1))], [])]


def test_trades_come_oldest_first_and_once(mirror: Mirror) -> None:
    first = mirror.feed(421, {"symbol": "ABCTRY", "items": [item(3), item(2, side=0), item(1)]})
    assert first == [
        NewTrade(D("5.5"), D(2), "buy", 1001),
        NewTrade(D("5.5"), D(2), "sell", 1002),
        NewTrade(D("5.5"), D(2), "buy", 1003),
    ]
    assert mirror.feed(422, {**item(4), "PS": "ABCTRY"}) == [NewTrade(D("5.5"), D(2), "buy", 1004)]
    mirror.lost()
    again = mirror.feed(421, {"symbol": "ABCTRY", "items": [item(6), item(5), item(4), item(3)]})
    assert [effect.time_ms for effect in again if isinstance(effect, NewTrade)] == [1005, 1006]


def test_one_bad_trade_in_a_list_costs_only_itself(mirror: Mirror) -> None:
    found = mirror.feed(421, {"items": [item(3), {**item(2), "P": "x"}, item(1)]})
    kinds: list[type[Effect]] = [type(effect) for effect in found]
    assert kinds == [NewTrade, Unread, NewTrade]
    repaired = mirror.feed(422, item(2))
    assert repaired == [NewTrade(D("5.5"), D(2), "buy", 1002)]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (422, {"I": "1"}),
        (422, {**item(1), "A": "NaN"}),
        (421, {}),
        (431, {"CS": 1, "BO": [{"P": "1"}], "AO": []}),
        (432, {"CS": "x", "BO": [], "AO": []}),
        (432, {"CS": 10, "BO": [{"P": "1", "A": "?", "CP": 1}], "AO": []}),
    ],
)
def test_a_bad_frame_raises_and_changes_nothing(mirror: Mirror, kind: int, body: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        mirror.feed(kind, body)
    assert mirror.feed(432, difference(10, [("1", "1", NEW)])) == [NewLevels([(D(1), D(1))], [])]
    assert mirror.feed(422, item(1)) == [NewTrade(D("5.5"), D(2), "buy", 1001)]


def test_other_frames_say_nothing(mirror: Mirror) -> None:
    assert mirror.feed(402, {"LA": "5"}) == []


LEVELS = st.dictionaries(st.integers(1, 30), st.integers(1, 5), min_size=1, max_size=12)


@given(LEVELS, LEVELS)
def test_after_a_full_book_both_agree_as_far_as_it_reaches(held: dict[int, int], full: dict[int, int]) -> None:
    mirror = Mirror("ABCTRY")
    asks = {price: D(amount) for price, amount in held.items()}
    mirror.feed(431, whole(1, [], [(str(price), str(amount)) for price, amount in held.items()]))
    effects = mirror.feed(431, whole(1, [], [(str(p), str(full[p])) for p in sorted(full)], "orderbook"))
    for effect in effects:
        assert isinstance(effect, NewLevels)
        for price, amount in effect.asks:
            asks[int(price)] = amount
    reach = max(full)
    assert {p: a for p, a in asks.items() if a and p <= reach} == full
    assert {p: a for p, a in asks.items() if p > reach} == {p: a for p, a in held.items() if p > reach}


def test_joining_and_leaving() -> None:
    assert join("obdiff", "ABCTRY") == [151, {"type": 151, "channel": "obdiff", "event": "ABCTRY", "join": True}]
    assert join("trade", "ABCTRY", leave=True)[1] == {"type": 151, "channel": "trade", "event": "ABCTRY", "join": False}
