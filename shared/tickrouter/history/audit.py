"""The audit: documents and chunks counted again, entry by entry, against what the ledger claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.core.coverage import holes, paint
from tickrouter.core.entry_ids import EntryId, session_of
from tickrouter.errors import StorageError
from tickrouter.history.chunk_reader import ChunkReader
from tickrouter.history.connection import Document
from tickrouter.history.coverage import claims_of
from tickrouter.history.documents import COLLECTIONS
from tickrouter.model.coverage import Claim, Interval

_SHOWN = 5
"""Runs of entries that one line names at most."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found of one contract and kind.

    Attributes:
        claimed: entries that the claims of the time say are stored.
        documents: entries found in documents, within those claims.
        archived: entries found in chunks alone.
        excused: entries that are not stored, as the ledger says.
        backfilled: records read after the fact, which have no entry.
        intervals: how the time is covered.
        problems: what cannot be explained; empty is right.
    """

    contract: str
    kind: str
    claimed: int = 0
    documents: int = 0
    archived: int = 0
    excused: int = 0
    backfilled: int = 0
    intervals: tuple[Interval, ...] = ()
    problems: tuple[str, ...] = field(default=())


def audit(db: Database[Document], contract: str, kind: str, start: int, end: int) -> Audit:
    """Count what is stored of start <= time < end (ns) against the ledger.

    Claims that reach out of it are counted whole.

    Raises:
        StorageError: MongoDB did not answer.
        TickrouterError: a part is archived, and pyarrow is not installed.
    """
    told = claims_of(db, contract, kind, start, end)
    counted = [claim for claim in told if not claim.note and claim.state != "missing" and claim.count]
    bounds = [entry for claim in counted for entry in (claim.first, claim.last) if entry is not None]
    intervals = tuple(paint(told, start, end))
    hot, times, problems, backfilled = _documents(db, contract, kind, bounds, (start, end))
    cold, again = _archived(db, contract, kind, bounds) if bounds else (set[int](), 0)
    if again:
        problems.append(f"{again} archived rows have an entry id that another has too")
    stored = hot | cold
    excuses = [claim for claim in told if claim.first and (claim.note == "double" or claim.state == "missing")]
    claimed, excused, claimed_entries = 0, 0, set[int]()
    for claim in counted:
        if claim.first is None or claim.last is None:
            continue
        numbers = range(claim.first[1], claim.last[1] + 1)
        claimed += len(numbers)
        claimed_entries.update(numbers)
        if len(numbers) != claim.count:
            problems.append(f"{_where(claim)} says {claim.count} entries from {claim.first} to {claim.last}")
        lacking = [number for number in numbers if number not in stored]
        unexcused = [number for number in lacking if not _is_excused(number, excuses)]
        excused += len(lacking) - len(unexcused)
        if unexcused:
            problems.append(f"{_where(claim)} lacks {len(unexcused)} of {claim.count} entries: {_runs(unexcused)}")
    strangers = [n for n, time in times.items() if n not in claimed_entries and not _is_open_to(time, intervals)]
    if strangers:
        problems.append(f"{len(strangers)} entries are stored that no claim speaks of: {_runs(sorted(strangers))}")
    within = hot & claimed_entries
    return Audit(
        contract,
        kind,
        claimed,
        len(within),
        len((cold & claimed_entries) - within),
        excused,
        backfilled,
        intervals,
        tuple(problems),
    )


def _documents(
    db: Database[Document], contract: str, kind: str, bounds: Sequence[EntryId], span: tuple[int, int]
) -> tuple[set[int], dict[int, int], list[str], int]:
    """Entry numbers found, those of the span with their times, what is wrong with them, and how many have none."""
    collection, problems = db[COLLECTIONS[kind]], list[str]()
    hot, times, backfilled = set[int](), dict[int, int](), 0
    fields = {"n": 1, "time": 1, "_id": 0}
    try:
        if bounds:
            query = {"contract": contract, "ms": {"$gte": min(bounds)[0], "$lte": max(bounds)[0]}}
            twice = 0
            for document in collection.find(query, fields):
                twice += document["n"] in hot
                hot.add(document["n"])
            if twice:
                problems.append(f"{twice} documents have an entry id that another has too")
        for document in collection.find({"contract": contract, "time": {"$gte": span[0], "$lt": span[1]}}, fields):
            if document["n"] is None:
                backfilled += 1
            else:
                times[document["n"]] = document["time"]
    except PyMongoError as error:
        raise StorageError(f"MongoDB: {collection.name}: {error}") from error
    return hot, times, problems, backfilled


def _archived(db: Database[Document], contract: str, kind: str, bounds: Sequence[EntryId]) -> tuple[set[int], int]:
    """Entry numbers found in chunks, and how many rows have one that another row has too."""
    reader = ChunkReader(db, kind, contract)
    found: set[int] = set()
    rows = 0
    (ms, n), last = min(bounds), max(bounds)
    for chunk in reader.by_place((ms, n), (last[0], last[1] + 1)):
        columns = reader.load(chunk, ("ms", "n"))
        if columns is not None:
            numbers = [entry[1] for entry in columns.ids() if entry is not None]
            rows += len(numbers)
            found.update(numbers)
    return found, rows - len(found)


def _is_excused(number: int, excuses: Iterable[Claim]) -> bool:
    return any(
        claim.first is not None and claim.last is not None and claim.first[1] <= number <= claim.last[1]
        for claim in excuses
        if claim.note != "redis"
    )


def _is_open_to(time: int, intervals: Sequence[Interval]) -> bool:
    """True where entries may be stored that no claim counts: what a collector that died had sent."""
    return any(one.start <= time < one.end for one in holes(intervals))


def _where(claim: Claim) -> str:
    return f"{claim.state} claim {claim.name}"


def _runs(numbers: Sequence[int]) -> str:
    """`session 3: 5-9, 12`, the first few."""
    shown = list(_consecutive(numbers))
    texts = [
        f"session {session_of((0, first))}: {_k(first)}" + (f"-{_k(last)}" if last > first else "")
        for first, last in shown[:_SHOWN]
    ]
    return ", ".join(texts) + (f" and {len(shown) - _SHOWN} more runs" if len(shown) > _SHOWN else "")


def _consecutive(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        own = [number for _, number in run]
        yield own[0], own[-1]


def _k(number: int) -> int:
    return number & ((1 << 40) - 1)
