"""MongoDB: how fast ticks are written durably, a document a tick, and how fast they are read back."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator

from pymongo.database import Database

from benchmarks.report import Figure
from services.collector.item import Item
from services.collector.mongo_sink import MongoSink
from services.collector.sink_queue import SinkQueue
from services.collector.takeover import Takeovers
from services.collector.through import ThroughBoard
from tickrouter.clock import SystemClock
from tickrouter.core.entry_ids import EntryIds
from tickrouter.history.connection import Document, connect, database
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter
from tickrouter.model.tick import Tick

CONTRACT = "btcturk/btc.usdt"
TICKS = 20_000
"""Documents a run; five levels a side each."""
LEVELS = 5
START = 1_785_585_600_000_000_000
"""2026-08-01 12:00 UTC, ns."""
_STEP = 5_000_000
_SEED = 20260801


def measure(mongo_url: str, rounds: int) -> Iterator[Figure]:
    """Ticks a second, written and confirmed (majority, journal), read as records, and read into a frame."""
    client = connect(mongo_url)
    ticks = list(_ticks(TICKS))
    written: list[float] = []
    read: list[float] = []
    framed: list[float] = []
    for number in range(rounds + 1):
        name = f"bench_{uuid.uuid4().hex[:8]}"
        db = database(client, name)
        rates = _write(db, ticks), _read(History(db, "tick", CONTRACT, 0)), _frame(History(db, "tick", CONTRACT, 0))
        client.drop_database(name)
        if number:
            for runs, rate in zip((written, read, framed), rates, strict=True):
                runs.append(rate)
    client.close()
    yield Figure("history.write", "1/s", "higher", tuple(written))
    yield Figure("history.read", "1/s", "higher", tuple(read))
    yield Figure("history.read_to_pandas", "1/s", "higher", tuple(framed))


def _ticks(count: int) -> Iterator[Tick]:
    chance = random.Random(_SEED)
    for number in range(count):
        bid = 6_500_000 + chance.randrange(-1000, 1000)
        bids = tuple(((bid - place) / 100, chance.randrange(1, 10**9) / 1e8) for place in range(LEVELS))
        asks = tuple(((bid + 1 + place) / 100, chance.randrange(1, 10**9) / 1e8) for place in range(LEVELS))
        yield Tick(START + number * _STEP, bid / 100, 473.2724, bids, asks, CONTRACT, "book")


def _write(db: Database[Document], ticks: list[Tick]) -> float:
    """Through the collector's sink, from its queue to MongoDB's confirmation."""
    writer = MarketWriter(db)
    writer.prepare()
    queue, ids = SinkQueue(TICKS), EntryIds(1)
    queue.put([Item(CONTRACT, "tick", ids.next(tick.time), tick) for tick in ticks])

    sink = MongoSink(
        queue, writer, CoverageWriter(db), ThroughBoard(), Takeovers(), lambda *_: (), lambda *_: (), SystemClock()
    )
    began = time.perf_counter()
    sink.start()
    while len(queue):
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    sink.stop(1)
    sink.join(5)
    return len(ticks) / seconds


def _read(history: History[Tick]) -> float:
    began = time.perf_counter()
    found = sum(1 for _ in history)
    return _rate(found, began)


def _frame(history: History[Tick]) -> float:
    began = time.perf_counter()
    found = len(history.to_pandas())
    return _rate(found, began)


def _rate(found: int, began: float) -> float:
    seconds = time.perf_counter() - began
    if found != TICKS:
        raise RuntimeError(f"{found} of {TICKS} ticks were read")
    return found / seconds
