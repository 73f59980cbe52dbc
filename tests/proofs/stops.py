"""A router stopped at a message while another takes over; what it does when it wakes up must change nothing.

Orders come while it wakes: what it takes off the queue then, not knowing yet that the lease is lost, is the other's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.proofs.cell import Cell, Result
from tests.proofs.desk import Desk
from tests.proofs.gate import Gate
from tests.proofs.run import keep_logs, open_run, prepare, verdict
from tests.proofs.scenarios import SCENARIOS
from tests.proofs.world import World

PATIENCE = 12.0
"""Seconds for the point to be reached, and for the second router to have settled all."""
ARRIVALS = 6
BETWEEN = 0.01
"""Seconds between two orders that come while it wakes."""
AFTERMATH = 0.8
"""Seconds that a router gets to do harm after it woke up: longer than its requests last."""


async def prove_stop(world: World, cell: Cell, *, keep: Path | None = None) -> tuple[Result, Gate]:
    """Stop the first router at the cell's point; a second one settles everything; then the first wakes up."""
    began = time.monotonic()
    gate = Gate(cell.points)
    for point in cell.points:
        gate.instead(point, gate.stop)
    run = await open_run(world, cell, gate)
    second = 0
    try:
        await prepare(run)
        await run.start()
        doing = asyncio.create_task(SCENARIOS[cell.kind](run.desk))
        with suppress(TimeoutError):
            await asyncio.wait_for(gate.stopped.wait(), PATIENCE if not doing.done() else 1.0)
        if gate.stopped.is_set():
            second = await run.start(behind_gate=False, log="second.log")
            await asyncio.wait_for(doing, 60)
            await settled_by_another(run.desk)
            await wake_among_arrivals(run.desk, gate)
        else:
            await asyncio.wait_for(doing, 60)
        wrong, revised = await verdict(run, least=AFTERMATH)
        if wrong and keep is not None:
            await keep_logs(run, keep, wrong)
    finally:
        if second:
            with suppress(ProcessLookupError):
                os.kill(second, signal.SIGKILL)
        if gate.stopped.is_set():
            with suppress(ProcessLookupError):
                os.kill(gate.pid, signal.SIGCONT)
        await run.close()
    reached = gate.stopped.is_set()
    return Result(cell, tuple(wrong), reached, round(time.monotonic() - began, 3), revised), gate


async def wake_among_arrivals(desk: Desk, gate: Gate) -> None:
    """The stopped router wakes up in the midst of orders that come one by one."""
    for number in range(ARRIVALS):
        if number == ARRIVALS // 2:
            gate.release()
        desk.place("b", "89.00", "1")
        await desk.send()
        await asyncio.sleep(BETWEEN)


async def settled_by_another(desk: Desk) -> None:
    """Wait until the second router has nothing left to do, quiet windows included (for a while)."""
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    while quiet < 3 and time.monotonic() < deadline:
        await asyncio.sleep(0.15)
        quiet = quiet + 1 if await desk.is_quiet() else 0
