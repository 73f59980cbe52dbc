"""What must hold of a recording: every frame that the venue sent is stored, or the ledger says that it is not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from pymongo import MongoClient
from redis import Redis

from tickrouter.bus.codec import pack_record
from tickrouter.bus.keys import MarketKeys
from tickrouter.history.audit import audit
from tickrouter.history.coverage import claims_of, coverage
from tickrouter.history.documents import COLLECTIONS, from_document
from tickrouter.model.coverage import Claim, Interval

KINDS = ("tick", "trade", "book")
TRANSIT_NS = 100_000_000
"""How long a frame may be on its way from the venue's record to the collector's clock, at least: what was stored shows
how long it took on the machine of the run."""
UNKNOWN = 2.0
"""Seconds a kill may leave unknown at most."""
NOTICED_NS = 500_000_000
"""How much later than its death a run may take note of it."""
PAUSE_NS = 100_000_000
"""Where no frame is sent for longer, nobody was there to send it to: no more than this of it counts for the load."""
END = 2**62
DEPTH = 20
"""Levels a side of a recorded book."""
Levels = tuple[tuple[float, float], ...]
_line = msgspec.json.Decoder(tuple[int, str, str, int, Any])


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        wrong: what must not be.
        sent: frames with a number that the venue sent while the collector recorded.
        excused: those of them that are in no store, as the ledger says.
        unknown: seconds that the ledger calls unknown, of the kind with the most.
        transit: seconds that a stored frame was on its way at most.
        load: frames of the contract that the venue sent a second, those without a record of their own included.
    """

    wrong: list[str] = field(default_factory=list)
    sent: int = 0
    excused: int = 0
    unknown: float = 0.0
    transit: float = 0.0
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a run's recording is, and the venue's own record of it.

    Attributes:
        redis, mongo: addresses.
        database: in MongoDB.
        contract: what was recorded.
        pair: its name at the venue.
        record: the venue's file.
        offset: where the run begins in it.
    """

    redis: str
    mongo: str
    database: str
    contract: str
    pair: str
    record: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What befell the collector, as far as it excuses a hole.

    Attributes:
        kills: how often it was killed.
        gone: when it was first killed, or ended for another to go on, ns or a little later; `END` if it was neither.
        live: a moment, ns, up to which the ledger has to speak of every kind.
        may_lack: it was stopped for so long, or had so little room, that it may have holes while it lives.
    """

    kills: int
    gone: int
    live: int
    may_lack: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame of the venue's record."""

    time: int
    kind: int
    number: str
    levels: list[list[dict[str, Any]]]


def judged(place: Recorded, fate: Fate) -> Verdict:
    """Judge a run; nothing of it is needed but what it left."""
    mongo: MongoClient[dict[str, Any]] = MongoClient(place.mongo, serverSelectionTimeoutMS=20_000)
    with mongo, Redis.from_url(place.redis) as redis:
        frames = sent_frames(place.record, place.offset, place.pair)
        return judge(mongo[place.database], redis, place.contract, frames, fate)


def sent_frames(file: Path, offset: int, pair: str) -> list[Sent]:
    """Trades and differences of a pair, from a place in the record on."""
    with file.open("rb") as record:
        record.seek(offset)
        lines = record.read().split(b"\n")
    rows = (_line.decode(line) for line in lines if line.endswith(b"]"))
    return [_sent(time, kind, frame[1]) for time, _, event, kind, frame in rows if event == pair and frame]


def _sent(time: int, kind: int, said: Mapping[str, Any]) -> Sent:
    if kind == 422:
        return Sent(time, kind, said["I"], [])
    return Sent(time, kind, str(said["CS"]), [said["BO"], said["AO"]])


