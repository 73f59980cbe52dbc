"""How the journal and a venue's listings differ."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import get_args

from msgspec.structs import replace

from tickrouter.core.facts import VenueOrder, VenueState
from tickrouter.model.account import Account
from tickrouter.model.command import OrderType
from tickrouter.model.money import plain
from tickrouter.model.order import Order, Status


def difference(order: Order, theirs: VenueOrder) -> str | None:
    """Both figures, where the venue shows an order otherwise than the journal has it; None where they agree.

    An order that the venue lists as open and the journal knows more of is no difference: listings lag.
    """
    ours_final = order.status.is_final
    if theirs.filled > order.venue_filled or (not ours_final and theirs.state is not VenueState.OPEN):
        return _figures(order, theirs)
    if ours_final and order.status is not Status.FILLED and theirs.state is VenueState.OPEN:
        return _figures(order, theirs)
    return None


def _figures(order: Order, theirs: VenueOrder) -> str:
    return (
        f"journal: {order.status}, filled {plain(order.venue_filled)}; "
        f"venue: {theirs.state}, filled {plain(theirs.filled)} (order {theirs.exchange_oid})"
    )


def adopted(account: Account, theirs: VenueOrder, client_oid: str, *, command: str, now: int) -> Order:
    """An order for the journal, as the venue shows one that the journal does not know.

    Its executions are not in it yet: the venue's figure says how many are to come.
    """
    kinds: dict[str, OrderType] = {kind: kind for kind in get_args(OrderType)}
    status = Status.NEW
    if theirs.state is VenueState.CANCELED:
        status = Status.CANCELED
    elif theirs.state is VenueState.CLOSED:
        status = Status.FILLED
    elif theirs.filled:
        status = Status.PARTIALLY_FILLED
    order = Order(
        account=account,
        client_oid=client_oid,
        command=command,
        contract=theirs.contract,
        side="b" if theirs.side == "b" else "s",
        type=kinds.get(theirs.type, "limit"),
        created=theirs.time or now,
        price=theirs.price,
        amount=theirs.amount,
        quote_amount=theirs.quote_amount,
        status=status,
        step=1,
        exchange_oid=theirs.exchange_oid,
        venue_filled=theirs.filled,
        fact=f"{theirs.state} at the venue, unknown to the journal",
        updated=now,
    )
    return order if order.amount is not None else replace(order, amount=max(theirs.filled, Decimal(0)))


def is_another(order: Order, exchange_oid: str) -> bool:
    """True if a venue's order under this one's client id is another: this one has another id, or never got one."""
    return order.status in (Status.REJECTED, Status.DENIED) or order.exchange_oid not in (None, exchange_oid)


def twin_id(client_oid: str, exchange_oid: str) -> str:
    """The client id under which a second venue order of one client id is kept: its own, and always the same."""
    return hashlib.sha256(f"{client_oid}:{exchange_oid}".encode()).hexdigest()[:32]
