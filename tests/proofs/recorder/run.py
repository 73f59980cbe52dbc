"""One run of the recorder: a collector behind proxies, what strikes it, its next start, and the verdict."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

from pymongo import MongoClient
from redis import Redis

from services.stack.servers import Server, mongo_server, redis_server
from tests.proofs.framing import redis_namer
from tests.proofs.gate import Act, Gate, Point
from tests.proofs.proxy import Address, Proxy
from tests.proofs.recorder.disk import Disk
from tests.proofs.recorder.judge import DEPTH, END, KINDS, Fate, Recorded, Verdict, judged
from tests.proofs.recorder.process import is_alive, kill, port_of, until
from tests.proofs.world import World
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.scripts import Script
from tickrouter.history.connection import initiate

CONTRACT, PAIR = "btcturk/btc.usdt", "BTCUSDT"
LIVE_TIMEOUT = 20.0
STRIKE_TIMEOUT = 6.0
AFTER = 0.8
"""Seconds that a collector records before its run goes on."""
ENDS = 5
"""A collector that ends while a server lags behind leaves the rest to the next one: so often there may be one."""
JUDGES = 2
SCRIPTS = {Script("publish").digest: "publish", Script("renew").digest: "renew"}

Trouble = Literal[
    "kill redis",
    "stop redis",
    "refuse redis",
    "fill redis",
    "kill mongo",
    "stop mongo",
    "refuse mongo",
    "fill mongo",
    "crowd mongo",
    "stranger",
]
"""To fill mongod is to let its disk refuse every byte, to crowd it is to leave room to the journal alone."""
TROUBLES: tuple[Trouble, ...] = tuple(trouble for trouble in get_args(Trouble) if trouble != "stranger")
OWN = frozenset({"kill", "stop", "fill", "crowd"})
"""Troubles for which a run has a server of its own."""
LASTING = 1.5
FULL = "1"
"""Bytes that a full Redis may use."""


@dataclass(frozen=True, slots=True)
class Case:
    """What happens in a run.

    Attributes:
        points: where the collector is struck.
        stop: seconds that it is stopped for there; 0 kills it.
        troubles: of servers, in this order, while it records.
        kill: kill it in the middle of the last trouble.
        full: at its points, the disk under mongod is full instead of the collector being struck.
        twin: a broken recorder.
        file_size: bytes that a file of the collector may have, as if the disk were full then; 0 for any number.
        lasting: seconds that a trouble lasts.
    """

    points: tuple[Point, ...] = ()
    stop: float = 0.0
    troubles: tuple[Trouble, ...] = ()
    kill: bool = False
    twin: str = ""
    file_size: int = 0
    lasting: float = LASTING
    full: bool = False

    def __str__(self) -> str:
        parts = [*(str(point) for point in self.points), *self.troubles]
        parts += [f"stopped for {self.stop:g} s"] * bool(self.stop)
        parts += ["mongod's disk full"] * self.full
        parts += [f"disk full at {self.file_size} B"] * bool(self.file_size)
        parts += [f"for {self.lasting:g} s"] * (self.lasting != LASTING) + ["and killed"] * self.kill
        return ", ".join(parts) or "clean"


@dataclass(slots=True)
class Outcome:
    """A case, what was found, and the messages of its first process."""

    case: object
    verdict: Verdict
    reached: bool = True
    trace: list[tuple[str, int]] = field(default_factory=list)


class Recording:
    """The collector of one run and its surroundings."""

    def __init__(self, world: World, case: Case, stack: AsyncExitStack) -> None:
        self._world = world
        self._case = case
        self._stack = stack
        self.name = world.name()
        self.folder = world.folder / self.name
        # One for each server, so that either may refuse alone.
        self.gates = {
            kind: Gate(tuple(point for point in case.points if point.name.startswith(kind)))
            for kind in ("redis", "mongo")
        }
        self.pid = 0
        self.kills = 0
        self.gone = END
        """When it was first killed, or ended for another to go on, ns or a little later."""
        self.live = 0
        """Up to here the ledger spoke of all kinds when it was last asked, ns."""
        for point in case.points if case.stop else ():
            gate = self.gates[point.name.partition(":")[0]]
            gate.instead(point, gate.stop)
        for point in case.points if case.full else ():
            gate = self.gates[point.name.partition(":")[0]]
            gate.instead(point, self._fill_at(gate))
        self.own: dict[str, Server] = {}
        self.disk: Disk | None = None

    async def open(self, number: int) -> None:
        """Servers of its own where one is to suffer, and the proxies."""
        self.folder.mkdir(parents=True)
        # A mongod's journal alone has 300 MB, and there are hundreds of runs.
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        wanted = {trouble.split()[-1] for trouble in self._case.troubles if trouble.split()[0] in OWN}
        wanted |= {"mongo"} if self._case.full else set()
        for kind, make in (("redis", redis_server), ("mongo", mongo_server)):
            if kind in wanted:
                server = make(self.folder / kind)
                self.own[kind] = server
                if kind == "mongo":
                    self.disk = Disk(server, is_small="crowd mongo" in self._case.troubles)
                await asyncio.to_thread(server.start)
                self._stack.callback(server.stop)
        if "mongo" in self.own:
            await asyncio.to_thread(initiate, self.own["mongo"].url)
        redis = (
            self.own["redis"].url if "redis" in self.own else self._world.redis_server.url.replace("/0", f"/{number}")
        )
        mongo = self.own["mongo"].url if "mongo" in self.own else self._world.mongo.url
        self._addresses = redis, mongo
        self.redis: Redis = Redis.from_url(redis)
        self._stack.callback(self.redis.close)
        self.mongo: MongoClient[dict[str, Any]] = MongoClient(mongo, serverSelectionTimeoutMS=20_000)
        self._stack.callback(self.mongo.close)
        redis_port = await self._proxy("redis", Address("127.0.0.1", port_of(redis)))
        mongo_port = await self._proxy("mongo", Address("127.0.0.1", port_of(mongo)))
        self._config = {
            "data": str(self.folder / "data"),
            "servers": {
                "redis_url": f"redis://127.0.0.1:{redis_port}/{redis.rpartition('/')[2]}",
                "mongo_url": f"mongodb://127.0.0.1:{mongo_port}/?directConnection=true",
                "mongo_database": self.name,
            },
            "venues": {"btcturk": {"card": "card", "hosts": {"socket": self._world.venue.socket}}},
            "record": {"contracts": [CONTRACT], "book_levels": DEPTH, "book_interval_ms": 0},
            "recorder": {"backfill": False, **({"queue": 100, "spill_mb": 1} if self._case.file_size else {})},
            "streams": dict.fromkeys(("tick", "trade", "book", "feed"), 10_000_000),
        }

    async def _proxy(self, kind: Literal["redis", "mongo"], server: Address) -> int:
        proxy = Proxy(self.gates[kind], kind, server, redis_namer(SCRIPTS) if kind == "redis" else None)
        self._stack.callback(proxy.close)
        return await proxy.open()

    async def start(self) -> None:
        """Start a collector."""
        pid = await self._world.nursery.birth(
            self._config,
            {},
            self.folder / "collector.log",
            twin=self._case.twin,
            service="collector",
            level="debug",
            file_size=self._case.file_size,
        )
        self.pid = pid
        for gate in self.gates.values():
            gate.begin(pid)
        self._stack.callback(kill, pid)

    def recorded(self, record: Path, offset: int) -> Recorded:
        """What its judge is told."""
        return Recorded(*self._addresses, self.name, CONTRACT, PAIR, record, offset)

    def entries(self, kind: str) -> int:
        return int(self.redis.xlen(MarketKeys(CONTRACT).stream(kind)))

    async def wait_live(self) -> bool:
        """Until all that was received so far is stored, and the ledger says so."""
        coverage, now = self.mongo[self.name].coverage, time.time_ns()
        told = {"end": {"$gt": now}, "state": "live"}

        def is_told() -> bool:
            return set(coverage.distinct("kind", told)) >= set(KINDS) and self.entries("book") > 0

        is_live = await until(is_told, LIVE_TIMEOUT)
        self.live = now if is_live else self.live
        return is_live

    async def struck(self) -> bool:
        """Wait until the collector is struck; False if the point was not reached."""
        return await until(
            lambda: any(gate.struck.is_set() or gate.stopped.is_set() for gate in self.gates.values()), STRIKE_TIMEOUT
        )

    def release(self) -> None:
        """Let a stopped collector go on."""
        for gate in self.gates.values():
            if gate.stopped.is_set():
                gate.release()
                gate.stopped.clear()

    def strike(self) -> None:
        """Kill the collector, at no point."""
        for gate in self.gates.values():
            gate.close()
        kill(self.pid)
        self.note_death()

    def note_death(self) -> None:
        """The collector was killed."""
        self.kills += 1
        self.gone = min(self.gone, time.time_ns())

    def trace(self) -> list[tuple[str, int]]:
        """Messages of the first collector."""
        return [message for gate in self.gates.values() for message in gate.traces[0]]

    async def suffer(self, trouble: Trouble, *, kill: bool = False) -> None:
        """One server's bad second, and the collector killed in it."""
        word, _, kind = trouble.partition(" ")
        if trouble == "stranger":
            await asyncio.to_thread(self._stranger)
            await asyncio.sleep(AFTER)
            return
        if trouble in ("fill mongo", "crowd mongo"):
            await self.crowd(is_crowded=word == "crowd", kill=kill)
            return
        if word == "refuse":
            self.gates[kind].close()
        elif word == "kill":
            self.own[kind].kill()
        elif word == "fill":
            await asyncio.to_thread(self.redis.config_set, "maxmemory", FULL)
        else:
            self._signal(kind, signal.SIGSTOP)
        await asyncio.sleep(self._case.lasting)
        if kill:
            self.strike()
        if word == "refuse":
            self.gates[kind].closed = False
        elif word == "kill":
            await asyncio.to_thread(self.own[kind].start)
        elif word == "fill":
            await asyncio.to_thread(self.redis.config_set, "maxmemory", "0")
        elif word == "stop":
            self._signal(kind, signal.SIGCONT)

    def _fill_at(self, gate: Gate) -> Act:
        def act(go_on: Callable[[], None]) -> None:
            if self.disk is not None:
                self.disk.fill("every byte")
            gate.struck.set()
            go_on()

        return act

    async def crowd(self, *, is_crowded: bool = False, kill: bool = False) -> None:
        """The disk under mongod is full, until there is room again."""
        disk = self.disk
        assert disk is not None, "no mongod of its own"
        if is_crowded:
            await asyncio.to_thread(disk.weigh)
        disk.fill("data files" if is_crowded else "every byte")
        await asyncio.sleep(self._case.lasting)
        await asyncio.to_thread(disk.end)
        if kill:
            self.strike()
        for step in (disk.start_in_vain, disk.make_room):
            await asyncio.to_thread(step)

    def _signal(self, kind: str, number: signal.Signals) -> None:
        process = self.own[kind].process
        if process is not None:
            os.kill(process.pid, number)

    def _stranger(self) -> None:
        """Somebody adds an entry that lies half a second ahead."""
        key = MarketKeys(CONTRACT).stream("book")
        last = self.redis.xinfo_stream(key)["last-generated-id"].decode().split("-")
        self.redis.xadd(key, {"d": b"stranger"}, id=f"{int(last[0]) + 500}-{2**62}")
        self.redis.xdel(key, f"{int(last[0]) + 500}-{2**62}")

    async def end(self) -> None:
        """End the collector kindly."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        gone = await until(lambda: not is_alive(self.pid), 10)
        assert gone, "the collector does not end"

    def left(self) -> int:
        """Records that the last collector left for the next one."""
        sinks = json.loads((self.folder / "data/state/collector.json").read_text())["sinks"]
        accounts = [account for kinds in sinks.values() for account in kinds.values()]
        return sum(account["queued"] + account["spilled"] for account in accounts)


async def run_case(world: World, case: Case) -> Outcome:
    """Run a case and judge it."""
    record = world.venue.settings.data / "frames.jsonl"
    async with AsyncExitStack() as stack, world.room() as (number, _):
        recording = Recording(world, case, stack)
        await recording.open(number)
        offset = record.stat().st_size if record.exists() else 0
        await recording.start()
        reached = await _play(recording, case)
        trace = recording.trace()
        ended = time.time_ns()
        await recording.end()
        for _ in range(ENDS):
            if not recording.left():
                break
            recording.gone = min(recording.gone, ended)
            await recording.start()
            assert await recording.wait_live(), "what was left is not taken up"
            await recording.end()

        fate = Fate(recording.kills, recording.gone, recording.live, bool(case.stop or case.file_size))
        place = recording.recorded(record, offset)
        verdict = await asyncio.get_running_loop().run_in_executor(judges(), judged, place, fate)
        await asyncio.to_thread(recording.mongo.drop_database, recording.name)
        return Outcome(case, verdict, reached, trace)


@cache
def judges() -> ProcessPoolExecutor:
    """Who judges, in processes of their own: what passes the messages of other runs on must not wait for it."""
    return ProcessPoolExecutor(JUDGES, get_context("spawn"))


async def _play(recording: Recording, case: Case) -> bool:
    reached = True
    if case.points:
        reached = await recording.struck()
        if reached and case.full:
            await recording.crowd(kill=case.kill)
        elif reached and case.stop:
            await asyncio.sleep(case.stop)
            recording.release()
        elif reached:
            recording.note_death()
    elif not await recording.wait_live():
        raise AssertionError("the collector does not record")
    for left, trouble in enumerate(case.troubles, 1 - len(case.troubles)):
        await recording.suffer(trouble, kill=case.kill and not left)
    if recording.kills:
        await asyncio.sleep(0.2)
        await recording.start()
    if not await recording.wait_live():
        raise AssertionError(f"the collector does not record after {case}")
    await asyncio.sleep(AFTER)
    return reached
