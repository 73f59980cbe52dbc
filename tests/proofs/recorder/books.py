"""The proof of books: obdiff frames skipped, repeated and reordered on the way, and no wrong book is recorded as good.

The simulator's engine makes the frames, out of a generated flow or a recorded span, and keeps its own book after each;
adapter and pipeline are the collector's. Everything follows from a seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from services.collector.item import FEED, KINDS
from services.collector.pipeline import Pipeline
from services.collector.session import Session
from services.simulator import frames
from services.simulator.engine.events import BookChanged
from services.simulator.markets.generated import Desk, GeneratedMarket
from services.simulator.markets.recorded import RecordedMarket
from services.simulator.markets.recording import Recording
from services.simulator.publisher import BOOK_DEPTH
from tests.engine_venue import Venue
from tests.simulation import ROOT
from tickrouter.config import Recording as Recorded
from tickrouter.core.entry_ids import EntryIds
from tickrouter.core.market import BookDiff, BookSnapshot
from tickrouter.model.book import Book
from tickrouter.model.contract import Contract
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import market_adapter

CONTRACT, PAIR = "btcturk/btc.usdt", "BTCUSDT"
LEVELS = 20
STEP_NS = 50_000_000
"""Between two differences."""
PERIODIC = 40
"""Differences between two periodic full books."""
SLICE = 0.05
SKIPPED, REPEATED, REORDERED = 0.01, 0.01, 0.01
RECORDED_FILE = "binance_spot_btcusdt_20240808-09.raw.gz"
Levels = tuple[tuple[float, float], ...]
Meddle = Callable[[BookDiff | BookSnapshot], BookDiff | BookSnapshot]


@dataclass
class Books:
    """What became of a run.

    Attributes:
        frames: sent.
        disturbed: of them skipped, repeated or reordered.
        good: books recorded.
        invalid: times that a book was found invalid.
        wrong: books recorded that the venue never had under their number.
    """

    frames: int = 0
    disturbed: int = 0
    good: int = 0
    invalid: int = 0
    wrong: list[str] = field(default_factory=list)


class Way:
    """From the venue's engine to the recorder's books, with what goes wrong in between."""

    def __init__(self, venue: Venue, seed: int, meddle: Meddle | None = None) -> None:
        """Args: meddle: a broken recorder's, changes facts before they are taken."""
        card = load_card(ROOT / "configs/venues/btcturk.yaml")
        self.found = Books()
        self._venue = venue
        self._random = Random(seed)
        self._meddle = meddle
        self._adapter = market_adapter(card, [Contract.parse(CONTRACT)])
        self._pipeline = Pipeline(CONTRACT, Recorded(book_levels=LEVELS, book_interval_ms=0), card.channels)
        self._pipeline.session = Session(1, 0, {kind: EntryIds(1) for kind in (*KINDS, FEED)})
        self._truth: dict[int, tuple[Levels, Levels]] = {}
        self._held: str | None = None
        self._now = 1
        self._pipeline.connected(self._now)

    def begin(self) -> None:
        """Join the channel."""
        number = self._venue.exchange.next_number(PAIR)
        self._truth[number - 1] = self._top()
        self._way(frames.book("obdiff", PAIR, number, *self._venue.book(PAIR)))

    def changed(self, event: BookChanged) -> None:
        """The venue's book changed."""
        self._now += STEP_NS
        self._truth[event.number] = self._top()
        self._way(frames.difference(event))
        if event.number % PERIODIC == 0:
            self._way(frames.book("orderbook", PAIR, event.number + 1, *self._venue.exchange.book(PAIR, BOOK_DEPTH)))
        self._look(self._pipeline.passed(self._now))
        if self._pipeline.wants_resync:
            self._pipeline.wants_resync = False
            self.begin()

    def _top(self) -> tuple[Levels, Levels]:
        bids, asks = self._venue.exchange.book(PAIR, LEVELS)
        return tuple((float(p), float(a)) for p, a in bids), tuple((float(p), float(a)) for p, a in asks)

    def _way(self, frame: str) -> None:
        self.found.frames += 1
        held, self._held = self._held, None
        chance = self._random.random()
        if chance < SKIPPED + REPEATED + REORDERED:
            self.found.disturbed += 1
        if chance >= SKIPPED:
            if chance >= SKIPPED + REPEATED + REORDERED or chance < SKIPPED + REPEATED:
                self._take(frame)
            else:
                self._held = frame
            if chance < SKIPPED + REPEATED:
                self._take(frame)
        if held is not None:
            self._take(held)

    def _take(self, frame: str) -> None:
        for fact in self._adapter.decode(frame.encode(), self._now):
            if isinstance(fact, BookDiff | BookSnapshot):
                told = self._meddle(fact) if self._meddle is not None else fact
                self._look(self._pipeline.take([told], self._now))

    def _look(self, items: Sequence[Any]) -> None:
        for item in items:
            if isinstance(item.record, Book):
                self.found.good += 1
                number = item.record.sequence
                shown, true = (item.record.bids, item.record.asks), self._truth.get(number or 0, ((), ()))
                # Where it began with a cut book, it may know fewer levels: the best ones, and those right.
                if not all(side == whole[: len(side) or 1] for side, whole in zip(shown, true, strict=True)):
                    self.found.wrong.append(f"book {number} is not the venue's")
        self.found.invalid = self._pipeline.counts["book_invalidated"]


class Watched(Venue):
    """A venue whose differences go their way as they come."""

    def __init__(self, seed: int, meddle: Meddle | None = None) -> None:
        self.way: Way | None = None
        super().__init__()
        self._seed, self._meddle = seed, meddle

    def join(self) -> None:
        """From now on."""
        self.way = Way(self, self._seed, self._meddle)
        self.way.begin()

    def _keep(self, events: Sequence[Any]) -> None:
        for event in events:
            if self.way is not None and isinstance(event, BookChanged) and event.pair == PAIR:
                self.way.changed(event)


def generated(seed: int, seconds: float, meddle: Meddle | None = None) -> Books:
    """So many seconds of the generated flow."""
    venue = Watched(seed, meddle)
    desk = Desk(venue, PAIR, GeneratedMarket((PAIR,), seed=seed).flow(PAIR))
    desk.act(desk.flow.start())
    venue.join()
    for elapsed in _slices(seconds):
        desk.act(desk.flow.until(elapsed))
    assert venue.way is not None
    return venue.way.found


def recorded(folder: Path, seed: int) -> Books:
    """The recorded span."""
    venue = Watched(seed)
    venue.join()
    recording = Recording.open(folder / "data" / RECORDED_FILE)
    asyncio.run(RecordedMarket([recording], speed=0.0, shift=False, passes=1).run(venue))
    assert venue.way is not None
    return venue.way.found


def _slices(seconds: float) -> Iterator[float]:
    for number in range(1, int(seconds / SLICE) + 1):
        yield number * SLICE


class CountAnew:
    """The broken twin: takes every difference for the next one."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, fact: BookDiff | BookSnapshot) -> BookDiff | BookSnapshot:
        if isinstance(fact, BookSnapshot):
            self._next = fact.sequence if fact.channel == "obdiff" else self._next
            return fact
        self._next += 1
        return replace(fact, sequence=self._next - 1)
