"""What is called read had arrived before, and while reading goes on the moment goes on too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.collector.drained import Drained


class Line:
    """A connection at which bytes arrive; it knows when each did."""

    def __init__(self) -> None:
        self.received = 0
        self.times: list[int] = []

    def arrive(self, count: int, now: int) -> None:
        self.times += [now] * count

    def take(self, count: int) -> None:
        self.received = min(len(self.times), self.received + count)

    def waiting(self) -> int:
        return len(self.times) - self.received


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60))
def test_all_that_arrived_before_it_is_read(steps: list[tuple[int, int]]) -> None:
    line, drained, last = Line(), Drained(0), 0
    for now, (arriving, taken) in enumerate(steps, 1):
        line.take(taken)
        until = drained.read(line, now, has_more=line.waiting() > 0)
        assert last <= until <= now
        assert all(time >= until for time in line.times[line.received :])
        last = until
        line.arrive(arriving, now)


def test_it_goes_on_while_more_arrives_than_is_read_at_once() -> None:
    line, drained = Line(), Drained(0)
    line.arrive(100, 0)
    found = []
    for now in range(1, 40):
        line.arrive(10, now)
        line.take(10)
        found.append(drained.read(line, now, has_more=True))
    assert found[-1] >= 20
    assert found == sorted(found)
