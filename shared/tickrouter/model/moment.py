"""Moments as people write them, as int64 nanoseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tickrouter.errors import InvalidValue
from tickrouter.model.fields import int64

Moment = int | str | datetime
"""ns since 1970 UTC, ISO text such as `2026-08-01T12:00:00Z`, or a datetime; without a zone it is UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = 100_000_000_000_000_000
"""March 1973 in ns: a smaller number is seconds, milliseconds or microseconds by mistake."""


def nanoseconds(field: str, moment: Moment) -> int:
    """The moment as ns since 1970 UTC; 0 stands for the beginning of everything.

    Args:
        field: name for the error.
        moment: see `Moment`.

    Raises:
        InvalidValue: no such form, or a number that is not in nanoseconds.
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidValue(field, f"{moment!r} is no ISO time such as 2026-08-01T12:00:00Z") from None
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(moment, float):
        raise InvalidValue(field, f"{moment!r} is a float: give ns as int, a datetime, or ISO text")
    number = int64(field, moment)
    if 0 < abs(number) < _LEAST:
        raise InvalidValue(field, f"{number} is not in nanoseconds since 1970: multiply seconds by 1_000_000_000")
    return number


def utc(ns: int) -> datetime:
    """The moment as a datetime in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)
