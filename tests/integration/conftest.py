"""What tests of several rooms start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tickrouter.history.connection import connect, database, ensure_indexes


@pytest.fixture
def db(mongo_url: str, unique: str) -> Iterator[Any]:
    """A database of its own, with its indexes."""
    with connect(mongo_url) as client:
        base = database(client, unique)
        ensure_indexes(base)
        yield base
        client.drop_database(unique)
