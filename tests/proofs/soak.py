"""Hours of bad days: random commands on several accounts while routers, servers, sockets and clocks go wrong.

Everything that happens is drawn from the seed before it happens, so that a schedule can be played again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from services.simulator.accounts import Keys
from services.simulator.settings import demo_account
from tests.proofs.cell import Cell
from tests.proofs.desk import Desk
from tests.proofs.faulty import FAULTS, wishes_of
from tests.proofs.forgets import copied_events
from tests.proofs.gate import Gate
from tests.proofs.judge import Excuses
from tests.proofs.run import Run, is_routing, verdict
from tests.proofs.world import ASKS, BIDS, World, world

ACCOUNTS = 4
COMMAND_EVERY = 0.25
"""Mean seconds between two commands of an account."""
TROUBLE_EVERY = 3.0
"""Mean seconds between two troubles."""
CALM_DOWN = 5.0
KEPT_RESTING = 8
"""Orders that an account lets rest before it cancels them all."""
_FAULTS = tuple(name for name, fault in FAULTS.items() if name != "none" and not fault.lookalike)


@dataclass
class Outcome:
    """What happened and what does not hold."""

    orders: int = 0
    commands: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    revised: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Member:
    """One account: a router behind a gate, one that stands by, and what it has resting."""

    run: Run
    second: int = 0
    resting: list[str] = field(default_factory=list)


async def soak(minutes: float, seed: int, said: Callable[[str], None] = lambda _text: None) -> Outcome:
    """Play one schedule."""
    accounts = tuple(demo_account() for _ in range(ACCOUNTS))
    outcome = Outcome()
    async with world(accounts=accounts, redis_sync="always") as made:
        members = [await _member(made, settings.keys) for settings in accounts]
        keepers = [asyncio.create_task(member.run.keep_alive()) for member in members]
        copier = await _copier(made, members)
        try:
            for member in members:
                await member.run.start()
                member.second = await member.run.start(behind_gate=False, log="second.log")
            end = time.monotonic() + minutes * 60
            traders = [_trade(member, random.Random(f"{seed}-{n}"), end) for n, member in enumerate(members)]
            await asyncio.gather(*traders, _trouble(made, members, random.Random(seed), end, outcome, said))
            await _heal(made, members)
            for member in members:
                excuses = Excuses(revises=True, epochs=True)
                wrong, revised = await verdict(member.run, excuses, least=CALM_DOWN)
                outcome.wrong += [f"{member.run.name}: {one}" for one in wrong]
                outcome.revised += revised
                outcome.orders += len(member.run.desk.places) + len(member.run.desk.children)
                outcome.commands += len(member.run.desk.commands)
        finally:
            for keeper in keepers:
                keeper.cancel()
            for pid in (copier, *(member.second for member in members)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for member in members:
                with suppress(ProcessLookupError):
                    os.kill(member.run.gate.pid, signal.SIGCONT)
                await member.run.close()
    return outcome


async def _member(made: World, keys: Keys) -> Member:
    name = made.name()
    account, gate = f"btcturk/{name}", Gate()
    desk = Desk(account, keys.public_key, made.patient(), made.control)
    desk.copied = partial(copied_events, made, "soak", account)
    run = Run(made, Cell("soak", "place"), name, keys, gate, desk, made.folder / "runs" / name, made.redis_address)
    run.database = "soak"
    await run.open()
    return Member(run)


async def _copier(made: World, members: list[Member]) -> int:
    """One archiver for all accounts."""
    config = members[0].run.direct_configuration()
    for member in members[1:]:
        config["accounts"] |= member.run.direct_configuration()["accounts"]
    return await made.nursery.birth(config, {}, made.folder / "archiver.log", service="archiver")


async def _trade(member: Member, choice: random.Random, end: float) -> None:
    """Commands of all kinds, one after the other."""
    desk = member.run.desk
    while time.monotonic() < end:
        kind = choice.choice(("rest", "rest", "rest", "cross", "cross", "market", "sale", "cancel", "amend", "fill"))
        price = f"{choice.randrange(8800, 9700) / 100:.2f}"
        if len(member.resting) > KEPT_RESTING:
            desk.cancel_all()
            member.resting.clear()
        elif kind == "rest":
            member.resting.append(desk.place("b", price, "1"))
        elif kind == "cross":
            desk.place("b", "102.00", "0.5")
        elif kind == "market":
            desk.place("b", None, None, type="market", quote_amount="50.00")
        elif kind == "sale":
            desk.place("s", None, "0.3", type="market")
        elif member.resting:
            oid = member.resting.pop(choice.randrange(len(member.resting)))
            if kind == "cancel":
                desk.cancel(client_oid=oid)
            elif kind == "amend":
                member.resting.append(desk.amend(oid, price=price))
            else:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await desk.control.call("POST", "/fill", {"client_id": oid, "amount": "0.4"})
        await desk.send()
        await asyncio.sleep(choice.expovariate(1 / COMMAND_EVERY))


async def _trouble(
    made: World,
    members: list[Member],
    choice: random.Random,
    end: float,
    outcome: Outcome,
    said: Callable[[str], None],
) -> None:
    """Troubles one after the other, each on an account or a server of its own choice."""
    kinds: dict[str, Callable[[Member], Awaitable[None]]] = {
        "router killed": _kill,
        "router stopped": partial(_stop, choice=choice),
        "second router killed": _kill_second,
        "fault": partial(_fault, choice=choice),
        "socket dropped": _drop,
        "Redis restarted": lambda _member: _restart_redis(made),
        "MongoDB restarted": lambda _member: _restart_mongo(made),
        "venue restarted": lambda _member: _restart_venue(made),
        "clock skewed": partial(_skew, choice=choice),
    }
    names = tuple(kinds)
    weights = (8, 4, 4, 12, 4, 1, 1, 1, 2)
    while time.monotonic() < end:
        await asyncio.sleep(choice.expovariate(1 / TROUBLE_EVERY))
        (name,) = choice.choices(names, weights)
        member = choice.choice(members)
        with suppress(OSError, asyncio.IncompleteReadError, ProcessLookupError):
            await kinds[name](member)
        outcome.troubles[name] += 1
        said(f"{outcome.troubles.total()} troubles, the last: {name}")


async def _kill(member: Member) -> None:
    member.run.gate.kill()


async def _stop(member: Member, choice: random.Random) -> None:
    pid = member.run.gate.pid
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(choice.uniform(0.5, 3.0))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def _kill_second(member: Member) -> None:
    os.kill(member.second, signal.SIGKILL)
    member.second = await member.run.start(behind_gate=False, log="second.log")


async def _fault(member: Member, choice: random.Random) -> None:
    fault = FAULTS[choice.choice(_FAULTS)]
    kind = choice.choice(fault.kinds)
    for wish in wishes_of(fault, kind, member.run.keys.public_key):
        await member.run.desk.control.call("POST", "/fault", {**wish, "count": choice.randint(1, 3)})


async def _drop(member: Member) -> None:
    wish = {"kind": "drop_socket", "account": member.run.keys.public_key, "count": None}
    await member.run.desk.control.call("POST", "/fault", wish)


async def _restart_redis(made: World) -> None:
    made.redis_server.kill()
    await asyncio.to_thread(made.redis_server.start)


async def _restart_mongo(made: World) -> None:
    made.mongo.kill()
    await asyncio.to_thread(made.mongo.start)


async def _restart_venue(made: World) -> None:
    await asyncio.to_thread(made.venue.kill)
    await asyncio.to_thread(made.venue.restart)
    made.control.close()
    await made.furnish()


async def _skew(member: Member, choice: random.Random) -> None:
    control = member.run.desk.control
    await control.call("POST", "/clock", {"skew_ms": choice.choice((-3000, -150, 150, 3000))})
    await asyncio.sleep(choice.uniform(0.5, 2.0))
    await control.call("POST", "/clock", {"skew_ms": 0})


async def _heal(made: World, members: list[Member]) -> None:
    """Troubles are over: what was armed and has not struck is taken back."""
    await made.control.call("DELETE", "/faults")
    await made.control.call("POST", "/clock", {"skew_ms": 0})
    await made.control.call("POST", "/book", {"pair": "BTCUSDT", "bids": BIDS, "asks": ASKS})
    for member in members:
        for _ in range(100):
            if is_routing(member.run.gate):
                break
            await asyncio.sleep(0.1)
