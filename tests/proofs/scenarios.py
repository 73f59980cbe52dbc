"""What is done in a run: several orders in flight, and the kind of command that the run is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from tests.proofs.desk import Desk

Scenario = Callable[[Desk], Awaitable[None]]
DEEP = "102.00"
"""A buy at this price goes through two levels of the house, if the first has something left."""


async def place(desk: Desk) -> None:
    """One order rests, one is filled at once, one is filled in part while it rests."""
    desk.place("b", "90.00", "1")
    desk.place("b", DEEP, "2")
    part = desk.place("b", "95.00", "2")
    await desk.send()
    await desk.fill(part, "0.5")


async def market(desk: Desk) -> None:
    """A market buy by quote amount, a market sale by base amount, an order that rests."""
    desk.place("b", None, None, type="market", quote_amount="202.00")
    desk.place("s", None, "1", type="market")
    desk.place("b", "90.00", "1")
    await desk.send()


async def cancel(desk: Desk) -> None:
    """Two resting orders are cancelled, one by each id, while another is filled."""
    first, second = desk.place("b", "90.00", "1"), desk.place("b", "91.00", "1")
    await desk.send()
    await desk.settled(first, second)
    order = await desk.order(second)
    desk.cancel(client_oid=first)
    if order is not None and order.exchange_oid is not None:
        desk.cancel(exchange_oid=order.exchange_oid)
    desk.place("b", DEEP, "1")
    await desk.send()


async def race(desk: Desk) -> None:
    """Cancels queued right behind their places, and one as soon as its place is on its way."""
    late = desk.place("b", "92.00", "1")
    await desk.send()
    await desk.signed(late)
    desk.cancel(client_oid=late)
    first = desk.place("b", "90.00", "1")
    desk.cancel(client_oid=first)
    second = desk.place("b", DEEP, "1")
    desk.cancel(client_oid=second)
    desk.place("b", "91.00", "1")
    await desk.send()


async def cancel_all(desk: Desk) -> None:
    """Everything is cancelled while some of it is on its way; what is queued behind stays."""
    first = desk.place("b", "90.00", "1")
    await desk.send()
    await desk.settled(first)
    desk.place("b", "91.00", "1")
    desk.place("s", "120.00", "1")
    desk.cancel_all()
    desk.place("b", "92.00", "1")
    await desk.send()


async def amend(desk: Desk) -> None:
    """One order gets another price, one another amount after a part of it was filled."""
    first, second = desk.place("b", "90.00", "1"), desk.place("b", "95.00", "2")
    await desk.send()
    await desk.settled(first, second)
    await desk.fill(second, "0.5")
    desk.amend(first, price="91.00")
    desk.amend(second, amount="3")
    desk.place("b", DEEP, "1")
    await desk.send()


SCENARIOS: Mapping[str, Scenario] = {
    "place": place,
    "market": market,
    "cancel": cancel,
    "race": race,
    "cancel_all": cancel_all,
    "amend": amend,
}
