"""Redis taken back to an earlier moment, or emptied, under a router that lives on, is killed, or sleeps through it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.proofs.cell import Cell, Result
from tests.proofs.gate import Gate
from tests.proofs.judge import Excuses
from tests.proofs.run import Run, keep_logs, open_run, prepare, verdict
from tests.proofs.scenarios import SCENARIOS
from tests.proofs.stops import AFTERMATH, settled_by_another
from tests.proofs.world import OwnRedis, World
from tickrouter.bus.codec import unpack_map
from tickrouter.model.event import Event

PATIENCE = 12.0
COLUMNS = (
    "rollbacks",
    "rollbacks, killed",
    "rollbacks, stopped",
    "wipes",
    "wipes, killed",
    "wipes, stopped",
)
"""What happens to Redis, and to the router at the same moment. Rollbacks have two points: where the copy is taken, and
where it comes back; wipes have the second only."""

UNCOPIED = "rollbacks, uncopied, stopped"
"""A rollback with a stop while no archiver runs: MongoDB knows the epoch, and none of its orders."""


async def prove_forget(world: World, cell: Cell, *, keep: Path | None = None) -> tuple[Result, Gate]:
    """Run one cell of `COLUMNS`, or of `UNCOPIED`."""
    began = time.monotonic()
    own = OwnRedis(world.folder / "redis-of-one" / world.name())
    try:
        await asyncio.to_thread(own.server.start)
        wrong, revised, gate, reached = await _run(world, cell, own, keep)
    finally:
        await own.close()
    return Result(cell, tuple(wrong), reached, round(time.monotonic() - began, 3), revised), gate


async def _run(world: World, cell: Cell, own: OwnRedis, keep: Path | None) -> tuple[list[str], int, Gate, bool]:
    gate = Gate(cell.points)
    run = await open_run(world, cell, gate, own)
    run.desk.copied = lambda: copied_events(world, f"db_{run.name}", run.desk.account)
    others: list[int] = []
    forgotten = _arm(run, own, others)
    keeper = asyncio.create_task(run.keep_alive())
    try:
        await prepare(run)
        if cell.column != UNCOPIED:
            others.append(await run.start(behind_gate=False, log="archiver.log", service="archiver"))
        doing = asyncio.create_task(SCENARIOS[cell.kind](run.desk))
        while not doing.done() and not await own.client.xlen(run.desk.keys.orders):
            await asyncio.sleep(0.005)
        await run.start()
        await asyncio.wait_for(doing, 90)
        if gate.strikes:
            with suppress(TimeoutError):
                await asyncio.wait_for(forgotten.wait(), PATIENCE)
        least = 0.3
        if gate.stopped.is_set():
            await settled_by_another(run.desk)
            gate.release()
            least = AFTERMATH
        wrong, revised = await verdict(run, Excuses(epochs=True), least=least)
        if wrong and keep is not None:
            await keep_logs(run, keep, wrong)
    finally:
        keeper.cancel()
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if gate.stopped.is_set():
            with suppress(ProcessLookupError):
                os.kill(gate.pid, signal.SIGCONT)
        await run.close()
    return wrong, revised, gate, forgotten.is_set()


def _arm(run: Run, own: OwnRedis, others: list[int]) -> asyncio.Event:
    """Say what is done at the cell's points; the event is set when Redis is back."""
    *first, last = run.cell.points
    gate, forgotten = run.gate, asyncio.Event()
    held: set[asyncio.Task[None]] = set()

    def snapshot(go_on: Callable[[], None]) -> None:
        own.snapshot()
        go_on()

    async def forget(go_on: Callable[[], None]) -> None:
        await own.forget()
        if gate.stopped.is_set():
            others.append(await run.start(behind_gate=False, log="second.log"))
        go_on()
        forgotten.set()

    def strike(go_on: Callable[[], None]) -> None:
        if run.cell.column.endswith("stopped"):
            gate.stop(go_on)
            held.add(asyncio.get_running_loop().create_task(forget(lambda: None)))
        elif run.cell.column.endswith("killed"):
            gate.kill()
            held.add(asyncio.get_running_loop().create_task(forget(lambda: None)))
        else:
            held.add(asyncio.get_running_loop().create_task(forget(go_on)))

    for point in first:
        gate.instead(point, snapshot)
    gate.instead(last, strike)
    return forgotten


def copied_events(world: World, name: str, account: str) -> list[Event]:
    """The events that MongoDB has of an account."""
    found = world.copies[name].events.find({"account": account}, {"d": 1}).sort([("epoch", 1), ("seq", 1)])
    return [Event.from_wire(unpack_map(document["d"])) for document in found]
