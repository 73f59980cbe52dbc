"""One run: a router behind its gate does a scenario, is struck, is started again, and is judged when it is quiet."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from services.simulator.accounts import Keys
from tests.proofs.cell import OF_THE_PROOF, Cell, Result
from tests.proofs.desk import CONTRACT, Desk
from tests.proofs.faulty import LAG, REQUEST_TIMEOUT, TOLERANCE, reset_name, wishes_of
from tests.proofs.framing import redis_namer
from tests.proofs.gate import Gate
from tests.proofs.judge import Excuses, judge
from tests.proofs.proxy import Address, Proxy
from tests.proofs.scenarios import SCENARIOS
from tests.proofs.world import ASKS, OwnRedis, World
from tickrouter.bus.scripts import Script
from tickrouter.config import key_variable
from tickrouter.model.account import Account
from tickrouter.model.order import Status

LEASE_MS = 700
OUTCOME_WITHIN = 15.0
"""Seconds after the last disturbance in which every command must have its outcome and every fill be published."""
FOR_GOOD = ("twice", "sent twice", "published twice", "verdict", "numbering")
"""How findings begin that no waiting makes right."""
LONGEST = 8.0
"""How many times longer than said a wait may last on a busy machine."""
LOOK = 0.1
_SCRIPTS = tuple(sorted(file.name.removesuffix(".lua") for file in (files("tickrouter.bus") / "lua").iterdir()))


@dataclass
class Run:
    """One router, its gate and its account.

    Attributes:
        desk: the account.
        gate: what its messages go through.
        births: how often it was started.
    """

    world: World
    cell: Cell
    name: str
    keys: Keys
    gate: Gate
    desk: Desk
    folder: Path
    redis_address: Address
    room: int = 0
    database: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    births: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def log(self) -> Path:
        return self.folder / "router.log"

    async def open(self) -> None:
        """Open the proxies; nothing runs yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scripts = script_names(self.desk.account)
        servers: dict[Any, tuple[Address, Any]] = {
            "redis": (self.redis_address, redis_namer(scripts)),
            "venue": (self.world.venue_address, None),
            "mongo": (self.world.mongo_address, None),
        }
        for kind, (server, namer) in servers.items():
            proxy = Proxy(self.gate, kind, server, namer)
            self.ports[kind] = await proxy.open()
            self._stack.callback(proxy.close)

    async def start(self, *, behind_gate: bool = True, log: str = "router.log", service: str = "router") -> int:
        """Start a router, for the first time or again."""
        config = self.direct_configuration()
        if behind_gate:
            config = configuration(self.desk.account, self.ports, self.folder, self.name, self.database, self.room)
        pid = await self.world.nursery.birth(
            config,
            environment(self.desk.account, self.keys, private=self.cell.with_fault.private),
            self.folder / log,
            capabilities={"stamp_tolerance": TOLERANCE, "visibility_lag": LAG},
            twin=self.cell.twin if service == "router" else "",
            service=service,
        )
        if behind_gate:
            self.gate.begin(pid)
            self.births += 1
        return pid

    def direct_configuration(self) -> dict[str, Any]:
        """For a service that is not struck: it speaks to the servers themselves."""
        ports = {
            "redis": self.redis_address.port,
            "venue": self.world.venue_address.port,
            "mongo": self.world.mongo_address.port,
        }
        return configuration(self.desk.account, ports, self.folder, self.name, self.database, self.room)

    async def keep_alive(self) -> None:
        """Start it again whenever it was killed, until cancelled."""
        while True:
            await self.gate.struck.wait()
            await self.start()

    async def kill(self) -> None:
        """End the router; its account stays in Redis."""
        if not self.gate.closed and self.gate.pid:
            with suppress(ProcessLookupError):
                self.gate.kill()

    async def close(self) -> None:
        """End everything, and leave nothing behind."""
        await self.kill()
        await self._stack.aclose()
        shutil.rmtree(self.folder, ignore_errors=True)


