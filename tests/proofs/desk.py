"""One account as a strategy and an auditor see it: queues commands, reads journal, events and the venue's ledger."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis as AsyncRedis

from tests.proofs.judge import Account as AccountView
from tests.proofs.world import Control
from tickrouter.bus import order_hash
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.keys import AccountKeys
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.ids import default_mark
from tickrouter.model.order import Order, Status

CONTRACT = "btcturk/btc.usdt"
PAUSE = 0.05
PATIENCE = 20.0
"""Seconds after which a wait for one order gives up: the verdict will tell."""


@dataclass
class Desk:
    """One account.

    Attributes:
        account: `btcturk/<name>`.
        key: its public key at the venue.
        places: client ids of the places queued.
        commands: ids of other commands, to their actions.
        children: client ids that amends were to give.
        placed_by: ids of the commands behind `places`.
        copied: reads the events that MongoDB has of it.
        decided: client ids of lookalikes that an operator's command spoke of.
    """

    account: str
    key: str
    redis: AsyncRedis
    control: Control
    places: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    placed_by: dict[str, str] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    copied: Callable[[], list[Event]] = list
    _waiting: list[dict[str, Any]] = field(default_factory=list)

    @property
    def keys(self) -> AccountKeys:
        return AccountKeys(self.account)

    # --- commands

    def place(self, side: str, price: str | None, amount: str | None, **fields: Any) -> str:
        """A limit order, unless `type` says otherwise; it leaves with `send`."""
        client_oid = self._new_oid()
        command = {"contract": CONTRACT, "type": "limit", "side": side, "price": price, "amount": amount}
        self.places.append(client_oid)
        self.placed_by[client_oid] = self._add("place", client_oid=client_oid, **(command | fields))
        return client_oid

    def cancel(self, **which: Any) -> str:
        """A cancel by `client_oid` or `exchange_oid`."""
        return self._command("cancel", **which)

    def cancel_all(self, **which: Any) -> str:
        """Cancel all orders."""
        return self._command("cancel_all", **which)

    def amend(self, client_oid: str, **changes: Any) -> str:
        """Change price or amount; returns the new order's client id."""
        child = self._new_oid()
        self.children.append(child)
        self._command("amend", orig_client_oid=client_oid, client_oid=child, contract=CONTRACT, **changes)
        return child

    def settle(self, client_oid: str, exchange_oid: str) -> str:
        """An operator's verdict: the order in doubt is that one of the venue's."""
        options = {"verdict": "placed", "exchange_oid": exchange_oid, "operator": "proof", "reason": "the ledger"}
        return self._command("settle", client_oid=client_oid, options=options)

    def _new_oid(self) -> str:
        """An id that begins with the deployment's mark, as our client library makes them."""
        return default_mark(Account.parse(self.account)) + uuid.uuid4().hex[8:]

    def _command(self, action: str, **fields: Any) -> str:
        command = self._add(action, **fields)
        self.commands[command] = action
        return command

    def _add(self, action: str, **fields: Any) -> str:
        command = uuid.uuid4().hex
        known = {name: value for name, value in fields.items() if value is not None}
        self._waiting.append({"id": command, "account": self.account, "action": action, **known})
        return command

    async def send(self) -> None:
        """Queue what was said since the last time, at once."""
        waiting, self._waiting = self._waiting, []
        pipe = self.redis.pipeline(transaction=False)
        for command in waiting:
            pipe.xadd(self.keys.orders, {"d": pack_map(command)})
        await pipe.execute()

    # --- looking

    async def order(self, client_oid: str) -> Order | None:
        """The journal's word."""
        return order_hash.from_hash(await self.redis.hgetall(self.keys.order(client_oid)))

    async def settled(self, *client_oids: str) -> None:
        """Wait until the router knows what became of the orders' requests (for a while: the verdict will tell)."""
        await self._until(lambda: self._all_known(client_oids))

    async def signed(self, client_oid: str) -> None:
        """Wait until an order's request is signed (for a while)."""

        async def is_signed() -> bool:
            order = await self.order(client_oid)
            return order is not None and order.step > 1

        await self._until(is_signed, pause=0.002)

    async def _all_known(self, client_oids: tuple[str, ...]) -> bool:
        orders = [await self.order(client_oid) for client_oid in client_oids]
        return all(order is not None and _is_known(order) for order in orders)

    async def fill(self, client_oid: str, amount: str) -> None:
        """Fill a part of a resting order, as soon as the venue has it or is known not to have it."""

        async def filled() -> bool:
            body = {"client_id": client_oid, "amount": amount}
            if (await self.control.call("POST", "/fill", body))["filled"]:
                return True
            order = await self.order(client_oid)
            return order is not None and order.status.is_final

        await self._until(filled)

    async def _until(self, condition: Callable[[], Awaitable[bool]], pause: float = PAUSE) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline and not await condition():
            await asyncio.sleep(pause)

    async def is_quiet(self) -> bool:
        """True if nothing is under way, as far as Redis shows: cheap, to be asked often."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.xlen(self.keys.orders)
        pipe.hlen(self.keys.work)
        pipe.smembers(self.keys.open)
        queued, working, open_ids = await pipe.execute()
        if queued or working:
            return False
        orders = [await self.order(oid.decode()) for oid in open_ids]
        return all(order is not None and _is_known(order) and not order.fills_pending for order in orders)

    async def read(self) -> AccountView:
        """All there is to know."""
        keys = self.keys
        pipe = self.redis.pipeline(transaction=False)
        known = [*self.places, *self.children]
        pipe.xrange(keys.events)
        pipe.xrange(keys.fills)
        pipe.hgetall(keys.balance)
        pipe.xlen(keys.orders)
        pipe.hlen(keys.work)
        pipe.xlen(keys.dead)
        pipe.zrange(keys.seen, 0, -1)
        for client_oid in known:
            pipe.hgetall(keys.order(client_oid))
        events, fills, balances, queued, working, dead, seen, *hashes = await pipe.execute()
        ledger = await self.control.call("GET", f"/ledger?account={self.key}")
        published = {event.id: event for event in map(_event, (fields for _, fields in events))}
        conflicts = []
        for event in await asyncio.to_thread(self.copied):
            if published.setdefault(event.id, event) != event:
                conflicts.append(event.id)
        return AccountView(
            orders=dict(zip(known, map(order_hash.from_hash, hashes), strict=True)),
            places=tuple(self.places),
            commands=dict(self.commands),
            events=tuple(sorted(published.values(), key=lambda event: (event.epoch, event.seq))),
            conflicts=tuple(conflicts),
            fills=tuple(_event(fields) for _, fields in fills),
            ledger=ledger,
            balances={currency.decode(): _balance(data) for currency, data in balances.items()},
            queued=queued,
            working=working,
            dead=dead,
            children=frozenset(self.children),
            seen=frozenset(command.decode() for command in seen),
            placed_by=dict(self.placed_by),
        )


def _is_known(order: Order) -> bool:
    if order.status is Status.IN_DOUBT:
        return order.reason is not None and order.reason.kind == "lookalike"
    return order.status not in (Status.PENDING_NEW, Status.PENDING_CANCEL, Status.PENDING_REPLACE)


def _event(fields: dict[bytes, bytes]) -> Event:
    return Event.from_wire(unpack_map(fields[b"d"]))


def _balance(data: bytes) -> tuple[Decimal, Decimal]:
    fields = unpack_map(data)
    return Decimal(fields["free"]), Decimal(fields["locked"])
