"""Sessions are above every session that can be found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.collector.session import TRIES, SessionOpener
from tickrouter.clock import SystemClock
from tickrouter.core.entry_ids import SESSION_BITS
from tickrouter.history.connection import connect, database
from tickrouter.history.sink import MarketWriter

C = "btcturk/btc.try"
LATE = 4_000_000_000_000
"""A time in ms that no clock here reaches."""


@pytest.fixture
def writer(mongo_url: str, unique: str) -> Iterator[MarketWriter]:
    client = connect(mongo_url)
    yield MarketWriter(database(client, unique))
    client.drop_database(unique)
    client.close()


def opener(folder: Path, writer: MarketWriter) -> SessionOpener:
    return SessionOpener(folder, writer, ("tick", "trade"), SystemClock())


@pytest.fixture
def nobody() -> MarketWriter:
    return MarketWriter(database(connect("mongodb://127.0.0.1:1", timeout=0.05), "nowhere"), timeout=0.05)


def test_the_first_session_is_1(tmp_path: Path, writer: MarketWriter) -> None:
    session = opener(tmp_path, writer).open(C, {})
    assert (session.number, session.ended_ms, session.is_whole) == (1, 0, True)
    assert set(session.ids) == {"tick", "trade", "feed"}


def test_each_place_alone_is_enough(tmp_path: Path, writer: MarketWriter, nobody: MarketWriter) -> None:
    entry = (LATE, (6 << SESSION_BITS) + 3)
    from_stream = opener(tmp_path / "one", nobody).open(C, {"tick": entry})
    assert (from_stream.number, from_stream.ended_ms, from_stream.is_whole) == (7, LATE, False)
    assert from_stream.ids["tick"].next(0) == (LATE, (7 << SESSION_BITS) + 1)
    from_file = opener(tmp_path / "one", nobody).open(C, {})
    assert from_file.number == 8
    assert from_file.ids["trade"].next(0)[0] == LATE
    assert opener(tmp_path / "two", writer).open(C, {}).number == 1
    assert opener(tmp_path / "three", writer).open(C, {}).number == 2


def test_a_broken_file_is_said_and_the_others_are_asked(tmp_path: Path, writer: MarketWriter) -> None:
    opener(tmp_path, writer).open(C, {})
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    assert opener(tmp_path, writer).open(C, {}).number == 2
    assert opener(tmp_path, writer).open(C, {}).number == 3


def test_mongodb_is_given_a_little_time_and_no_more(tmp_path: Path, nobody: MarketWriter) -> None:
    waits: list[int] = []
    session = opener(tmp_path, nobody).open(C, {}, lambda: waits.append(1))
    assert (session.number, session.is_whole, len(waits)) == (1, False, TRIES - 1)
