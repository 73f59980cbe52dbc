"""Decimal numbers as they come from outside: money is never float."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from tickrouter.errors import InvalidValue

MAX_DIGITS = 34
"""Significant digits of Decimal128, in which MongoDB keeps money."""
MAX_EXPONENT = 18
"""Most decimal places, and most zeros behind the digits, that an amount may have."""


def decimal_of(field: str, value: Any) -> Decimal:
    """Read a plain decimal text.

    Raises:
        InvalidValue: not a text, not a finite number, or with more digits than Decimal128 holds.
    """
    if not isinstance(value, str):
        raise InvalidValue(field, f'is {type(value).__name__}, must be a text such as "0.001": money is never float')
    if len(value) > 64:
        raise InvalidValue(field, "is longer than 64 characters")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidValue(field, f"{value!r} is no decimal number") from None
    if not number.is_finite():
        raise InvalidValue(field, f"{value!r} is not finite")
    exponent = number.as_tuple().exponent
    if len(number.as_tuple().digits) > MAX_DIGITS or not isinstance(exponent, int) or abs(exponent) > MAX_EXPONENT:
        raise InvalidValue(field, f"{value!r} has more than {MAX_DIGITS} digits or {MAX_EXPONENT} places")
    return number


def positive(field: str, value: Any) -> Decimal:
    """`decimal_of`, above zero.

    Raises:
        InvalidValue: as `decimal_of`, or not above zero.
    """
    number = decimal_of(field, value)
    if number <= 0:
        raise InvalidValue(field, f"{value} is not above zero")
    return number


def plain(number: Decimal) -> str:
    """The number as text without exponent and without needless zeros: `8.1E-7` becomes `0.00000081`."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