def judge(db: Any, redis: Redis, contract: str, frames: Sequence[Sent], fate: Fate) -> Verdict:
    """Compare the venue's record with both stores and the ledger."""
    verdict = Verdict(load=_load(frames))
    intervals = {kind: coverage(db, contract, kind, 0, END) for kind in KINDS}
    documents = {kind: list(db[COLLECTIONS[kind]].find({"contract": contract})) for kind in KINDS}
    for kind in KINDS:
        found = audit(db, contract, kind, 0, END)
        verdict.wrong += [f"audit of {kind}: {problem}" for problem in found.problems]
        unknown = sum(one.end - one.start for one in _recorded(intervals[kind]) if one.state == "unknown") / 1e9
        verdict.unknown = max(verdict.unknown, unknown)
        _same_in_both(verdict, db, redis, contract, kind, documents[kind], intervals[kind])
        _owed(verdict, kind, _recorded(intervals[kind]), fate)
    if verdict.unknown > UNKNOWN * fate.kills:
        verdict.wrong.append(f"{verdict.unknown:.2f} s unknown after {fate.kills} kills")
    trades = documents["trade"]
    seen = {one["time"] for one in trades if one["ms"] is not None}
    _tick_of_each(verdict, documents["tick"], seen, intervals["tick"])
    sent = [frame for frame in frames if frame.kind == 422]
    _every_one(verdict, sent, [(one["trade_id"], one["time"]) for one in trades], intervals["trade"], "trade")
    books = {str(one["sequence"]): one for one in documents["book"]}
    due = replayed(frames)
    differences = [frame for frame in frames if frame.kind == 432 and frame.number in due]
    stored = [(str(one["sequence"]), one["time"]) for one in documents["book"]]
    _every_one(verdict, differences, stored, intervals["book"], "book", is_once=False)
    bad = [number for number in due.keys() & books.keys() if due[number] != _levels(books[number])]
    if bad:
        verdict.wrong.append(f"{len(bad)} books are not the venue's: {sorted(bad)[:3]}")
    return verdict


def _tick_of_each(
    verdict: Verdict, stored: Sequence[Mapping[str, Any]], trades: set[int], intervals: Sequence[Interval]
) -> None:
    """A trade that came live makes a tick of the same moment: ticks have no number of the venue's to be counted by."""
    ticks = {one["time"] for one in stored if one["source"] == "trade"}
    if spoken := _recorded(intervals):
        within = {time for time in trades if spoken[0].start <= time < spoken[-1].end}
        lost = [time for time in within.difference(ticks) if not _is_hole(time, time, spoken)]
        if lost:
            first = (min(lost) - spoken[0].start) / 1e9
            verdict.wrong.append(f"{len(lost)} moments of trades have no tick, the first {first:.3f} s after the start")


def _owed(verdict: Verdict, kind: str, spoken: Sequence[Interval], fate: Fate) -> None:
    """The ledger speaks of the whole run, and of holes only where there was a reason: it must not excuse itself."""
    if not spoken or spoken[-1].end < fate.live:
        verdict.wrong.append(f"the ledger of {kind} does not reach the end of the run")
    holes = [one for one in spoken if one.is_hole]
    if fate.may_lack:
        return
    early = [one.cause for one in holes if one.start < fate.gone - UNKNOWN * 1e9 - NOTICED_NS]
    verdict.wrong += [f"a hole in {kind} while the collector lived: {cause}" for cause in early[:3]]


def _load(frames: Sequence[Sent]) -> float:
    seconds = sum(min(after.time - before.time, PAUSE_NS) for before, after in pairwise(frames)) / 1e9
    return len(frames) / seconds if seconds else 0.0


class _Side:
    """One side of the venue's book, the best level first."""

    def __init__(self, sign: int, levels: Sequence[Mapping[str, Any]]) -> None:
        self._sign = sign
        self._amounts = {sign * float(one["P"]): float(one["A"]) for one in levels}
        self._keys = sorted(self._amounts)

    def change(self, change: Mapping[str, Any]) -> bool:
        """Apply one change; False if it is behind the recorded levels."""
        key = self._sign * float(change["P"])
        if change["CP"] != 3:
            if key not in self._amounts:
                insort(self._keys, key)
            self._amounts[key] = float(change["A"])
        elif self._amounts.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]
        return len(self._keys) < DEPTH or key <= self._keys[DEPTH - 1]

    def top(self) -> Levels:
        return tuple((self._sign * key, self._amounts[key]) for key in self._keys[:DEPTH])


def replayed(frames: Sequence[Sent]) -> dict[str, tuple[Levels, Levels]]:
    """The venue's own book after each difference that a recorder has to make a record of, by number.

    None is due where the recorded levels stay as they were, and while the book is crossed. Where the record lacks
    differences, for nobody was there whom the venue could send them to, it begins anew with the next whole book.
    """
    sides: list[_Side] = []
    due: dict[str, tuple[Levels, Levels]] = {}
    last: tuple[Levels, Levels] = ((), ())
    expected = 0
    for frame in frames:
        if frame.kind == 431 and (not sides or int(frame.number) > expected):
            sides = [_Side(sign, levels) for sign, levels in zip((-1, 1), frame.levels, strict=True)]
            last, expected = (sides[0].top(), sides[1].top()), int(frame.number)
        if frame.kind != 432 or not sides or int(frame.number) < expected:
            continue
        if int(frame.number) > expected:
            sides = []
            continue
        expected += 1
        changed = [side.change(change) for side, changes in zip(sides, frame.levels, strict=True) for change in changes]
        if not any(changed):
            continue
        bids, asks = sides[0].top(), sides[1].top()
        if (bids, asks) != last and not (bids and asks and bids[0][0] >= asks[0][0]):
            due[frame.number] = last = bids, asks
    return due


