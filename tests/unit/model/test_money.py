"""Decimals from outside."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK
from tickrouter.errors import InvalidValue
from tickrouter.model.money import MAX_PLACES, decimal_of, plain, positive


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.1, "is float.*never float"),
        (1, "is int"),
        (True, "is bool"),
        (None, "is NoneType"),
        (b"1", "is bytes"),
        ("", "no decimal"),
        ("abc", "no decimal"),
        ("NaN", "not finite"),
        ("sNaN", "not finite"),
        ("Infinity", "not finite"),
        ("-inf", "not finite"),
        ("1_000", "no plain decimal"),
        (" 1", "no plain decimal"),
        ("1\n", "no plain decimal"),
        ("١", "no plain decimal"),
        ("1e400", "34 digits"),
        ("1e-400", "34 digits"),
        ("1" * 35, "34 digits"),
        ("1" * 65, "64 characters"),
        ("9" * 30 + "e10", "34 digits"),
    ],
)
def test_what_is_no_plain_number_is_refused_with_a_reason(value: object, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as caught:
        decimal_of("price", value)
    assert caught.value.field == "price"


@pytest.mark.parametrize("text", ["0", "0.0", "-0", "-1", "-0.00000001"])
def test_zero_and_below_are_not_positive(text: str) -> None:
    with pytest.raises(InvalidValue, match="not above zero"):
        positive("amount", text)


def test_an_average_may_have_more_places_than_an_order() -> None:
    third = plain(Decimal(1) / Decimal(3))
    assert decimal_of("average_price", third) == Decimal(third)
    with pytest.raises(InvalidValue, match=f"more than {MAX_PLACES} decimal places"):
        positive("price", third)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15))
def test_plain_text_reads_back_exactly(number: Decimal) -> None:
    text = plain(number)
    assert decimal_of("x", text) == number
    assert "e" not in text.lower()
    assert plain(decimal_of("x", text)) == text


def test_plain_has_no_exponent_and_no_needless_zeros() -> None:
    assert [plain(Decimal(text)) for text in ("8.1E-7", "1E+3", "1.500", "100", "0.00")] == [
        "0.00000081",
        "1000",
        "1.5",
        "100",
        "0",
    ]


@given(st.text(max_size=70) | JUNK)
def test_whatever_is_taken_can_be_written_and_read_again(value: object) -> None:
    try:
        number = decimal_of("x", value)
    except InvalidValue:
        return
    assert decimal_of("x", plain(number)) == number
