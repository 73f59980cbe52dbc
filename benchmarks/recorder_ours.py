"""tickrouter's collector, for the comparison with cryptofeed.

    python -m benchmarks.recorder_ours SOCKET_URL REDIS_URL FOLDER [--mongo URL] [--contracts N]

Everything between socket and servers is the collector's own: reader, adapter, pipelines, queues, sinks. Without MongoDB
what goes there is dropped where it would be queued. Says `ready` when it records; then answers every line of its input
with the CPU seconds that it has used; ends with its input.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from services.collector.item import FEED, Item
from services.collector.main import collect_garbage_rarely
from services.collector.mongo_sink import MongoSink
from services.collector.pipeline import Pipeline
from services.collector.reader import Inlet, Reader
from services.collector.redis_sink import QUICK, RedisSink
from services.collector.refusals import Refusals
from services.collector.session import SessionOpener
from services.collector.sink_queue import SinkQueue
from services.collector.spill import Spill
from services.collector.takeover import Takeovers
from services.collector.through import ThroughBoard
from tickrouter import logs
from tickrouter.bus.connection import connect
from tickrouter.bus.publish import Publisher
from tickrouter.clock import SystemClock
from tickrouter.config import Recording
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.sink import MarketWriter, behind
from tickrouter.model.contract import Contract
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import market_adapter

CONTRACT = "btcturk/btc.usdt"
DATABASE = "recorder_ours"
LEASE_MS = 2000
KEPT = 10_000_000
"""Entries kept in each stream: all of them are counted at the end."""
SPILL_BYTES = 1_000_000_000


def contracts(count: int) -> list[str]:
    """Contracts as many as asked for, the first one always the same."""
    return [CONTRACT, *(f"btcturk/c{number:03}.usdt" for number in range(1, count))]


class NoQueue(SinkQueue):
    """The queue to MongoDB, with nobody at its end."""

    def put(self, items: Sequence[Item]) -> None:
        """Drop them."""


class NoHistory(MarketWriter):
    """A MongoDB that does not answer: the session is opened by Redis' word alone, as the collector can."""

    def highest(self, contract: str, kinds: Sequence[str]) -> tuple[int, int]:
        raise StorageError(f"no MongoDB here: {contract} {', '.join(kinds)}")


def main(asked: argparse.Namespace) -> None:
    """Record until the input ends."""
    collect_garbage_rarely()
    folder = Path(asked.folder)
    logs.configure("collector", file=folder / "collector.log")
    root = Path(__file__).resolve().parents[1]
    card = load_card(root / "configs/venues/btcturk.yaml").with_hosts({"socket": asked.socket})
    names = contracts(asked.contracts)
    clock, recording = SystemClock(), Recording(contracts=tuple(names))
    board, takeovers = ThroughBoard(), Takeovers()
    pipelines = {name: Pipeline(name, recording, card.channels) for name in names}
    redis, quick = connect(asked.redis, timeout=2.0), connect(asked.redis, timeout=QUICK)
    limits = dict.fromkeys((*recording.kinds, FEED), KEPT)
    rooms = {
        name: (pipeline, Publisher(redis, name, limits, lease_ms=LEASE_MS, quick=quick))
        for name, pipeline in pipelines.items()
    }
    queue = SinkQueue(spill=Spill(folder / "spill" / "redis", SPILL_BYTES))
    history: MarketWriter = NoHistory(connect_mongo("mongodb://127.0.0.1:1")["none"])
    mongo_queue: SinkQueue = NoQueue()
    threads: list[MongoSink] = []
    if asked.mongo:
        db = database(connect_mongo(asked.mongo), DATABASE)
        history, mongo_queue = MarketWriter(db), SinkQueue(spill=Spill(folder / "spill" / "mongo", SPILL_BYTES))
        history.prepare()
        threads.append(
            MongoSink(
                mongo_queue,
                history,
                CoverageWriter(db),
                board,
                takeovers,
                lambda contract, *what: rooms[contract][1].read_after(*what),
                lambda contract, kind, *what: behind(db, kind, contract, *what),
                clock,
            )
        )
    opener = SessionOpener(folder / "sessions", history, recording.kinds, clock)
    sink = RedisSink(queue, mongo_queue, rooms, opener, board, takeovers, clock, lease_ms=LEASE_MS)
    adapter = market_adapter(card, [Contract.parse(name) for name in names])
    sinks: dict[str, Inlet] = {"redis": sink, "mongo": mongo_queue}
    reader = Reader(card, adapter, pipelines, sinks, Refusals(folder / "refused.jsonl"), clock)
    for thread in (*threads, sink):
        thread.start()
    while any(pipeline.session is None for pipeline in pipelines.values()):
        threading.Event().wait(0.01)
    reader.start()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    reader.stop()
    reader.join(2)
    for ending in (*threads, sink):
        ending.stop(2)
        ending.join(3)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("socket", "redis", "folder"):
        parser.add_argument(name)
    parser.add_argument("--mongo")
    parser.add_argument("--contracts", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main(_asked())
