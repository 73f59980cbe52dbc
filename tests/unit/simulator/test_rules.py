"""Checks of an order's form, by the words of the refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.engine.order import Method
from services.simulator.pairs import PAIRS
from services.simulator.problems import Problem
from services.simulator.rules import read_placement
from tests.unit.simulator.making import ANN, Bench

LIMIT = {"pairSymbol": "BTCUSDT", "orderType": "buy", "orderMethod": "limit", "quantity": "0.5", "price": "100.01"}


def _bench() -> Bench:
    bench = Bench()
    bench.levels(bids=[("100", "9")], asks=[("101", "9")])
    return bench


def _words(**changed: Any) -> str:
    fields = {key: value for key, value in (LIMIT | changed).items() if value is not None}
    with pytest.raises(Problem) as caught:
        read_placement(fields, ANN, _bench().exchange)
    body = caught.value.body
    assert body is not None and caught.value.status == 400
    assert list(body)[:3] == ["httpStatusCode", "data", "success"]
    return caught.value.message


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pairSymbol": "NONETRY"}, "FAILED_ORDER_PARAMETER"),
        ({"pairSymbol": None}, "FAILED_ORDER_PARAMETER"),
        ({"orderMethod": "iceberg"}, "ORDER_METHOD_NOT_SUPPORTED"),
        ({"orderType": "hold"}, "ORDER_TYPE_NOT_SUPPORTED"),
        ({"price": None}, "FAILED_ORDER_PARAMETER"),
        ({"price": "1e2"}, "FAILED_ORDER_PARAMETER"),
        ({"price": "100,5"}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "-1"}, "FAILED_ORDER_PARAMETER"),
        ({"quantity": "0"}, "FAILED_INVALID_QUANTITY_SCALE"),
        ({"quantity": "0.123456789"}, "FAILED_INVALID_QUANTITY_SCALE"),
        ({"price": "100.001"}, "FAILED_INVALID_PRICE_SCALE"),
        ({"pairSymbol": "BTCTRY", "price": "3700000.5"}, "FAILED_INVALID_PRICE_SCALE"),
        ({"quantity": "0.09"}, "FAILED_MIN_TOTAL_AMOUNT"),
        ({"price": "9.99"}, "ORDER_MIN_PRICE_EXCEEDED"),
        ({"price": "1000.01"}, "ORDER_MAX_PRICE_EXCEEDED"),
        ({"price": "10000001"}, "PRICE_MUST_BE_LESS_THAN_MAXPRICE"),
        ({"orderMethod": "market", "quantity": "10.001"}, "FAILED_INVALID_QUANTITY_SCALE"),
        ({"orderMethod": "market", "quantity": "9"}, "FAILED_MIN_TOTAL_AMOUNT"),
        ({"pairSymbol": "ETHUSDT", "orderMethod": "market", "quantity": "50"}, "FAILED_MARKET_ORDER"),
        ({"orderMethod": "stopLimit"}, "FAILED_ORDER_PARAMETER"),
        ({"orderMethod": "stopLimit", "stopPrice": "102.001"}, "FAILED_INVALID_STOP_PRICE_SCALE"),
        ({"orderMethod": "stopLimit", "stopPrice": "99"}, "FAILED_STOP_PRICE_LESS_THAN_BEST_BID"),
        (
            {"orderMethod": "stopLimit", "orderType": "sell", "stopPrice": "102"},
            "FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK",
        ),
    ],
)
def test_the_first_broken_rule_is_named(changed: dict[str, Any], words: str) -> None:
    assert _words(**changed) == words


@pytest.mark.parametrize("method", ["stopLimit", "STOP_LIMIT", "stoplimit"])
def test_methods_are_read_without_case_and_underscores(method: str) -> None:
    wish = read_placement(LIMIT | {"orderMethod": method, "stopPrice": "102"}, ANN, _bench().exchange)
    assert wish.method is Method.STOP_LIMIT


def test_trailing_zeros_and_both_spellings_of_a_pair_pass() -> None:
    wish = read_placement(LIMIT | {"pairSymbol": "btc_usdt", "price": "100.0100"}, ANN, _bench().exchange)
    assert (wish.pair, wish.price) == ("BTCUSDT", Decimal("100.01"))


def test_the_price_of_a_market_order_is_ignored_and_a_client_id_is_made() -> None:
    fields = LIMIT | {"orderMethod": "market", "quantity": "50.25", "price": "nonsense", "newClientOrderId": "lost"}
    wish = read_placement(fields, ANN, _bench().exchange)
    assert (wish.quantity, wish.price) == (Decimal("50.25"), 0)
    assert len(wish.client_id) == 36 and wish.client_id != "lost"


@given(
    st.dictionaries(st.sampled_from([*LIMIT, "stopPrice", "newOrderClientId"]), st.none() | st.text() | st.booleans())
)
def test_any_body_is_taken_or_refused_in_words(changed: dict[str, Any]) -> None:
    try:
        wish = read_placement(LIMIT | changed, ANN, _bench().exchange)
    except Problem as problem:
        assert problem.status == 400 and problem.message
    else:
        assert wish.pair in PAIRS and wish.quantity > 0
