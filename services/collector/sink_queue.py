"""The queue before a sink: first in, first out, bounded, and every record in it is accounted for."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .item import Item

BOUND = 200_000
"""Records that wait for a sink at most, about 100 MB."""
GIVEN_UP_PART = 100
"""When full, one such part of the bound is given up at once: one gap, not thousands."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An interval that was given up."""

    contract: str
    kind: str
    count: int
    since: int
    until: int


@dataclass(slots=True)
class Account:
    """Records of one kind: received = stored + queued + refused + given_up, at any time."""

    received: int = 0
    stored: int = 0
    refused: int = 0
    given_up: int = 0
    queued: int = 0


class SinkQueue:
    """Filled by readers, emptied by one sink thread, which says what became of what it took."""

    def __init__(self, bound: int = BOUND) -> None:
        """Args: bound: records that wait at most."""
        self._bound = bound
        self._items: deque[Item] = deque()
        self._accounts: defaultdict[str, Account] = defaultdict(Account)
        self._losses: list[Loss] = []
        self._news = threading.Condition()
        self._taken = 0

    def put(self, items: Sequence[Item]) -> None:
        """Append; where the bound is passed, the oldest interval is given up."""
        with self._news:
            for item in items:
                account = self._accounts[item.kind]
                account.received += 1
                account.queued += 1
            self._items.extend(items)
            if len(self._items) > self._bound:
                self._give_up(len(self._items) - self._bound + self._bound // GIVEN_UP_PART)
            self._news.notify()

    def take(self, count: int, timeout: float) -> list[Item]:
        """The oldest records, at most `count`; empty if none came within `timeout` seconds. They stay accounted as
        queued until `settle`."""
        with self._news:
            if not self._items:
                self._news.wait(timeout)
            batch = [self._items.popleft() for _ in range(min(count, len(self._items)))]
            self._taken += len(batch)
            return batch

    def settle(
        self, *, stored: Sequence[Item] = (), refused: Sequence[Item] = (), given_up: Sequence[Item] = ()
    ) -> None:
        """Say what became of records that were taken."""
        with self._news:
            for items, name in ((stored, "stored"), (refused, "refused"), (given_up, "given_up")):
                for kind, count in Counter(item.kind for item in items).items():
                    account = self._accounts[kind]
                    setattr(account, name, getattr(account, name) + count)
                    account.queued -= count
                self._taken -= len(items)
            self._losses += _losses(given_up)

    def losses(self) -> list[Loss]:
        """What was given up since the last call."""
        with self._news:
            losses, self._losses = self._losses, []
            return losses

    def wake(self) -> None:
        """Let a waiting `take` return."""
        with self._news:
            self._news.notify_all()

    def accounts(self) -> dict[str, dict[str, int]]:
        """The accounts by kind, all of one moment."""
        with self._news:
            return {kind: asdict(account) for kind, account in sorted(self._accounts.items())}

    def __len__(self) -> int:
        """Records that wait, those taken and not settled included."""
        return len(self._items) + self._taken

    def _give_up(self, count: int) -> None:
        given_up = [self._items.popleft() for _ in range(min(count, len(self._items)))]
        for kind, number in Counter(item.kind for item in given_up).items():
            account = self._accounts[kind]
            account.given_up += number
            account.queued -= number
        self._losses += _losses(given_up)


def _losses(items: Sequence[Item]) -> list[Loss]:
    found: dict[tuple[str, str], Loss] = {}
    for item in items:
        key = item.contract, item.kind
        time = item.record.time
        before = found.get(key, Loss(*key, 0, time, time))
        found[key] = Loss(*key, before.count + 1, min(before.since, time), max(before.until, time))
    return list(found.values())
