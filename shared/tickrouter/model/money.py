"""Decimal numbers as they come from outside: money is never float."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from tickrouter.errors import InvalidValue

MAX_DIGITS = 34
"""Significant digits of Decimal128, in which MongoDB keeps money."""
MAX_PLACES = 18
"""Most decimal places that an order's price or amount may have; an average may have more."""
_MAX_LENGTH = 64
_LEAST_EXPONENT = -60
_SHORT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?\Z")
"""Texts that need no further look: almost all."""
_PLAIN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")


def decimal_of(field: str, value: Any) -> Decimal:
    """Read a plain decimal text.

    Raises:
        InvalidValue: not a text, not a finite number, or with more digits than Decimal128 holds.
    """
    if isinstance(value, str) and _SHORT.match(value):
        return Decimal(value)
    if not isinstance(value, str):
        raise InvalidValue(field, f'is {type(value).__name__}, must be a text such as "0.001": money is never float')
    if len(value) > _MAX_LENGTH:
        raise InvalidValue(field, f"is longer than {_MAX_LENGTH} characters")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidValue(field, f"{value!r} is no decimal number") from None
    if not number.is_finite():
        raise InvalidValue(field, f"{value!r} is not finite")
    if not _PLAIN.match(value):
        raise InvalidValue(field, f"{value!r} is no plain decimal number")
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or not _LEAST_EXPONENT <= exponent <= MAX_DIGITS - len(digits):
        raise InvalidValue(field, f"{value!r} has more than {MAX_DIGITS} digits, or too many places")
    return number


def positive(field: str, value: Any) -> Decimal:
    """`decimal_of`, above zero and with no more places than an order may have.

    Raises:
        InvalidValue: as `decimal_of`, not above zero, or more than `MAX_PLACES` decimal places.
    """
    is_short = isinstance(value, str) and _SHORT.match(value)
    number = Decimal(value) if is_short else decimal_of(field, value)
    if number <= 0:
        raise InvalidValue(field, f"{value} is not above zero")
    if is_short:
        return number
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_PLACES:
        raise InvalidValue(field, f"{value!r} has more than {MAX_PLACES} decimal places")
    return number


def plain(number: Decimal) -> str:
    """The number as text without exponent and without needless zeros: `8.1E-7` becomes `0.00000081`."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
