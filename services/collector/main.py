"""The collector process: readers, one for each connection, and two sinks, until it is told to stop."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tickrouter import logs, metrics
from tickrouter.bus.connection import connect
from tickrouter.bus.permits import Permits
from tickrouter.bus.publish import Publisher
from tickrouter.clock import SystemClock
from tickrouter.config import Config
from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import ConfigError, StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.orders import is_unused
from tickrouter.history.sink import MarketWriter, Stored, behind
from tickrouter.model.contract import Contract
from tickrouter.transport.http import HttpClient
from tickrouter.venues.registry import market_adapter

from .backfill import Backfiller
from .give_back import GiveBack
from .item import FEED
from .loss import claim_of
from .mongo_sink import MongoSink
from .pipeline import Pipeline
from .reader import Inlet, Reader
from .redis_sink import QUICK, RedisSink
from .refusals import Refusals
from .session import SessionOpener
from .sink_queue import SinkQueue
from .spill import Spill
from .spill_folder import SpillFolder
from .takeover import Takeovers
from .through import ThroughBoard

CONTRACTS_A_CONNECTION = 20
LEASE_MS = 2000
SESSION_TIMEOUT = 0.4
"""Seconds that MongoDB has to name the last session: while it is asked, nobody renews the fresh lease."""
STATE_EVERY = 1.0
"""Seconds between two writings of the state file."""
YOUNG_OBJECTS = 20_000
PATIENCE = 2.0
"""Seconds that the sinks have to write what is queued when the process ends."""
LAST_WORD = 0.5
"""Seconds in which the ledger is told of what was lost with that."""

_log = logs.get("collector")


def run(config: Config, contracts: Sequence[str] | None = None) -> int:
    """Record the contracts of the configuration, or those named, until SIGINT or SIGTERM.

    Raises:
        ConfigError: nothing to record, or a contract's venue is not in the configuration.
    """
    collect_garbage_rarely()
    collector = Collector(config, [Contract.parse(name) for name in contracts or config.record.contracts])
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    collector.start()
    metrics.expose("collector", config.metrics_ports.get("collector", 0), collector.state)
    collector.write_state()
    while not stop.wait(STATE_EVERY):
        collector.write_state()
        if dead := collector.dead():
            _log.error("a part died, ending", parts=dead)
            collector.stop()
            return 1
    collector.stop()
    return 0


def collect_garbage_rarely() -> None:
    """Let the interpreter look for cycles after more new objects: of a batch's records none is alive by then."""
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


