"""Checks of single fields in maps that anyone may have written."""

from __future__ import annotations

from typing import Any

from tickrouter.errors import InvalidValue


def text(field: str, value: Any) -> str:
    """The value, if it is a text.

    Raises:
        InvalidValue: missing, or of another type.
    """
    if not isinstance(value, str):
        raise InvalidValue(field, "missing" if value is None else f"is {type(value).__name__}, must be a text")
    return value


def int64(field: str, value: Any) -> int:
    """The value, if it is a whole number that 64 bits hold: a time in ns, a number of a sequence.

    Raises:
        InvalidValue: missing, of another type, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(field, "missing" if value is None else f"is {type(value).__name__}, must be a whole number")
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidValue(field, "does not fit into 64 bits")
    return value
