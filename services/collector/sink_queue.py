"""The queue before a sink: first in, first out, in memory as long as it is short, else on disk; every record in it is
accounted for.

Order of what waits: what was taken and not settled, then `head` in memory, then the spill, then `tail`, the next block
of the spill. The head is empty whenever the spill is not: when spilling begins, all that waits goes to disk, so that a
kill -9 during an outage loses at most what came within the last moment.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Literal

from tickrouter import logs
from tickrouter.model.coverage import Claim

from .item import LEDGER, Item
from .loss import Loss, losses_of
from .spill import Spill

QUEUED = 20_000
"""Records that wait in memory at most, about 20 MB."""
BLOCK = 1000
"""Records of one block of the spill."""
STALLED = 1.0
"""Seconds that records wait in memory before they go to disk."""
REFUSED_BY_DISK = 10
"""So many times the records that may wait in memory are kept there while the disk takes none."""
GIVEN_UP_PART = 100
"""Without a spill, one such part of the memory is given up at once: one gap, not thousands."""

End = Literal["oldest", "newest"]

_KIND = attrgetter("kind")

_log = logs.get("queue")


@dataclass(slots=True)
class Account:
    """Records of one kind: received = stored + queued + spilled + refused + given_up, at any time."""

    received: int = 0
    stored: int = 0
    queued: int = 0
    spilled: int = 0
    refused: int = 0
    given_up: int = 0


class SinkQueue:
    """Filled by readers, emptied by one sink, which says what became of what it took."""

    def __init__(
        self,
        bound: int = QUEUED,
        spill: Spill | None = None,
        end: End = "oldest",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up, with what an earlier process left in the spill.

        Args:
            bound: records that wait in memory at most.
            spill: where more of them go; None gives up what memory does not hold.
            end: which end is given up when all is full.
            now: seconds of a monotonic clock.
        """
        self._bound = bound
        self._spill = spill
        self._end = end
        self._now = now
        self._head: deque[Item] = deque()
        self._tail: list[Item] = []
        self._told: dict[tuple[str, ...], Item] = {}
        """Of a full queue, what the ledger has to be told all the same: the latest word of each claim."""
        self._taken: dict[int, Item] = {}
        self._begun: tuple[Sequence[Item], Counter[str]] | None = None
        """Taken past the queue, with its counts; nothing else is in hand meanwhile."""
        self._is_from_spill = False
        self._since: float | None = None
        self._tail_since = 0.0
        self._accounts: defaultdict[str, Account] = defaultdict(Account)
        self._losses: list[Loss] = []
        # Two conditions over one lock: what the sink waits for, and what those wait for who fill the queue.
        lock = threading.RLock()
        self._news, self._emptied = threading.Condition(lock), threading.Condition(lock)
        for kind, count in (spill.counts if spill is not None else Counter[str]()).items():
            self._accounts[kind] = Account(received=count, spilled=count)

    def put(self, items: Sequence[Item]) -> None:
        """Append; where the bounds are passed, an interval is given up."""
        with self._news:
            self._unfold()
            self._count(_by_kind(items), "received", "queued")
            self._append(items)
            self._news.notify()

    def begin(self, items: Sequence[Item]) -> bool:
        """Take records past an empty queue, to be settled by the caller; False if any wait, and then nothing happens.

        What the caller does not settle is what `take` gives next.
        """
        with self._news:
            if self._is_waiting():
                return False
            counts = _by_kind(items)
            self._count(counts, "received", "queued")
            self._since = self._now()
            self._is_from_spill = False
            self._begun = items, counts
            return True

    def wait(self, timeout: float) -> bool:
        """Wait until something does, at most `timeout` seconds."""
        with self._news:
            return self._is_waiting() or self._news.wait(timeout)

    def take(self, count: int, timeout: float = 0.0) -> list[Item]:
        """The oldest records, about `count`; empty if none came within `timeout` seconds. They stay accounted as
        waiting until `settle`; while any of them are not settled, they are what is taken again."""
        with self._news:
            if timeout and not self._is_waiting():
                self._news.wait(timeout)
            self._unfold()
            if not self._taken:
                self._fetch(count)
            return list(self._taken.values())

    def settle(
        self, *, stored: Iterable[Item] = (), refused: Iterable[Item] = (), given_up: Iterable[Item] = ()
    ) -> None:
        """Say what became of records that were taken."""
        with self._news:
            was = "spilled" if self._is_from_spill else "queued"
            if self._begun is not None and stored is self._begun[0]:
                # All that was begun is stored, as nearly always: no look at each.
                self._move(self._begun[1], was, "stored")
                self._begun, stored = None, ()
            self._unfold()
            for items, name in ((stored, "stored"), (refused, "refused"), (given_up, "given_up")):
                own = [item for item in items if self._taken.pop(id(item), None) is not None]
                self._move(_by_kind(own), was, name)
                if name == "given_up":
                    self._losses += losses_of(own)
            if self._is_from_spill and not self._taken and self._spill is not None:
                self._spill.settle()
                self._is_from_spill = False
            self._since = self._now() if self._is_waiting() else None
            if self._since is None:
                self._emptied.notify_all()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until nothing waits any more, at most `timeout` seconds."""
        with self._news:
            return self._emptied.wait_for(lambda: not self._is_waiting(), timeout)

    def stall(self) -> None:
        """The sink got nowhere: what has waited for long goes to disk."""
        with self._news:
            self._unfold()
            self._spill_what_is_old()

    def keep(self) -> None:
        """All that waits goes to disk, for the next start; what the disk does not take is given up."""
        with self._news:
            self._unfold()
            self._begin_spilling()
            self._flush()
            if self._spill is not None:
                self._spill_told(self._spill)
            left = [*self._head, *self._tail, *(() if self._is_from_spill else self._taken.values())]
            self._move(_by_kind(left), "queued", "given_up")
            if left:
                self._losses += losses_of(left)
                _log.error("records are lost with the end of the process", lost=str(losses_of(left)))
            self._head, self._tail, self._taken = deque(), [], {}
            if self._spill is not None:
                self._spill.close()

    def losses(self, contracts: Collection[str] | None = None) -> list[Loss]:
        """What was given up since the last call, of some contracts (None: all); of others it stays for who asks."""
        with self._news:
            losses, self._losses = self._losses, []
            if contracts is not None:
                self._losses = [loss for loss in losses if loss.contract not in contracts]
            return [loss for loss in losses if contracts is None or loss.contract in contracts]

    def wake(self) -> None:
        """Let a waiting `take` return."""
        with self._news:
            self._news.notify_all()

    def accounts(self) -> dict[str, dict[str, int]]:
        """The accounts by kind, all of one moment; what the ledger is told is in none."""
        with self._news:
            return {kind: asdict(account) for kind, account in sorted(self._accounts.items())}

    def is_empty(self) -> bool:
        """True if nothing waits, on its way to the sink or before."""
        with self._news:
            return not self._is_waiting()

    def __len__(self) -> int:
        """Records that wait, in memory and on disk, those taken and not settled included."""
        with self._news:
            return sum(account.queued + account.spilled for account in self._accounts.values())

    def _is_waiting(self) -> bool:
        return bool(self._begun or self._taken or self._head or self._spill or self._tail or self._told)

    def _append(self, items: Sequence[Item]) -> None:
        if self._since is None:
            self._since = self._now()
        if self._spill or self._tail:
            if not self._tail:
                self._tail_since = self._now()
            self._tail.extend(items)
        else:
            self._head.extend(items)
            if len(self._head) + len(self._taken) > self._bound:
                self._begin_spilling()
        self._spill_what_is_old()
        room = self._bound if self._spill is None else max(self._bound * REFUSED_BY_DISK, 2 * BLOCK)
        if len(self._head) + len(self._tail) > room:
            self._give_up_memory(len(self._head) + len(self._tail) - room + room // GIVEN_UP_PART)

    def _hold(self, items: Collection[Item]) -> None:
        self._taken = dict(zip(map(id, items), items, strict=True))
        self._is_from_spill = False

    def _unfold(self) -> None:
        """What was begun becomes what was taken, record by record: somebody has to look at it."""
        if self._begun is not None:
            self._hold(self._begun[0])
            self._begun = None

    def _fetch(self, count: int) -> None:
        """Make the oldest records the taken ones."""
        if self._head:
            self._hold([self._head.popleft() for _ in range(min(count, len(self._head)))])
            return
        while self._spill:
            if items := self._spill.first():
                self._hold(items)
                self._is_from_spill = True
                return
            self._lose(self._spill.settle(), "spilled")
        if self._tail:
            self._hold(self._tail[:count])
            del self._tail[:count]
        elif self._told:
            self._hold(self._told.values())
            self._told = {}

    def _spill_what_is_old(self) -> None:
        if self._since is not None and self._now() - self._since >= STALLED:
            self._begin_spilling()
        if len(self._tail) >= BLOCK or (self._tail and self._now() - self._tail_since >= STALLED / 4):
            self._flush()

    def _begin_spilling(self) -> None:
        """All that waits in memory goes to disk, unless some of it is there already."""
        if self._spill is None or self._spill or self._tail:
            return
        self._tail, self._head = list(self._head), deque()
        self._tail_since = self._now()
        self._flush()

    def _flush(self) -> None:
        """Write the tail to disk, block by block, and before it what was taken out of memory."""
        if self._taken and not self._is_from_spill and not self._spill:
            if not self._to_disk(list(self._taken.values())):
                return
            self._is_from_spill = bool(self._spill)
        while self._tail:
            if not self._to_disk(self._tail[:BLOCK]):
                return
            del self._tail[:BLOCK]
        self._tail_since = self._now()

    def _to_disk(self, items: list[Item]) -> bool:
        """One block; False where the disk does not take it: it stays in memory."""
        spill = self._spill
        if spill is None:
            return False
        if self._end == "newest" and not spill.fits(0):
            self._give_up(items)
            return True
        try:
            spill.append(items)
        except OSError as error:
            _log.error("the spill cannot be written, records stay in memory", error=str(error))
            return False
        self._move(_by_kind(items), "queued", "spilled")
        for _ in range(spill.segments if self._end == "oldest" else 0):
            if spill.fits(0):
                break
            self._give_up_spilled(spill)
        return True

    def _give_up_spilled(self, spill: Spill) -> None:
        """The oldest segment; what the sink has in hand is the sink's, and stays on disk until it is settled."""
        losses, told = spill.give_up(is_held=self._is_from_spill)
        self._lose(losses, "spilled")
        self._keep_told(told)
        self._spill_told(spill)

    def _spill_told(self, spill: Spill) -> None:
        """What the ledger has to be told all the same goes to disk: a kill would leave it with what was told before."""
        if self._told:
            try:
                spill.append(list(self._told.values()))
            except OSError as error:
                _log.error("the spill cannot be written, claims stay in memory", error=str(error))
            else:
                self._told = {}

    def _give_up_memory(self, count: int) -> None:
        own: deque[Item] | list[Item] = self._head or self._tail
        given_up = [own[index] for index in (range(count) if self._end == "oldest" else range(-count, 0))]
        kept = list(own)[count:] if self._end == "oldest" else list(own)[:-count]
        if own is self._head:
            self._head = deque(kept)
        else:
            self._tail = kept
        self._give_up(given_up)

    def _give_up(self, items: Sequence[Item]) -> None:
        self._lose(losses_of(items), "queued")
        self._keep_told(items)

    def _lose(self, losses: Iterable[Loss], was: Literal["queued", "spilled"]) -> None:
        for loss in losses:
            account = self._accounts[loss.kind]
            account.given_up += loss.count
            setattr(account, was, getattr(account, was) - loss.count)
            self._losses.append(loss)

    def _keep_told(self, items: Iterable[Item]) -> None:
        for item in items:
            if isinstance(item.record, Claim):
                self._told[item.contract, item.record.kind, item.record.name] = item
            elif item.kind in LEDGER:
                self._told[item.contract, str(item.record)] = item

    def _count(self, counts: Counter[str], *names: str) -> None:
        for kind, count in counts.items():
            account = self._accounts[kind]
            for name in names:
                setattr(account, name, getattr(account, name) + count)

    def _move(self, counts: Counter[str], was: str, name: str) -> None:
        for kind, count in counts.items():
            account = self._accounts[kind]
            setattr(account, was, getattr(account, was) - count)
            setattr(account, name, getattr(account, name) + count)


def _by_kind(items: Iterable[Item]) -> Counter[str]:
    counts = Counter(map(_KIND, items))
    for kind in LEDGER:
        counts.pop(kind, None)
    return counts
