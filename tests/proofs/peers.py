"""The same adversary applied to what users of ccxt's btcturk write: create the order, and again if the network failed.

ccxt is installed with the tools for tests; nothing of it is in this repository.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proofs.cell import Cell
from tests.proofs.faulty import FAULTS, REQUEST_TIMEOUT, wishes_of
from tests.proofs.gate import PHASES, Gate, Point
from tests.proofs.proxy import Proxy
from tests.proofs.world import World, world

ORDERS = 3
TRIES = 5
"""Times that the loop tries before it gives up and calls the order failed."""
PEER_FAULTS = ("none", "reply lost", "request lost", "late answer", "html, not done", "html, done", "reset")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Runs, and how many of them ended wrong."""

    runs: int
    doubled: int
    lost: int
    failures: int


async def prove_peer() -> Outcome:
    """The loop under each fault, and killed at each of its messages and started again."""
    cells = [Cell("ccxt", "place", fault) for fault in PEER_FAULTS]
    cells += [
        Cell("ccxt", "place", "none", (Point("http:POST order", number, phase),))
        for number in range(1, ORDERS + 1)
        for phase in PHASES
    ]
    async with world(stamp_tolerance_ms=5000) as made:
        outcomes = [await _run(made, cell) for cell in cells]
    return Outcome(
        len(cells),
        sum(doubled for doubled, _ in outcomes),
        sum(lost for _, lost in outcomes),
        sum(doubled or lost for doubled, lost in outcomes),
    )


async def _run(made: World, cell: Cell) -> tuple[bool, bool]:
    """Whether an order was doubled, and whether one that the venue has was called failed."""
    keys, gate = await made.open_account(), Gate(cell.points)
    fault = FAULTS[cell.fault]
    for wish in wishes_of(fault, "place", keys.public_key):
        await made.control.call("POST", "/fault", wish)
    if fault.reset:
        gate.resets["http:POST order"] = 1
    proxy = Proxy(gate, "venue", made.venue_address)
    port = await proxy.open()
    results: list[str] = []
    done = made.folder / f"done-{keys.public_key}"
    done.touch()
    for _ in range(2):
        child = multiprocessing.get_context("spawn").Process(
            target=users_loop, args=(port, keys.public_key, keys.private_key, ORDERS, str(done))
        )
        child.start()
        gate.begin(child.pid or 0)
        while child.is_alive():
            await asyncio.sleep(0.02)
        results = done.read_text().split()
        if len(results) == ORDERS:
            break
    proxy.close()
    with suppress(ProcessLookupError):
        gate.close()
    ledger = await made.control.call("GET", f"/ledger?account={keys.public_key}")
    placed: list[Any] = ledger["orders"]
    doubled = len(placed) > ORDERS
    lost = sum(result == "failed" for result in results) > 0 and len(placed) >= ORDERS
    return doubled, lost


def users_loop(port: int, public_key: str, private_key: str, orders: int, done: str) -> None:
    """What is found in trading programs: retry on a network error, note the order as placed or failed."""
    import ccxt

    base = f"http://127.0.0.1:{port}"
    urls = {"api": {"public": f"{base}/api/v2", "private": f"{base}/api/v1", "graph": f"{base}/graph/v1"}}
    timeout = int(REQUEST_TIMEOUT * 1000)
    exchange: Any = ccxt.btcturk({"apiKey": public_key, "secret": private_key, "urls": urls, "timeout": timeout})
    exchange.load_markets()
    file = Path(done)
    for _order in range(len(file.read_text().split()), orders):
        result = "failed"
        for _ in range(TRIES):
            try:
                exchange.create_order("BTC/USDT", "limit", "buy", 1, 90)
            except (ccxt.NetworkError, ccxt.ExchangeNotAvailable):
                continue
            except ccxt.BaseError:
                break
            result = "placed"
            break
        with file.open("a") as out:
            out.write(f"{result}\n")
