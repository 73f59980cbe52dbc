"""Spill files: each is cut at every byte, and each write fails, and nothing is lost but what was torn."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector import spill_block
from services.collector.item import CLAIM, FEED, OPENING, Item
from services.collector.spill import Spill
from services.collector.spill_folder import SpillFolder
from tests import strategies
from tickrouter.errors import Unreadable
from tickrouter.model.coverage import Claim, Opening
from tickrouter.model.feed import Feed
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"


def items(*times: int) -> list[Item]:
    return [Item(C, "trade", (1, time), Trade(time, 1.0, 1.0, "b", str(time), C)) for time in times]


def drained(spill: Spill) -> list[int]:
    found = []
    while spill:
        found += [item.id[1] for item in spill.first() if item.id is not None]
        spill.settle()
    return found


@given(st.lists(strategies.TICKS | strategies.TRADES | strategies.BOOKS, max_size=5))
def test_a_block_gives_back_what_was_put_in(records: list) -> None:
    kinds = {"Tick": "tick", "Trade": "trade", "Book": "book"}
    made = [Item(one.contract, kinds[type(one).__name__], (7, index), one) for index, one in enumerate(records)]
    made.append(Item(C, "trade", None, Trade(1, 1.0, 1.0, "b", "1", C, "backfill")))
    made.append(Item(C, FEED, (1, 2), Feed(1, "gap", "why", C, "all", 1)))
    made.append(Item(C, CLAIM, None, Claim(1, C, "tick", 1, "a", "live", 1, 2, "why", (1, 2), (3, 4), 5, True)))
    made.append(Item(C, OPENING, None, Opening(1, C, 2, ("tick",), 3)))
    assert spill_block.decode(spill_block.encode(made)) == made


def test_a_mark_that_outlived_its_file_says_nothing_of_another(tmp_path: Path) -> None:
    """Files have numbers, and begin anew when all are gone; a kill may come between the removal of file and mark."""
    (tmp_path / "00000001.done").write_text("100000")
    Spill(tmp_path, 1_000_000).append(items(1, 2))
    assert drained(Spill(tmp_path, 1_000_000)) == [1, 2]


def test_every_changed_byte_is_noticed() -> None:
    block = spill_block.encode(items(1, 2))
    for index in range(len(block)):
        damaged = bytearray(block)
        damaged[index] ^= 0x01
        with pytest.raises(Unreadable):
            spill_block.decode(bytes(damaged))


def test_first_in_first_out_and_files_go_with_what_they_hold(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 2000)
    for number in range(100):
        if not spill.fits(100):
            break
        spill.append(items(number))
    count = number
    assert count > 5 and len(list(tmp_path.glob("*.seg"))) > 2
    assert spill.counts["trade"] == count
    assert spill.spans() == {(C, "trade"): ((1, 0), (1, count - 1))}
    assert drained(spill) == list(range(count))
    assert spill.size == 0 and list(tmp_path.iterdir()) == []


def test_a_start_goes_on_behind_what_was_settled(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 10**6)
    for number in range(5):
        spill.append(items(number))
    for _ in range(3):
        spill.first()
        spill.settle()
    again = Spill(tmp_path, 10**6)
    again.append(items(5))
    assert drained(again) == [3, 4, 5]


def test_a_file_cut_at_every_byte_gives_every_whole_block_and_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    spill = Spill(whole, 10**6)
    ends = []
    for number in range(3):
        spill.append(items(2 * number, 2 * number + 1))
        ends.append(spill.size)
    (file,) = whole.glob("*.seg")
    data = file.read_bytes()
    for cut in range(len(data) + 1):
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / file.name).write_bytes(data[:cut])
        again = Spill(folder, 10**6)
        again.append(items(99))
        blocks = sum(end <= cut for end in ends)
        assert drained(again) == [*range(2 * blocks), 99]
        shutil.rmtree(folder)


@pytest.mark.parametrize("part", [0, 1, 20, 10_000])
def test_each_write_that_fails_changes_nothing_and_the_next_one_goes_on(tmp_path: Path, part: int) -> None:
    for failing in range(6):
        calls = 0

        def write(file: int, data: bytes, failing: int = failing) -> int:
            nonlocal calls
            calls += 1
            if calls - 1 == failing:
                os.write(file, data[:part])
                raise OSError(errno.ENOSPC, "no space left on device")
            return os.write(file, data)

        folder = tmp_path / str(failing)
        spill = Spill(folder, 10**6, write)
        written = []
        for number in range(6):
            try:
                spill.append(items(number))
            except OSError:
                continue
            written.append(number)
        assert written == [number for number in range(6) if number != failing]
        recovered = drained(Spill(folder, 10**6))
        # The bytes of a failed write may all have arrived: such a record is given out too, which harms nobody.
        has_arrived = part == 10_000 and failing > 0
        assert recovered == (list(range(6)) if has_arrived else written)


def test_a_short_write_is_gone_on_with(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 10**6, lambda file, data: os.write(file, data[:7]))
    spill.append(items(1, 2, 3))
    assert drained(Spill(tmp_path, 10**6)) == [1, 2, 3]


def test_a_marker_that_is_torn_gives_out_again(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 10**6)
    spill.append(items(1))
    spill.append(items(2))
    spill.first()
    spill.settle()
    (marker,) = tmp_path.glob("*.done")
    marker.write_text("")
    assert drained(Spill(tmp_path, 10**6)) == [1, 2]


def test_a_block_that_the_disk_does_not_give_back_is_left_to_the_owner(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 10**6)
    spill.append(items(1, 2))
    (file,) = tmp_path.glob("*.seg")
    file.write_bytes(b"x" * file.stat().st_size)
    assert spill.first() == []
    (loss,) = spill.settle()
    assert (loss.count, loss.first, loss.last) == (2, (1, 1), (1, 2))


def test_each_process_has_a_folder_of_its_own_and_takes_over_what_dead_ones_left(tmp_path: Path) -> None:
    first, second = SpillFolder(tmp_path), SpillFolder(tmp_path)
    assert first.path != second.path
    for number, folder in enumerate((first, second)):
        Spill(folder.path / "mongo", 10**6).append(items(number))
    first.release()
    second.release()
    heir = SpillFolder(tmp_path)
    assert drained(Spill(heir.path / "mongo", 10**6)) == [0, 1]
    heir.release()
