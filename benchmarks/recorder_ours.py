"""tickrouter's collector without MongoDB, for the comparison with cryptofeed's Redis backend.

    python -m benchmarks.recorder_ours SOCKET_URL REDIS_URL FOLDER

Everything between socket and Redis is the collector's own: reader, adapter, pipeline, queue, sink. What goes to MongoDB
is dropped where it would be queued. Says `ready` when it records; then answers every line of its input with the CPU
seconds that it has used; ends with its input.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from services.collector.item import FEED, Item
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
from tickrouter.history.sink import MarketWriter
from tickrouter.model.contract import Contract
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import market_adapter

CONTRACT = "btcturk/btc.usdt"
LEASE_MS = 2000
KEPT = 10_000_000
"""Entries kept in each stream: all of them are counted at the end."""
SPILL_BYTES = 1_000_000_000


class NoQueue(SinkQueue):
    """The queue to MongoDB, with nobody at its end."""

    def put(self, items: Sequence[Item]) -> None:
        """Drop them."""


class NoHistory(MarketWriter):
    """A MongoDB that does not answer: the session is opened by Redis' word alone, as the collector can."""

    def highest(self, contract: str, kinds: Sequence[str]) -> tuple[int, int]:
        raise StorageError(f"no MongoDB here: {contract} {', '.join(kinds)}")


def main(socket_url: str, redis_url: str, folder: Path) -> None:
    """Record until the input ends."""
    logs.configure("collector", file=folder / "collector.log")
    root = Path(__file__).resolve().parents[1]
    card = load_card(root / "configs/venues/btcturk.yaml").with_hosts({"socket": socket_url})
    clock, recording = SystemClock(), Recording(contracts=(CONTRACT,))
    pipeline = Pipeline(CONTRACT, recording, card.channels)
    publisher = Publisher(
        connect(redis_url, timeout=2.0),
        CONTRACT,
        dict.fromkeys((*recording.kinds, FEED), KEPT),
        lease_ms=LEASE_MS,
        quick=connect(redis_url, timeout=QUICK),
    )
    queue, no_queue = SinkQueue(spill=Spill(folder / "spill", SPILL_BYTES)), NoQueue()
    history = NoHistory(connect_mongo("mongodb://127.0.0.1:1")["none"])
    opener = SessionOpener(folder / "sessions", history, recording.kinds, clock)
    rooms = {CONTRACT: (pipeline, publisher)}
    sink = RedisSink(queue, no_queue, rooms, opener, ThroughBoard(), Takeovers(), clock, lease_ms=LEASE_MS)
    adapter = market_adapter(card, [Contract.parse(CONTRACT)])
    sinks: dict[str, Inlet] = {"redis": sink, "mongo": no_queue}
    reader = Reader(card, adapter, {CONTRACT: pipeline}, sinks, Refusals(folder / "refused.jsonl"), clock)
    sink.start()
    while pipeline.session is None:
        threading.Event().wait(0.01)
    reader.start()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    reader.stop()
    reader.join(2)
    sink.stop(2)
    sink.join(3)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
