"""Archivers killed and stopped at their messages: packing, removal, bars and outbox lose nothing and double nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from redis import Redis

from services.stack.servers import mongo_server
from tests.proofs.framing import redis_namer
from tests.proofs.gate import HANDSHAKES, PHASES, Gate, Point
from tests.proofs.proxy import Address, Proxy
from tests.proofs.recorder.disk import Disk
from tests.proofs.recorder.judge import Verdict
from tests.proofs.recorder.process import is_alive, kill, port_of, until
from tests.proofs.recorder.run import Outcome
from tests.proofs.world import World
from tests.publishing import RouterPen
from tickrouter.bus.outbox import GROUP
from tickrouter.history.chunks import decode
from tickrouter.history.columns import digest
from tickrouter.history.connection import database, ensure_indexes, initiate
from tickrouter.history.documents import to_document
from tickrouter.history.queries import History
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
MS = 1_000_000
START = 1_785_585_600_000_000_000
TRADES, BACKFILLED, TICKS, EVENTS = 60, 20, 60, 40
LATE = "999"
"""Id of a trade that is read after the fact in the midst of the others, while the archiver is at work."""
TIMEOUT = 20.0
FULL_FOR = 1.0
"""Seconds that a disk is full."""
NUMBERS = (1, 2, 3, 5, 8, 13)
WRITERS = frozenset(
    {"mongo:insert", "mongo:update", "mongo:delete", "redis:XACK", "redis:XTRIM", "redis:XGROUP CREATE"}
)


@dataclass(frozen=True, slots=True)
class Packing:
    """One run.

    Attributes:
        points: where the archiver is struck.
        stop: seconds that it is stopped for there; 0 kills it.
        twin: a broken archiver.
        full: the disk under mongod is full from there on, and the archiver is left alone.
    """

    points: tuple[Point, ...] = ()
    stop: float = 0.0
    twin: str = ""
    full: bool = False

    def __str__(self) -> str:
        parts = ["archiver", *(str(point) for point in self.points)] + [f"stopped for {self.stop:g} s"] * bool(
            self.stop
        )
        parts += ["mongod's disk full"] * self.full
        return ", ".join(parts)


def cases(trace: Sequence[tuple[str, int]]) -> list[Packing]:
    """Kills before, in the middle of and after the messages of a recorded clean run, and stops at what writes."""
    counts = Counter(name for name, _ in trace if name not in HANDSHAKES)
    points = [
        Point(name, number, phase)
        for name, count in sorted(counts.items())
        for number in NUMBERS
        if number <= count
        for phase in (PHASES if name in WRITERS else PHASES[:1])
    ]
    stops = [point for point in points if point.name in WRITERS and point.phase == "after" and point.number <= 2]
    return [*(Packing((point,)) for point in points), *(Packing((point,), 1.0) for point in stops)]


def full_disks(trace: Sequence[tuple[str, int]]) -> list[Packing]:
    """The disk under mongod is full from each message on that changes something there."""
    points = (case.points for case in cases(trace) if not case.stop)
    return [Packing(own, full=True) for own in points if own[0].name.startswith("mongo") and own[0].name in WRITERS]


def twin_cases(trace: Sequence[tuple[str, int]]) -> list[Packing]:
    """Of the one that deletes by range, at each deletion."""
    number = sum(name == "mongo:delete" for name, _ in trace)
    return [Packing((Point("mongo:delete", at, "before"),), twin="delete by range") for at in range(1, number + 1)]


async def run_packing(world: World, case: Packing) -> Outcome:
    """Run a case and judge it."""
    async with AsyncExitStack() as stack, world.room() as (number, _):
        name = world.name()
        folder = world.folder / name
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        redis_url = world.redis_server.url.replace("/0", f"/{number}")
        redis: Redis = Redis.from_url(redis_url)
        stack.callback(redis.close)
        server, disk = world.mongo, None
        if case.full:
            server = mongo_server(folder / "mongo")
            disk = Disk(server)
            await asyncio.to_thread(server.start)
            stack.callback(server.stop)
            await asyncio.to_thread(initiate, server.url)
        mongo: MongoClient[dict[str, Any]] = MongoClient(server.url)
        stack.callback(mongo.close)
        db = database(mongo, name)
        await asyncio.to_thread(_furnish, db, redis, name)
        gates = {kind: Gate(tuple(p for p in case.points if p.name.startswith(kind))) for kind in ("redis", "mongo")}
        for point in case.points:
            gate = gates[point.name.partition(":")[0]]
            gate.instead(point, _strike(db, gate, disk, is_stop=bool(case.stop)))
        redis_proxy = Proxy(gates["redis"], "redis", Address("127.0.0.1", port_of(redis_url)), redis_namer({}))
        mongo_proxy = Proxy(gates["mongo"], "mongo", Address("127.0.0.1", server.port))
        for proxy in (redis_proxy, mongo_proxy):
            stack.callback(proxy.close)
        config = {
            "data": str(folder / "data"),
            "servers": {
                "redis_url": f"redis://127.0.0.1:{await redis_proxy.open()}/{number}",
                "mongo_url": f"mongodb://127.0.0.1:{await mongo_proxy.open()}/?directConnection=true",
                "mongo_database": name,
            },
            "accounts": {f"btcturk/{name}": {}},
            "record": {"contracts": [C]},
            "archive": {"hot_hours": 0.001, "wait_hours": 0, "every_seconds": 0.1},
        }

        async def start() -> int:
            pid = await world.nursery.birth(
                config, {}, folder / "archiver.log", twin=case.twin, service="archiver", level="debug"
            )
            for gate in gates.values():
                gate.begin(pid)
            stack.callback(kill, pid)
            return pid

        pid = await start()
        reached = True
        if case.points:
            reached = await until(lambda: any(g.struck.is_set() or g.stopped.is_set() for g in gates.values()), TIMEOUT)
            if disk is not None and reached:
                await asyncio.sleep(FULL_FOR)
                for step in (disk.end, disk.start_in_vain, disk.make_room):
                    await asyncio.to_thread(step)
            elif case.stop and reached:
                await asyncio.sleep(case.stop)
                for gate in gates.values():
                    if gate.stopped.is_set():
                        gate.release()
            elif reached:
                pid = await start()
        is_done = await until(lambda: _is_done(db, redis, name), TIMEOUT)
        trace = [message for gate in gates.values() for message in gate.traces[0]]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        is_gone = await until(lambda: not is_alive(pid), 10)
        verdict = Verdict()
        verdict.wrong += ["the archiver does not get done"] * (not is_done) + ["it does not end"] * (not is_gone)
        verdict.wrong += await asyncio.to_thread(_wrong, db, name, is_late=bool(case.points) and reached)
        verdict.sent = TRADES + BACKFILLED + TICKS + EVENTS
        await asyncio.to_thread(mongo.drop_database, name)
        return Outcome(case, verdict, reached, trace)


def _strike(db: Any, gate: Gate, disk: Disk | None, *, is_stop: bool) -> Any:
    """A late trade comes, and the archiver is stopped or killed, or the disk is full."""

    def act(go_on: Any) -> None:
        late = Trade(START + 30 * MS, 1.0, 1.0, "s", LATE, C, "backfill")
        db.trades.insert_one(to_document(late))
        if disk is not None:
            disk.fill("every byte")
            gate.struck.set()
            go_on()
        elif is_stop:
            gate.stop(go_on)
        else:
            gate.kill()

    return act


def _trade(number: int, source: Any = "live") -> Trade:
    return Trade(START + number * MS, 100 + number / 100, 1.0, "b", str(1000 + number), C, source)


def _furnish(db: Any, redis: Redis, name: str) -> None:
    """Old records of every sort, and an outbox."""
    ensure_indexes(db)
    session, ms = 1 << 40, START // MS
    live = [to_document(_trade(k), ms + k, session + k) for k in range(TRADES)]
    late = [to_document(_trade(k, "backfill")) for k in range(TRADES, TRADES + BACKFILLED)]
    ticks = [
        to_document(
            Tick(START + k * MS, float(k + 1), None, ((float(k + 1), 1.0),), (), C, "trade"), ms + k, session + k
        )
        for k in range(TICKS)
    ]
    db.trades.insert_many(live + late)
    db.ticks.insert_many(ticks)
    now = time.time_ns() // MS
    db.through.insert_many(
        [{"_id": f"{C}#{kind}", "contract": C, "kind": kind, "ms": now, "n": session} for kind in ("trade", "tick")]
    )
    pen = RouterPen(redis, f"btcturk/{name}")
    for number in range(EVENTS):
        oid = f"{number // 4:032x}"
        if number % 4 == 3:
            pen.fill(oid)
        else:
            pen.event(client_oid=oid)
    for number in range(EVENTS // 4):
        pen.order(f"{number:032x}")


def _is_done(db: Any, redis: Redis, name: str) -> bool:
    keys = RouterPen(redis, f"btcturk/{name}").keys
    groups = {group["name"]: group for group in redis.xinfo_groups(keys.events)}
    group = groups.get(GROUP.encode() if isinstance(GROUP, str) else GROUP)
    is_copied = db.events.count_documents({}) >= EVENTS and group is not None and not group["pending"]
    return is_copied and not db.trades.count_documents({}) and not db.ticks.count_documents({})


def _wrong(db: Any, name: str, *, is_late: bool) -> list[str]:
    """What does not hold."""
    wrong = []
    trades = [str(1000 + number) for number in range(TRADES + BACKFILLED)] + [LATE] * is_late
    found: dict[str, tuple[Counter[Any], Counter[Any]]] = {
        "trades of the history": (Counter(trades), Counter(one.trade_id for one in History(db, "trade", C, 0))),
        "trades in documents and chunks": (Counter(trades), _copies(db, "trade", "trade_id")),
        "ticks in documents and chunks": (
            Counter((1 << 40) + number for number in range(TICKS)),
            _copies(db, "tick", "n"),
        ),
        "ticks of the history": (
            Counter(START + number * MS for number in range(TICKS)),
            Counter(one.time for one in History(db, "tick", C, 0)),
        ),
        "events": (Counter(range(1, EVENTS + 1)), Counter(one["seq"] for one in db.events.find())),
        "fills": (Counter(range(1, EVENTS // 4 + 1)), Counter(one["seq"] for one in db.fills.find())),
        "torn chunks": (Counter(), _torn(db)),
        "conflicts": (Counter(), Counter(one["_id"] for one in db.conflicts.find())),
    }
    for what, (expected, there) in found.items():
        for key in expected | there:
            if expected[key] != there[key]:
                wrong.append(f"{what}: {key} is there {there[key]} times, not {expected[key]}")
    return wrong[:10]


def _copies(db: Any, kind: str, field: str) -> Counter[Any]:
    hot = [document[field] for document in db[f"{kind}s"].find({"contract": C})]
    chunks = db.chunks.find({"kind": kind, "contract": C, "state": "live"})
    return Counter(hot + [number for chunk in chunks for number in decode(chunk["top"])[field].to_list()])


def _torn(db: Any) -> Counter[Any]:
    """Live chunks that do not hold what they say of themselves."""
    torn: Counter[Any] = Counter()
    for chunk in db.chunks.find({"state": "live"}):
        columns = decode(chunk["top"])
        if chunk["depth"] is not None:
            columns.columns.update(decode(chunk["depth"]).columns)
        torn[chunk["_id"]] += columns.rows != chunk["rows"] or digest(columns) != chunk["digest"]
    return +torn
