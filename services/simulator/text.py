"""Numbers as the venue writes them."""

from __future__ import annotations

from decimal import Decimal


def plain(number: Decimal) -> str:
    """Without exponent and needless zeros: `0.2000` is `0.2`."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(number: Decimal, count: int) -> str:
    """With at least `count` decimal places, never rounded: `76.59` with 10 places is `76.5900000000`."""
    text = format(number, "f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(count, '0')}" if count or fraction else whole


def decimals_of(number: Decimal) -> int:
    """Decimal places that the number needs."""
    fraction = plain(number).partition(".")[2]
    return len(fraction)