def _levels(book: Mapping[str, Any]) -> tuple[Levels, Levels]:
    return tuple(map(tuple, book["bids"])), tuple(map(tuple, book["asks"]))


def _every_one(
    verdict: Verdict,
    frames: Sequence[Sent],
    stored: Sequence[tuple[str, int]],
    intervals: Sequence[Interval],
    name: str,
    *,
    is_once: bool = True,
) -> None:
    """Each frame is stored, once if it is told once, or the time in which it came lies in a hole."""
    spoken = _recorded(intervals)
    if not spoken:
        return
    counts = Counter(number for number, _ in stored)
    received: dict[str, int] = {}
    for number, time in stored:
        received[number] = min(time, received.get(number, time))
    transit = max([received[one.number] - one.time for one in frames if one.number in received], default=0)
    transit = max(transit, TRANSIT_NS)
    verdict.transit = max(verdict.transit, transit / 1e9)
    first, last = spoken[0].start + TRANSIT_NS, spoken[-1].end - transit
    lost = []
    next_came = END
    for frame in reversed(frames):
        next_came = min(next_came, received.get(frame.number, END))
        if not first <= frame.time <= last:
            continue
        verdict.sent += 1
        if counts[frame.number] == 1 or (counts[frame.number] and not is_once):
            continue
        # Frames come in the order in which they are sent: this one came before the next one that is stored.
        came = min(frame.time + transit, max(next_came, frame.time)) + TRANSIT_NS
        if not counts[frame.number] and _is_hole(frame.time - TRANSIT_NS, came, spoken):
            verdict.excused += 1
        else:
            lost.append(f"{frame.number} ({counts[frame.number]} times)")
    if lost:
        verdict.wrong.append(f"{len(lost)} of {name} are not stored once, and no hole says so: {', '.join(lost[:5])}")


def _same_in_both(
    verdict: Verdict,
    db: Any,
    redis: Redis,
    contract: str,
    kind: str,
    stored: Sequence[Mapping[str, Any]],
    intervals: Sequence[Interval],
) -> None:
    """Each entry is in both stores with the same bytes, or its time lies in a hole, or a note tells of it."""
    entries = {
        tuple(int(part) for part in entry_id.split(b"-")): fields[b"d"]
        for entry_id, fields in redis.xrange(MarketKeys(contract).stream(kind))
    }
    rows = [one for one in stored if one["ms"] is not None]
    documents = {(one["ms"], one["n"]): (one["time"], pack_record(from_document(kind, one))) for one in rows}
    notes = [claim for claim in claims_of(db, contract, kind, 0, None) if claim.note and claim.first and claim.last]

    def is_noted(entry: tuple[int, ...], among: Sequence[Claim] = notes) -> bool:
        return any(note.first and note.last and note.first[1] <= entry[1] <= note.last[1] for note in among)

    # MongoDB has what a note of the stream alone speaks of.
    of_both = [note for note in notes if note.note != "redis"]
    spoken = _recorded(intervals)
    differ = [
        one for one in entries.keys() & documents.keys() if entries[one] != documents[one][1] and not is_noted(one)
    ]
    if differ:
        verdict.wrong.append(f"{len(differ)} of {kind} differ between the stores: {differ[:3]}")
    alone = [
        one
        for one in documents.keys() - entries.keys()
        if not is_noted(one) and not _is_hole(documents[one][0], documents[one][0], spoken)
    ]
    if alone:
        verdict.wrong.append(f"{len(alone)} of {kind} are in MongoDB alone: {sorted(alone)[:3]}")
    streamed = [
        one
        for one in entries.keys() - documents.keys()
        if not is_noted(one, of_both) and not _is_hole(*_around(one[0] * 1_000_000), spoken)
    ]
    if streamed:
        verdict.wrong.append(f"{len(streamed)} of {kind} are in Redis alone: {sorted(streamed)[:3]}")


def _recorded(intervals: Sequence[Interval]) -> list[Interval]:
    """From the first live moment to the last word of a collector."""
    live = [index for index, one in enumerate(intervals) if one.state == "live"]
    return list(intervals[live[0] : live[-1] + 1]) if live else []


def _around(time: int) -> tuple[int, int]:
    return time - TRANSIT_NS, time + TRANSIT_NS


def _is_hole(start: int, end: int, intervals: Iterable[Interval]) -> bool:
    """True if a hole lies within, or the other way round."""
    return any(one.is_hole and one.start <= end and start <= one.end for one in intervals)
