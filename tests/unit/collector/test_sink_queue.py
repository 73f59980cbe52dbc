"""The bounded queue: every record is accounted for, at any time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.collector.item import Item
from services.collector.sink_queue import Loss, SinkQueue
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"


def items(*times: int, kind: str = "trade") -> list[Item]:
    return [Item(C, kind, (1, time), Trade(time, 1.0, 1.0, "b", str(time), C)) for time in times]


def test_what_is_taken_stays_queued_until_it_is_settled() -> None:
    queue = SinkQueue()
    queue.put(items(1, 2, 3))
    batch = queue.take(2, 0.0)
    assert batch == items(1, 2)
    assert len(queue) == 3
    queue.settle(stored=batch[:1], refused=batch[1:])
    assert queue.accounts() == {"trade": {"received": 3, "stored": 1, "refused": 1, "given_up": 0, "queued": 1}}
    assert len(queue) == 1


def test_nothing_comes_is_an_empty_batch() -> None:
    assert SinkQueue().take(5, 0.01) == []


def test_the_oldest_interval_is_given_up_and_told_once() -> None:
    queue = SinkQueue(bound=200)
    queue.put(items(*range(1, 201)))
    assert queue.losses() == []
    queue.put(items(201))
    assert queue.losses() == [Loss(C, "trade", 3, 1, 3)]
    assert queue.losses() == []
    assert queue.take(1, 0.0) == items(4)
    assert queue.accounts()["trade"]["given_up"] == 3


def test_records_given_up_by_the_sink_are_told_too() -> None:
    queue = SinkQueue()
    queue.put(items(1, 2))
    queue.settle(given_up=queue.take(5, 0.0))
    assert queue.losses() == [Loss(C, "trade", 2, 1, 2)]
    assert len(queue) == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "stored", "refused", "given_up"]), st.integers(0, 30))))
def test_received_is_the_sum_of_what_became_of_it(steps: list[tuple[str, int]]) -> None:
    queue = SinkQueue(bound=40)
    taken: list[Item] = []
    put = 0
    for step, count in steps:
        if step == "put":
            queue.put(items(*range(put, put + count), kind="tick"))
            put += count
        elif step == "take":
            taken += queue.take(count, 0.0)
        else:
            queue.settle(**{step: taken[:count]})
            del taken[:count]
        account = queue.accounts().get("tick")
        if account is not None:
            assert account["received"] == put
            assert put == sum(account[name] for name in ("stored", "queued", "refused", "given_up"))
            assert account["queued"] == len(queue)
            assert len(queue) - len(taken) <= 40
