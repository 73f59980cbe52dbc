"""BTCTurk's market numbers: decimal texts to float64, with what was lost said.

Money never passes here: order prices, sizes, fills and balances are Decimal.
"""

from __future__ import annotations

from math import isfinite

from tickrouter.errors import InvalidValue

DIGITS = 15
"""Significant digits that every float64 carries through the decimal round trip."""

Text = str | int | float
"""A number as the venue may write it: text nearly everywhere, a JSON number where its documents say so."""


class NotRepresentable(InvalidValue):
    """A price with more significant digits than a float64 carries."""


def price(field: str, value: Text) -> float:
    """A price, exact.

    Raises:
        NotRepresentable: more than 15 significant digits.
        InvalidValue: no decimal number, or not above 0.
    """
    text = value if isinstance(value, str) else repr(value)
    number = _number(field, text)
    if len(text) > DIGITS and significant_digits(text) > DIGITS:
        raise NotRepresentable(field, f"{text[:40]} has more than {DIGITS} significant digits")
    if number <= 0:
        raise InvalidValue(field, f"{text[:40]} is no price")
    return number


def size(field: str, value: Text) -> tuple[float, bool]:
    """A size or a 24-hour figure, and True if it was rounded to 15 significant digits.

    Raises:
        InvalidValue: no decimal number, or negative.
    """
    text = value if isinstance(value, str) else repr(value)
    number = _number(field, text)
    if number < 0:
        raise InvalidValue(field, f"{text[:40]} is negative")
    if len(text) > DIGITS and significant_digits(text) > DIGITS:
        return float(f"{number:.{DIGITS}g}"), True
    return number, False


def significant_digits(text: str) -> int:
    """Digits of a decimal text without leading zeros, and without trailing ones."""
    mantissa = text.lower().partition("e")[0]
    return len(mantissa.replace(".", "").lstrip("+-0").rstrip("0"))


def _number(field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InvalidValue(field, f"{text[:40]!r} is no number") from None
    # float() also reads "nan", "inf" and "1_000", none of which a venue writes and means.
    if not isfinite(number) or "_" in text:
        raise InvalidValue(field, f"{text[:40]!r} is no number")
    return number
