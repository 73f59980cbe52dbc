"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import JUNK
from tickrouter.errors import InvalidValue
from tickrouter.model.moment import nanoseconds, utc

NS = 1_785_585_600_000_000_000
"""2026-08-01 12:00 UTC."""


@pytest.mark.parametrize(
    "moment",
    [
        NS,
        "2026-08-01T12:00:00Z",
        "2026-08-01T12:00:00",
        "2026-08-01 15:00:00+03:00",
        datetime(2026, 8, 1, 12),
        datetime(2026, 8, 1, 12, tzinfo=UTC),
        datetime(2026, 8, 1, 15, tzinfo=timezone(timedelta(hours=3))),
    ],
)
def test_every_form_is_the_same_moment(moment: int | str | datetime) -> None:
    assert nanoseconds("since", moment) == NS


def test_a_day_is_its_beginning_and_zero_is_everything() -> None:
    assert nanoseconds("since", "2026-08-01") == NS - 12 * 3600 * 10**9
    assert nanoseconds("since", 0) == 0


@pytest.mark.parametrize("number", [1_785_585_600, 1_785_585_600_000, 1_785_585_600_000_000])
def test_seconds_milliseconds_and_microseconds_are_refused(number: int) -> None:
    with pytest.raises(InvalidValue, match="not in nanoseconds"):
        nanoseconds("since", number)


@given(JUNK)
def test_junk_raises_nothing_but_invalid_value(junk: object) -> None:
    try:
        moment = nanoseconds("since", junk)
    except InvalidValue:
        return
    assert isinstance(moment, int)


@given(st.datetimes(datetime(1973, 6, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_datetime_reads_back(moment: datetime) -> None:
    assert utc(nanoseconds("since", moment)) == moment