class Collector:
    """The parts of a collector, joined."""

    def __init__(self, config: Config, contracts: Sequence[Contract]) -> None:
        """Set up; nothing is sent.

        Raises:
            ConfigError: nothing to record, or a contract's venue is not in the configuration.
        """
        if not contracts:
            raise ConfigError(f"{config.file}: record.contracts: nothing to record")
        clock = self._clock = SystemClock()
        state = config.data_folder / "state"
        self._file = state / "collector.json"
        self._started = clock.now()
        self._refusals = Refusals(state / "refused.jsonl")
        self._spill_folder, spills = _spills(state / "spill", config.recorder.spill_mb * 1_000_000)
        self._queues = {
            name: SinkQueue(config.recorder.queue, spills.get(name), config.recorder.give_up)
            for name in ("redis", "mongo")
        }
        self._pipelines = {
            str(contract): Pipeline(str(contract), config.record, config.card(contract.venue).channels)
            for contract in contracts
        }
        redis = connect(config.redis_url, timeout=2.0)
        quick = connect(config.redis_url, timeout=QUICK)
        orders = connect(config.orders_redis_url, timeout=2.0)
        self._mongo = connect_mongo(config.mongo_url, timeout=2.0)
        db = database(self._mongo, config.servers.mongo_database)
        writer = MarketWriter(db)
        limits = {kind: getattr(config.streams, kind) for kind in (*config.record.kinds, FEED)}
        board, takeovers = ThroughBoard(), Takeovers()
        opener = SessionOpener(
            state / "sessions", MarketWriter(db, timeout=SESSION_TIMEOUT), config.record.kinds, clock
        )

        def surplus(contract: str, kind: str, after: EntryId, below: int, count: int) -> Sequence[Stored]:
            return behind(db, kind, contract, after, below, count)

        rooms = {
            name: (pipeline, Publisher(redis, name, limits, lease_ms=LEASE_MS, quick=quick))
            for name, pipeline in self._pipelines.items()
        }
        self._redis_sink = RedisSink(
            self._queues["redis"],
            self._queues["mongo"],
            rooms,
            opener,
            board,
            takeovers,
            clock,
            lease_ms=LEASE_MS,
            give_back=GiveBack(self._queues["redis"], spills["redis"].spans() if spills else {}, surplus),
        )
        self._ledger = CoverageWriter(db, timeout=LAST_WORD)
        self._mongo_sink = MongoSink(
            self._queues["mongo"],
            writer,
            CoverageWriter(db),
            board,
            takeovers,
            lambda contract, *what: rooms[contract][1].read_after(*what),
            surplus,
            clock,
        )
        sinks: dict[str, Inlet] = {"redis": self._redis_sink, "mongo": self._queues["mongo"]}
        self._readers: list[Reader] = []
        self._backfillers: list[Backfiller] = []
        for venue in sorted({contract.venue for contract in contracts}):
            own = [contract for contract in contracts if contract.venue == venue]
            for first in range(0, len(own), CONTRACTS_A_CONNECTION):
                group = own[first : first + CONTRACTS_A_CONNECTION]
                card = config.card(venue)
                pipelines = {str(contract): self._pipelines[str(contract)] for contract in group}
                adapter = market_adapter(card, group)
                reader = Reader(card, adapter, pipelines, sinks, self._refusals, clock)
                self._readers.append(reader)
                if config.recorder.backfill and "trade" in config.record.kinds:
                    unused = partial(is_unused, db, venue)
                    permits = Permits(orders, venue, card.rules, account="", ip=config.router.egress, unused=unused)
                    http = HttpClient(venue, connections=1)
                    self._backfillers.append(Backfiller(adapter, http, permits, pipelines, db, reader.hand_over, clock))
        self._threads = (self._mongo_sink, self._redis_sink, *self._readers, *self._backfillers)

    def start(self) -> None:
        """Start every thread."""
        _log.info("recording", contracts=sorted(self._pipelines))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close the connections, write what is queued, give up the leases; within 3 s."""
        deadline = time.monotonic() + PATIENCE
        for backfiller in self._backfillers:
            backfiller.stop()
        for reader in self._readers:
            reader.stop()
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))
        # MongoDB first: how far it came is passed on by the last call to Redis.
        self._mongo_sink.stop(max(0.1, deadline - time.monotonic()))
        self._mongo_sink.join(max(0.1, deadline - time.monotonic()))
        self._redis_sink.stop(max(0.1, deadline - time.monotonic()))
        self._redis_sink.join(max(0.5, deadline - time.monotonic()))
        for name, queue in self._queues.items():
            queue.keep()
            self._tell_lost(name, queue)
        if self._spill_folder is not None:
            self._spill_folder.release()
        self.write_state()
        left = {name: len(queue) for name, queue in self._queues.items()}
        _log.info("stopped", left_in_queues=left, sinks=self._sinks())

    def _tell_lost(self, sink: str, queue: SinkQueue) -> None:
        """What neither sink nor disk took before the end: the ledger says so."""
        now = self._clock.now()
        claims = [claim_of(loss, sink, now) for loss in queue.losses() if loss.kind != FEED]
        try:
            self._ledger.tell([claim for claim in claims if claim is not None])
        except StorageError as error:
            _log.error("the ledger cannot be told what was lost", sink=sink, error=str(error))

    def dead(self) -> list[str]:
        """Threads that ended by themselves; none should."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    def write_state(self) -> None:
        """Write what the live view shows, whole or not at all; a disk that takes nothing stops no recording."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self.state()), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            _log.error("state not written", file=str(self._file), error=str(error))

    def state(self) -> dict[str, Any]:
        """What there is to say: contracts, sinks, connections, refusals."""
        return {
            "pid": os.getpid(),
            "time": time.time_ns(),
            "started": self._started,
            "contracts": {name: pipeline.status() for name, pipeline in sorted(self._pipelines.items())},
            "sinks": self._sinks(),
            "away": {"redis": self._redis_sink.outage.is_on, "mongo": self._mongo_sink.outage.is_on},
            "frames": sum(reader.frames for reader in self._readers),
            "connects": sum(reader.connects for reader in self._readers),
            "joined": sum(reader.joined for reader in self._readers),
            "refused": dict(self._refusals.counts),
        }

    def _sinks(self) -> dict[str, dict[str, dict[str, int]]]:
        return {name: queue.accounts() for name, queue in self._queues.items()}


def _spills(base: Path, bound: int) -> tuple[SpillFolder | None, dict[str, Spill]]:
    """The sinks' spills; without a folder for them recording goes on, with what memory holds."""
    try:
        folder = SpillFolder(base)
        return folder, {name: Spill(folder.path / name, bound) for name in ("redis", "mongo")}
    except OSError as error:
        _log.error("no spill: what memory does not hold is given up", folder=str(base), error=str(error))
        return None, {}
