"""How a client of MongoDB is set up."""

from __future__ import annotations

import pytest

from tickrouter.history.connection import connect


@pytest.mark.parametrize(
    ("options", "selection", "connecting"),
    [
        ("", 2.0, 2.0),
        ("?replicaSet=a", 2.0, 2.0),
        ("?serverSelectionTimeoutMS=100", 0.1, 2.0),
        ("?directConnection=true&connecttimeoutms=300", 2.0, 0.3),
    ],
)
def test_what_the_address_says_of_times_is_kept(options: str, selection: float, connecting: float) -> None:
    with connect(f"mongodb://127.0.0.1:1/{options}", timeout=2.0) as client:
        assert client.options.server_selection_timeout == selection
        assert client.options.pool_options.connect_timeout == connecting
