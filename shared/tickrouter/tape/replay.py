"""The past as if it were live: stored records published under another prefix, with the spacing that they had."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tickrouter.bus.codec import pack_record
from tickrouter.bus.publish import Entry, Publisher
from tickrouter.clock import Clock
from tickrouter.core.coverage import holes
from tickrouter.core.entry_ids import EntryIds, next_session, session_of
from tickrouter.errors import RedisForgot, StorageError
from tickrouter.history.bars import PERIODS
from tickrouter.history.coverage import coverage
from tickrouter.history.queries import History
from tickrouter.model.feed import Feed
from tickrouter.model.record import Record

BATCH = 500
"""Records of one write."""
LEASE_MS = 5000
RENEW = 1.0
"""Seconds without a record after which the lease is renewed."""


class Due(NamedTuple):
    """A record and the moment at which it became known, ns since 1970 UTC."""

    at: int
    number: int
    contract: str
    kind: str
    record: Record


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is: up to which moment of the past, ns, and how many records went out."""

    at: int
    records: int


def recorded(db: Any, contract: str, kinds: Sequence[str], start: int, end: int) -> Iterator[Due]:
    """Stored records that became known in start <= moment < end, in that order.

    Ticks, trades and books became known when they were received, bars when their period was over. Where the ledger
    says that something is missing, a feed record with state `gap` stands at the beginning of the hole.

    Args:
        db: where they are.
        contract: canonical name.
        kinds: of `tick`, `trade`, `book`, `bar:<period>`.
        start: first moment, ns.
        end: first moment that is left out, ns.

    Raises:
        StorageError: while going through it, MongoDB did not answer.
    """
    sources: list[Iterator[Due]] = []
    for number, kind in enumerate(kinds):
        name, _, period = kind.partition(":")
        later = PERIODS[period] if period else 0
        history: History[Any] = History(db, name, contract, start - later, end - later, period=period or None)
        sources.append(_due(history, later, number, contract, kind))
        if not period:
            sources.append(_gaps(db, contract, name, start, end, len(kinds) + number))
    return heapq.merge(*sources, key=lambda due: due[:2])


def _due(history: History[Any], later: int, number: int, contract: str, kind: str) -> Iterator[Due]:
    for record in history:
        yield Due(record.time + later, number, contract, kind, record)


def _gaps(db: Any, contract: str, kind: str, start: int, end: int, number: int) -> Iterator[Due]:
    for hole in holes(coverage(db, contract, kind, start, end)):
        until = f"recorded as {hole.state} until {hole.end}: {hole.cause}"
        yield Due(hole.start, number, contract, "feed", Feed(hole.start, "gap", until, contract, kind, hole.start))


class Replay:
    """One run over some contracts. It is the only writer under its prefix, as a collector is of the live streams."""

    def __init__(self, publishers: Mapping[str, Publisher], clock: Clock, speed: float) -> None:
        """Nothing is sent yet.

        Args:
            publishers: by contract, all of one prefix.
            clock: by which the spacing is kept.
            speed: how many times faster than it was; 0 for as fast as Redis takes it.
        """
        self._publishers = publishers
        self._clock = clock
        self._speed = speed
        self._ids: dict[tuple[str, str], EntryIds] = {}

    def open(self) -> None:
        """Take the leases, and find the numbers behind which to go on.

        Raises:
            StorageError: Redis did not answer, or somebody else publishes there.
        """
        for contract, publisher in self._publishers.items():
            if not publisher.acquire():
                raise StorageError(f"{contract}: another replay publishes under this prefix")
            last = publisher.last_ids()
            session = next_session(map(session_of, last.values()))
            for kind in publisher.kinds:
                self._ids[contract, kind] = EntryIds(session, last.get(kind, (0, 0))[0])

    def close(self) -> None:
        """Give the leases up.

        Raises:
            StorageError: Redis did not answer; they expire by themselves.
        """
        for publisher in self._publishers.values():
            publisher.release()

    def play(self, records: Iterator[Due], start: int, stop: threading.Event) -> Iterator[Progress]:
        """Publish, and say after each write how far it is, until there is no more or `stop` is set.

        Args:
            records: of `recorded`, of all contracts, merged.
            start: moment that the first spacing counts from, ns.
            stop: ends it within a second.

        Raises:
            StorageError: Redis or MongoDB did not answer, or the lease is another's.
        """
        began, done = self._clock.monotonic(), 0
        batch: list[Due] = []
        for due in records:
            if batch and (len(batch) >= BATCH or self._left(due.at, start, began) > 0):
                done += self._publish(batch)
                yield Progress(batch[-1].at, done)
                batch = []
            while not stop.is_set() and (left := self._left(due.at, start, began)) > 0:
                if left > RENEW:
                    self._each(lambda publisher: publisher.publish([]))
                stop.wait(min(left, RENEW))
            if stop.is_set():
                return
            batch.append(due)
        if batch:
            done += self._publish(batch)
            yield Progress(batch[-1].at, done)

    def _left(self, at: int, start: int, began: float) -> float:
        """Seconds until a moment of the past has its turn."""
        if not self._speed:
            return 0.0
        return began + (at - start) / 1e9 / self._speed - self._clock.monotonic()

    def _publish(self, batch: Sequence[Due]) -> int:
        now = self._clock.now()
        entries: dict[str, list[Entry]] = {}
        for due in batch:
            entry_id = self._ids[due.contract, due.kind].next(now)
            entries.setdefault(due.contract, []).append(Entry(due.kind, entry_id, pack_record(due.record)))
        for contract, own in entries.items():
            publisher = self._publishers[contract]
            try:
                done = publisher.publish(own)
            except RedisForgot:
                publisher.load()
                done = publisher.publish(own)
            if done.conflict is not None:
                raise done.conflict
        return len(batch)

    def _each(self, act: Callable[[Publisher], object]) -> None:
        for publisher in self._publishers.values():
            act(publisher)
