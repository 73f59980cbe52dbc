"""The queue before a sink: every record is accounted for, and comes out in its order, through memory and disk."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collector.item import CLAIM, Item
from services.collector.loss import Loss, claim_of
from services.collector.pipeline import Pipeline
from services.collector.session import Session
from services.collector.sink_queue import BLOCK, End, SinkQueue
from services.collector.spill import Spill
from tests.simulation import ROOT
from tickrouter.config import Recording
from tickrouter.core.coverage import paint
from tickrouter.core.entry_ids import EntryIds
from tickrouter.model.coverage import Claim
from tickrouter.model.trade import Trade
from tickrouter.venues.card import load_card

C = "btcturk/btc.try"


def items(*times: int, kind: str = "trade") -> list[Item]:
    return [Item(C, kind, (1, time), Trade(time, 1.0, 1.0, "b", str(time), C)) for time in times]


def claim(name: str, end: int) -> Item:
    return Item(C, CLAIM, None, Claim(1, C, "trade", 1, name, "live", 0, end, "connected"))


def numbers(batch: list[Item]) -> list[int]:
    return [item.id[1] for item in batch if item.id is not None]


class Disk:
    """A disk that can be full."""

    def __init__(self) -> None:
        self.is_full = False

    def write(self, file: int, data: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return os.write(file, data)


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def drained(queue: SinkQueue) -> list[int]:
    found: list[int] = []
    while batch := queue.take(7):
        queue.settle(stored=batch)
        found += numbers(batch)
    return found


def test_what_is_taken_waits_until_it_is_settled_and_is_taken_again() -> None:
    queue = SinkQueue()
    queue.put(items(1, 2, 3))
    batch = queue.take(2)
    assert batch == items(1, 2)
    assert len(queue) == 3
    queue.settle(stored=batch[:1])
    assert queue.take(2) == batch[1:]
    queue.settle(refused=batch[1:])
    account = {"received": 3, "stored": 1, "queued": 1, "spilled": 0, "refused": 1, "given_up": 0}
    assert queue.accounts() == {"trade": account}
    assert queue.take(2) == items(3)


def test_nothing_comes_is_an_empty_batch() -> None:
    queue = SinkQueue()
    assert queue.take(5, 0.01) == []
    assert not queue.wait(0.01)


def test_the_way_past_the_queue_is_open_only_while_nothing_waits() -> None:
    queue = SinkQueue()
    first, second = items(1, 2), items(3)
    assert queue.begin(first)
    assert not queue.begin(second)
    queue.put(second)
    queue.settle(stored=first[:1])
    assert queue.take(5) == first[1:]
    queue.settle(stored=first[1:])
    assert not queue.begin(items(4))
    assert drained(queue) == [3]
    assert queue.begin(items(4))


@pytest.mark.parametrize(("end", "lost", "next_one"), [("oldest", (1, 3), 4), ("newest", (199, 201), 1)])
def test_without_a_spill_one_end_is_given_up_and_told_once(end: End, lost: tuple[int, int], next_one: int) -> None:
    queue = SinkQueue(200, end=end)
    queue.put(items(*range(1, 201)))
    assert queue.losses() == []
    queue.put(items(201))
    assert queue.losses() == [Loss(C, "trade", 3, *lost, (1, lost[0]), (1, lost[1]))]
    assert queue.losses() == []
    assert queue.take(1) == items(next_one)


def test_records_given_up_by_the_sink_are_told() -> None:
    queue = SinkQueue()
    queue.put(items(1, 2))
    queue.settle(given_up=queue.take(5))
    assert queue.losses() == [Loss(C, "trade", 2, 1, 2, (1, 1), (1, 2))]
    assert queue.is_empty()


def test_a_long_queue_goes_to_disk_whole_and_comes_back_in_order(folder: Path) -> None:
    queue = SinkQueue(10, Spill(folder, 10**6))
    queue.put(items(1, 2, 3))
    assert numbers(queue.take(2)) == [1, 2]
    queue.put(items(*range(4, 15)))
    assert queue.accounts()["trade"]["spilled"] == 14
    queue.put(items(15))
    assert drained(queue) == list(range(1, 16))
    assert queue.is_empty()
    queue.put(items(16))
    account = queue.accounts()["trade"]
    assert (account["queued"], account["spilled"], account["stored"]) == (1, 0, 15)


def test_what_waits_long_in_an_outage_is_on_disk_and_outlives_the_process(folder: Path) -> None:
    time = Time()
    queue = SinkQueue(1000, Spill(folder, 10**6), now=time)
    queue.put(items(1, 2, 3))
    queue.take(2)
    queue.stall()
    assert queue.accounts()["trade"]["spilled"] == 0
    time.now = 1.0
    queue.stall()
    assert queue.accounts()["trade"]["spilled"] == 3
    queue.put(items(4))
    time.now = 1.3
    queue.put(items(5))
    again = SinkQueue(1000, Spill(folder, 10**6))
    assert again.accounts()["trade"] == {
        "received": 5,
        "stored": 0,
        "queued": 0,
        "spilled": 5,
        "refused": 0,
        "given_up": 0,
    }
    assert drained(again) == [1, 2, 3, 4, 5]
    assert list(folder.glob("*.seg")) == []


def test_what_is_kept_at_the_end_is_there_at_the_next_start(folder: Path) -> None:
    queue = SinkQueue(1000, Spill(folder, 10**6))
    queue.put(items(1, 2, 3))
    queue.settle(stored=queue.take(1))
    queue.take(1)
    queue.keep()
    assert drained(SinkQueue(1000, Spill(folder, 10**6))) == [2, 3]


def test_the_oldest_segment_is_given_up_at_the_bound_and_what_the_ledger_is_told_is_not(folder: Path) -> None:
    queue = SinkQueue(10, Spill(folder, 20_000))
    queue.put([*items(*range(11)), claim("one", 11)])
    for start in range(11, 10_000, 500):
        queue.put(items(*range(start, start + 500)))
    losses = queue.losses()
    assert losses and losses[0].since == 0
    assert sum(loss.count for loss in losses) == queue.accounts()["trade"]["given_up"]
    assert sum(file.stat().st_size for file in folder.glob("*.seg")) <= 20_000
    found: list[Item] = []
    while batch := queue.take(1000):
        queue.settle(stored=batch)
        found += batch
    assert [item.record for item in found if item.kind == CLAIM] == [claim("one", 11).record]
    stored = numbers(found)
    assert stored == sorted(stored) and stored[-1] == 10_010
    assert len(stored) + sum(loss.count for loss in losses) == 10_011


def test_what_the_bound_takes_nothing_from_outlives_a_kill(folder: Path) -> None:
    """The block that a sink has in hand, and what the ledger has to be told of the segments that went."""
    queue = SinkQueue(10, Spill(folder, 20_000))
    queue.put(items(*range(11)))
    queue.put([*items(11, 12), claim("one", 11)])
    queue.stall()
    held = queue.take(1000)
    assert numbers(held) == list(range(11))
    for start in range(13, 10_000, 500):
        queue.put(items(*range(start, start + 500)))
    lost = sum(loss.count for loss in queue.losses())
    assert lost > 1000
    account = queue.accounts()["trade"]
    assert account["received"] == sum(account[name] for name in ("stored", "queued", "spilled", "given_up"))
    shutil.copytree(folder, folder / "after a kill")
    after = SinkQueue(10, Spill(folder / "after a kill", 20_000))
    found: list[Item] = []
    while batch := after.take(1000):
        after.settle(stored=batch)
        found += batch
    assert numbers(found)[:11] == numbers(held) and numbers(found) == sorted(numbers(found))
    # Twice, where the rest of the segment with the block in hand is still on disk: harmless to repeat.
    assert {item.record for item in found if item.kind == CLAIM} == {claim("one", 11).record}
    queue.settle(stored=held)
    left = drained(queue)
    assert left == sorted(left) and len(held) + lost + len(left) == account["received"]


@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_what_the_ledger_has_to_be_told_of_a_full_spill_outlives_a_stop(folder: Path, end: End) -> None:
    queue = SinkQueue(10, Spill(folder, 5_000), end=end)
    for start in range(0, 10_000, 1000):
        queue.put([*items(*range(start, start + 1000)), claim("one", start)])
    queue.keep()
    after = SinkQueue(10, Spill(folder, 5_000), end=end)
    found: list[Item] = []
    while batch := after.take(1000):
        after.settle(stored=batch)
        found += batch
    assert max(item.record.end for item in found if isinstance(item.record, Claim)) == 9_000


def test_the_newest_are_given_up_where_that_is_configured(folder: Path) -> None:
    queue = SinkQueue(10, Spill(folder, 5_000), end="newest")
    for start in range(0, 10_000, 1000):
        queue.put([*items(*range(start, start + 1000)), claim("one", start)])
    losses = queue.losses()
    assert losses and losses[-1].until == 9_999
    assert drained(queue) == list(range(losses[0].since))


def test_a_full_disk_leaves_records_in_memory_up_to_a_bound_and_heals(folder: Path) -> None:
    disk = Disk()
    queue = SinkQueue(10, Spill(folder, 10**6, disk.write))
    queue.put(items(*range(12)))
    disk.is_full = True
    for number in range(12, 80, 10):
        queue.put(items(*range(number, number + 10)))
    assert queue.losses() == []
    disk.is_full = False
    assert drained(queue) == list(range(82))
    disk.is_full = True
    for number in range(3 * BLOCK):
        queue.put(items(number))
    lost = sum(loss.count for loss in queue.losses())
    assert BLOCK <= lost < BLOCK + 100
    assert drained(queue) == list(range(lost, 3 * BLOCK))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "stored", "refused", "given_up", "full", "free", "later", "stall", "restart"]),
        st.integers(0, 30),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from(["oldest", "newest"]), st.sampled_from([800, 10**6]))
def test_received_is_the_sum_of_what_became_of_it_and_the_order_holds(
    steps: list[tuple[str, int]], end: End, bound: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        disk, time = Disk(), Time()
        queue = SinkQueue(20, Spill(Path(name), bound, disk.write), end, time)
        taken: list[Item] = []
        out: list[int] = []
        put = 0
        for step, count in steps:
            if step == "put":
                queue.put(items(*range(put, put + count)))
                put += count
            elif step == "take":
                taken = queue.take(count or 1)
            elif step in ("full", "free"):
                disk.is_full = step == "full"
            elif step == "later":
                time.now += count / 10
            elif step == "stall":
                queue.stall()
            elif step == "restart":
                queue.keep()
                out.clear()  # a block that was partly settled is given out again
                taken = []
                queue = SinkQueue(20, Spill(Path(name), bound, disk.write), end, time)
            else:
                queue.settle(**{step: taken[:count]})
                out += numbers(taken[:count])
                del taken[:count]
            account = queue.accounts().get("trade")
            if account is not None:
                parts = ("stored", "queued", "spilled", "refused", "given_up")
                assert account["received"] == sum(account[name] for name in parts)
                assert min(account.values()) >= 0
                assert account["queued"] + account["spilled"] == len(queue)
            assert out == sorted(set(out))


@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_at_the_bound_the_configured_end_goes_and_the_ledger_says_which_interval(folder: Path, end: End) -> None:
    queue = SinkQueue(10, Spill(folder, 20_000), end=end)
    pipeline = Pipeline(C, Recording(), load_card(ROOT / "configs/venues/btcturk.yaml").channels)
    pipeline.session = Session(1, 0, {kind: EntryIds(1) for kind in ("tick", "trade", "book", "feed")})
    pipeline.passed(1)
    for start in range(0, 10_000, BLOCK):
        queue.put(items(*range(start, start + BLOCK)))
    told = [item.record for loss in queue.losses() for item in pipeline.lost(loss, "mongo", 20_000)]
    claims = [record for record in told if isinstance(record, Claim)]
    stored = set(drained(queue))
    gone = set(range(10_000)) - stored
    assert gone and (min(gone) == 0 if end == "oldest" else max(gone) == 9_999)
    missing = [one for one in paint(claims, 0, 10_000) if one.cause.startswith("mongo: ")]
    assert {time for one in missing for time in range(one.start, one.end)} == gone
    assert sum(claim.count for claim in claims) == len(gone)
    assert min(claim.first for claim in claims if claim.first) == (1, min(gone))
    assert max(claim.last for claim in claims if claim.last) == (1, max(gone))


def test_losses_wait_for_whoever_can_tell_them() -> None:
    """Readers share a sink: each asks for the contracts that it records by now, and takes nothing from the others."""
    other = "btcturk/eth.try"
    queue = SinkQueue(2)
    queue.put([*items(1), *(Item(other, "trade", (1, 9), Trade(9, 1.0, 1.0, "b", "9", other)),), *items(2, 3, 4)])
    assert len(queue) < 5
    (lost,) = [loss for loss in queue.losses({C}) if loss.kind == "trade"]
    assert lost.contract == C and queue.losses({C}) == []
    assert [loss.contract for loss in queue.losses({other})] == [other]


def test_what_is_lost_with_the_end_of_the_process_is_told() -> None:
    queue = SinkQueue()
    queue.put(items(1, 2, 3))
    queue.keep()
    (loss,) = queue.losses()
    claim = claim_of(loss, "redis", 9)
    assert claim is not None
    assert (claim.state, claim.first, claim.last, claim.count, claim.note) == ("missing", (1, 1), (1, 3), 3, "redis")
    assert claim_of(Loss(C, "trade", 1, 5, 5), "mongo", 9) is None
