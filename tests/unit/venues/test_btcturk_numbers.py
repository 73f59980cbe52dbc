"""Texts to float64, and what was lost on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.errors import InvalidValue
from tickrouter.venues.btcturk.numbers import NotRepresentable, price, significant_digits, size


@pytest.mark.parametrize(
    ("text", "digits"),
    [("0", 0), ("0.0010", 1), ("40670.0000000000", 4), ("123456789012345", 15), ("1.5e-7", 2), ("-12.30", 3)],
)
def test_leading_and_trailing_zeros_are_not_significant(text: str, digits: int) -> None:
    assert significant_digits(text) == digits


def test_a_price_of_15_digits_is_taken_whatever_its_zeros() -> None:
    assert price("P", "123456.789012345") == 123456.789012345
    assert price("P", "76.5900000000000000000000") == 76.59
    assert price("P", 0.1) == 0.1


def test_a_price_of_16_digits_is_quarantined() -> None:
    with pytest.raises(NotRepresentable, match="more than 15"):
        price("P", "1234567.890123456")


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e999", "1_000", "0x10", "12,5", "0", "-1", "0.000"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        price("P", text)


def test_a_size_is_rounded_and_says_so() -> None:
    assert size("A", "0.12345678901234567") == (0.123456789012346, True)
    assert size("A", "15.3700000000000000000") == (15.37, False)
    assert size("A", "0") == (0.0, False)
    with pytest.raises(InvalidValue, match="negative"):
        size("A", "-0.1")


@given(st.decimals(min_value="0.00000001", max_value="99999999", places=8))
def test_every_price_that_is_taken_comes_back_as_it_was(value: Decimal) -> None:
    text = f"{value:f}"
    try:
        taken = price("P", text)
    except NotRepresentable:
        assert len(value.normalize().as_tuple().digits) > 15
    else:
        assert Decimal(f"{taken:.15g}") == value