async def open_run(world: World, cell: Cell, gate: Gate, own: OwnRedis | None = None) -> Run:
    """A new account with a router's surroundings; its orders are in a room of the shared Redis or on one of its own."""
    name, keys, stack = world.name(), await world.open_account(), AsyncExitStack()
    number, client = (0, own.client) if own else await stack.enter_async_context(world.room())
    account, address = f"btcturk/{name}", own.address if own else world.redis_address
    desk = Desk(account, keys.public_key, client, world.control)
    run = Run(world, cell, name, keys, gate, desk, world.folder / "runs" / name, address, number, _stack=stack)
    await run.open()
    return run


async def prove(world: World, cell: Cell, *, keep: Path | None = None) -> tuple[Result, Gate]:
    """Run one cell whose points kill.

    Args:
        world: the servers.
        cell: what to do.
        keep: folder for the logs of runs that failed.
    """
    began = time.monotonic()
    gate = Gate(cell.points)
    run = await open_run(world, cell, gate)
    keeper: asyncio.Task[None] | None = None
    try:
        await prepare(run)
        await run.start()
        keeper = asyncio.create_task(run.keep_alive())
        await asyncio.wait_for(SCENARIOS[cell.kind](run.desk), 60)
        wrong, revised = await verdict(run)
        if keeper.done() and keeper.exception() is not None:
            wrong.append(f"{OF_THE_PROOF}{keeper.exception()!r}")
        keeper.cancel()
        await run.kill()
        if wrong and keep is not None:
            await keep_logs(run, keep, wrong)
    finally:
        if keeper is not None:
            keeper.cancel()
        await run.close()
    reached = len(gate.strikes) == len(cell.points)
    seconds = round(time.monotonic() - began, 3)
    return Result(cell, tuple(wrong), reached, seconds, revised, recovery_of(gate)), gate


def recovery_of(gate: Gate) -> dict[str, int]:
    """How many messages of each name the router sent after its first restart."""
    if len(gate.traces) < 2:
        return {}
    return dict(Counter(name for name, _ in gate.traces[1]))


async def prepare(run: Run) -> None:
    """Arm the cell's fault, and fill up the house's first level."""
    fault = run.cell.with_fault
    for wish in wishes_of(fault, run.cell.kind, run.keys.public_key):
        await run.world.control.call("POST", "/fault", wish)
    if fault.reset:
        run.gate.resets[reset_name(run.cell.kind)] = 1
    await run.world.control.call("POST", "/levels", {"pair": "BTCUSDT", "asks": ASKS})


async def verdict(run: Run, excuses: Excuses | None = None, *, least: float = 0.0) -> tuple[list[str], int]:
    """Wait until all is quiet and right, or until the time in which it must be is over; what is wrong then.

    Args:
        run: its scenario is through.
        excuses: what the fault may be blamed for, where that is not the cell's fault alone.
        least: seconds before which nothing is judged: another router routes, and this one may still do harm.
    """
    fault = run.cell.with_fault
    excuses = excuses or Excuses(fault.revises, fault.lookalike)
    began, patience = time.monotonic(), Patience(OUTCOME_WITHIN)
    strikes, revised = len(run.gate.strikes), 0
    wrong = ["nothing was judged"]
    confirmed = False
    while not patience.is_over:
        if len(run.gate.strikes) > strikes:
            strikes, patience = len(run.gate.strikes), Patience(OUTCOME_WITHIN)
        await patience.pause(LOOK)
        if time.monotonic() < began + max(least, fault.lasts) or not (least or is_routing(run.gate)):
            confirmed = False
            continue
        if fault.lookalike and await decide(run.desk):
            continue
        if not await run.desk.is_quiet():
            confirmed = False
            continue
        account = await run.desk.read()
        wrong = judge(account, excuses)
        if run.cell.twin and any(one.startswith(FOR_GOOD) for one in wrong):
            return wrong, revised
        if wrong or not confirmed:
            confirmed = not wrong
            continue
        revised = sum(event.alarm == "late_find" for event in account.events)
        return [], revised
    if not least and not is_routing(run.gate):
        wrong = ["the router does not route", *wrong]
    elif wrong == ["nothing was judged"] or not wrong:
        wrong = judge(await run.desk.read(), excuses) or ["it never became quiet"]
    return wrong, revised


