"""What the tests of the markets share."""

from __future__ import annotations

import pytest

from tests.engine_venue import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()
