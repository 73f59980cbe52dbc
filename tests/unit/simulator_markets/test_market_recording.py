"""Recorded files: every kind of line, and files that are not what they should be."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.markets.number import number
from services.simulator.markets.recording import (
    Levels,
    NotARecording,
    Printed,
    Recording,
    Snapshot,
    Splice,
    Top,
    merged,
    parse,
)
from tests.recordings import diff, snapshot, top, trade, write

D = Decimal
LINES = [
    (1_000, diff(1, 4, 500, [["100.50000000", "2.00000000"]], [["100.60000000", "0.00000000"]])),
    (2_000, top(5, ("100.50000000", "2.00000000"), ("100.70000000", "0.10000000"))),
    (3_000, trade(77, "100.50000000", "0.02000000", 501, sold=True)),
    (4_000, snapshot(4, [["100.50000000", "2.00000000"]], [["100.70000000", "0.10000000"]])),
]
EVENTS = [
    Levels(1_000, "BTCUSDT", 1, 4, [(D("100.5"), D(2))], [(D("100.6"), D(0))], 500),
    Top(2_000, "BTCUSDT", 5, (D("100.5"), D(2)), (D("100.7"), D("0.1"))),
    Printed(3_000, "BTCUSDT", 77, D("100.5"), D("0.02"), "sell", 501),
    Snapshot(4_000, "BTCUSDT", 4, [(D("100.5"), D(2))], [(D("100.7"), D("0.1"))]),
]


def test_each_kind_of_line_is_read_across_gzip_members(tmp_path: Path) -> None:
    recording = Recording.open(write(tmp_path / "a.gz", LINES[:2], LINES[2:]))
    assert recording.symbol == "BTCUSDT"
    assert list(recording.events()) == EVENTS
    assert (recording.unreadable, recording.cut) == (0, False)
    assert list(recording.events()) == EVENTS


def test_the_taker_bought_where_the_buyer_was_not_the_maker(tmp_path: Path) -> None:
    recording = Recording.open(write(tmp_path / "a.gz", [(1, trade(1, "5", "1", 9))]))
    assert [event.taker for event in recording.events() if isinstance(event, Printed)] == ["buy"]


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"12",
        b"x {}",
        b"12 {}",
        b"12 [1]",
        b'12 {"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1}}',
        b'12 {"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1,"p":"NaN","q":"1","T":1,"m":true}}',
        b'12 {"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1,"p":"1,5","q":"1","T":1,"m":true}}',
        b'12 {"stream":"btcusdt@kline","data":{"s":"BTCUSDT"}}',
        b'12 {"stream":"ethusdt@trade","data":{"s":"ETHUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}',
        b'12 {"lastUpdateId":1,"bids":[["1","-"]],"asks":[]}',
        b"\xff\xfe \x00",
    ],
)
def test_an_unreadable_line_is_counted_and_costs_nothing_beside_it(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(ValueError):
        parse(line, "BTCUSDT")
    path = write(tmp_path / "a.gz", LINES[:2])
    path.write_bytes(path.read_bytes() + gzip.compress(line + b"\n") + write(tmp_path / "b.gz", LINES[2:]).read_bytes())
    recording = Recording.open(path)
    assert list(recording.events()) == EVENTS
    assert recording.unreadable == 1


def test_a_cut_file_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", LINES, [(5_000 + at, trade(at, str(at), "1", at)) for at in range(1, 3000)])
    path.write_bytes(path.read_bytes()[:-2000])
    recording = Recording.open(path)
    events = list(recording.events())
    assert recording.cut
    assert events[:4] == EVENTS
    assert recording.unreadable <= 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1 {}\n", "cannot be read as gzip"),
        (gzip.compress(b"a,b\n1,2\n"), "none of its first lines"),
        (gzip.compress(b'1 {"stream":"btcusdt@trade"}\n' * 200), "none of its first lines"),
        (b"", "none of its first lines"),
        (gzip.compress(b"1 {}\n")[:5], "none of its first lines"),
    ],
    ids=["plain text", "a table", "no trades", "empty", "cut"],
)
def test_another_file_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.gz"
    path.write_bytes(content)
    with pytest.raises(NotARecording, match=f"other.gz.*{reason}"):
        Recording.open(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARecording, match="no such file"):
        Recording.open(tmp_path / "none.gz")
    with pytest.raises(NotARecording, match="no such file"):
        Recording.open(tmp_path)


def test_several_files_come_in_the_order_of_the_recorders_clock(tmp_path: Path) -> None:
    one = write(tmp_path / "a.gz", [(at, trade(at, "1", "1", at)) for at in (1, 4, 5)])
    other = write(tmp_path / "b.gz", [(at, trade(at, "1", "1", at, symbol="ETHUSDT")) for at in (2, 3, 6)])
    events = list(merged([Recording.open(one), Recording.open(other)]))
    assert [event.received for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.symbol[0] for event in events] == ["B", "E", "E", "B", "B", "E"]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=8))
def test_numbers_keep_their_value_without_trailing_zeros(value: Decimal) -> None:
    read = number(f"{value:.8f}")
    assert read == value
    assert -int(read.as_tuple().exponent) <= 8
    assert "E" not in str(read) or read == 0 or read.adjusted() < -6


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.data())
def test_a_splice_applies_each_newer_difference_once_whenever_the_snapshot_comes(
    lengths: list[int], data: st.DataObject
) -> None:
    diffs, last = [], 0
    for length in lengths:
        diffs.append(Levels(0, "BTCUSDT", last + 1, last + length, [], [], 0))
        last += length
    at = data.draw(st.integers(0, len(diffs)))
    through = data.draw(st.integers(0, last))
    whole = Snapshot(0, "BTCUSDT", through, [], [])
    splice = Splice()
    applied = [event for item in [*diffs[:at], whole, *diffs[at:]] for event in splice.feed(item)]
    assert applied == [whole, *(event for event in diffs if event.last > through)]