class Patience:
    """Time to wait, by a clock that stands while the machine has no time for us.

    The windows of the proofs are a tenth of the real ones: what takes 15 s here is minutes there, and a machine that
    is busy with other things must not pass for a router that does not answer.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._end = time.monotonic() + LONGEST * seconds

    @property
    def is_over(self) -> bool:
        return self._left <= 0 or time.monotonic() > self._end

    async def pause(self, seconds: float) -> None:
        """Wait, and count it if it took about as long as it should."""
        before = time.monotonic()
        await asyncio.sleep(seconds)
        if time.monotonic() - before < seconds * 1.5:
            self._left -= seconds


async def decide(desk: Desk) -> bool:
    """Play the operator: say once of each lookalike which order of the venue it is. True if there was one to decide."""
    account = await desk.read()
    ids = {row["orderClientId"]: str(row["id"]) for row in account.ledger["orders"]}
    for client_oid, order in account.orders.items():
        if order is None or order.reason is None:
            continue
        if order.status is Status.IN_DOUBT and order.reason.kind == "lookalike" and client_oid in ids:
            if client_oid not in desk.decided:
                desk.decided.add(client_oid)
                desk.settle(client_oid, ids[client_oid])
                await desk.send()
            return True
    return False


def is_routing(gate: Gate) -> bool:
    """True if the router that was started last reads the queue: not only what was claimed before."""
    return not gate.closed and gate.seen["redis:XREADGROUP"] >= 2


async def keep_logs(run: Run, keep: Path, wrong: list[str]) -> None:
    """Copy what tells of a failure."""
    keep.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in run.cell.key)[:150]
    trace = "\n".join(" ".join(f"{name}#{number}" for name, number in one) for one in run.gate.traces)
    log = run.log.read_text() if run.log.exists() else ""
    out = Path(f"{run.log}.out")
    log += out.read_text() if out.exists() else ""
    account = await run.desk.read()
    events = [
        f"{event.id} {event.type} {(event.client_oid or '')[:8]} {event.status} {event.filled} {event.fact} "
        f"{event.reason} {event.alarm} {(event.command or '')[:8]} {event.fill.trade_id if event.fill else ''}"
        for event in account.events
    ]
    ledger = [str(row) for row in (*account.ledger["orders"], *account.ledger["fills"])]
    parts = [run.cell.key, *wrong, "", trace, "", *events, "", *ledger, "", log]
    (keep / f"{name}.txt").write_text("\n".join(parts))


def script_names(account: str) -> dict[str, str]:
    """Digests of the account's scripts, to their names."""
    names = {}
    for name in _SCRIPTS:
        venue = account.partition("/")[0]
        for script in (
            Script("clock", name, mark=venue),
            Script(name),
            Script(name, mark=account),
            Script("guard", name, mark=account),
        ):
            names[script.digest] = name
    return names


def configuration(
    account: str, ports: dict[str, int], folder: Path, egress: str, database: str = "", room: int = 0
) -> dict[str, Any]:
    """The router's configuration, with short windows."""
    base = f"127.0.0.1:{ports['venue']}"
    hosts = {
        "public": f"http://{base}",
        "private": f"http://{base}",
        "graph": f"http://{base}",
        "socket": f"ws://{base}",
    }
    return {
        "data": str(folder),
        "servers": {
            "redis_url": f"redis://127.0.0.1:{ports['redis']}/{room}",
            "mongo_url": f"mongodb://127.0.0.1:{ports['mongo']}/?directConnection=true",
            "mongo_database": database or f"db_{egress}",
        },
        "venues": {"btcturk": {"card": "none.yaml", "hosts": hosts}},
        "accounts": {account: {"mode": "paper", "risk": {"contracts": [CONTRACT]}}},
        "router": {
            "lease_ms": LEASE_MS,
            "request_timeout": REQUEST_TIMEOUT,
            "poll_interval": 0.2,
            "reconcile_interval": 0.7,
            "egress": egress,
            "workers": 8,
        },
    }


def environment(account: str, keys: Keys, *, private: bool) -> dict[str, str]:
    """The account's keys as variables."""
    names = ["public_key", "private_key"] + (["socket_public_key", "socket_private_key"] if private else [])
    return {key_variable(Account.parse(account), name): getattr(keys, name) for name in names}
