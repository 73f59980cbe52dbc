"""Decimals out of a venue's text."""

from __future__ import annotations

from decimal import Decimal


def number(text: str) -> Decimal:
    """A decimal without trailing zeros: `0.02000000` is 0.02, `100.00000000` is 100.

    Raises:
        ValueError: not a finite number.
    """
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"not a number: {text!r}") from error
    if not value.is_finite():
        raise ValueError(f"not a number: {text!r}")
    return value
