"""The verdict on a run: what the router published and journaled, against the simulator's ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tickrouter.model.event import Event
from tickrouter.model.order import Order, Status

OUTCOMES = ("command_done", "command_denied", "cancel_rejected", "amend_rejected")
_NEVER_AT_VENUE = (Status.NEVER_PLACED, Status.DENIED, Status.REJECTED)
_OPEN_STATES = ("Untouched", "Partial")
_PLACE = "POST /api/v1/order"


@dataclass(frozen=True, slots=True)
class Excuses:
    """What a fault may be blamed for.

    Attributes:
        revises: a NeverPlaced that was wrong and was revised, with an alarm.
        nameless: the venue gives no client ids back: an order of ours may have been called foreign.
        epochs: Redis forgot.
    """

    revises: bool = False
    nameless: bool = False
    epochs: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """All there is to know of one account when it is quiet.

    Attributes:
        orders: of the journal, by client id; None where it has none.
        places: client ids of the places that were queued.
        commands: ids of all other commands, to their actions.
        events: in the order of their numbers: those of the stream, and those that only MongoDB's copy still has.
        conflicts: numbers under which the copy has another event than the stream.
        fills: the stream of fills.
        ledger: orders, fills, balances and requests of the account, as the simulator's control call gives them.
        balances: free and locked by currency, as the router wrote them.
        queued: commands still in the queue.
        working: commands that have no outcome.
        dead: commands that were put aside.
        children: client ids that amends were to give to new orders.
        seen: ids of the commands that Redis knows as admitted.
        placed_by: ids of the commands behind `places`.
    """

    orders: Mapping[str, Order | None]
    places: tuple[str, ...]
    commands: Mapping[str, str]
    events: tuple[Event, ...]
    fills: tuple[Event, ...]
    ledger: Mapping[str, Any]
    balances: Mapping[str, tuple[Decimal, Decimal]]
    queued: int
    working: int
    dead: int
    children: frozenset[str] = field(default_factory=frozenset)
    conflicts: tuple[str, ...] = ()
    seen: frozenset[str] = field(default_factory=frozenset)
    placed_by: Mapping[str, str] = field(default_factory=dict)

    def is_lost(self, client_oid: str) -> bool:
        """True if Redis forgot the command behind an order, and the queue it stood in."""
        return self.orders.get(client_oid) is None and self.placed_by.get(client_oid) not in self.seen


def judge(account: Account, excuses: Excuses) -> list[str]:
    """What is wrong; nothing, if all holds."""
    wrong = [f"numbering: {number} is two events" for number in account.conflicts]
    if account.queued or account.working or account.dead:
        wrong.append(f"unfinished: {account.queued} queued, {account.working} at work, {account.dead} put aside")
    wrong += _numbering(account)
    wrong += _at_most_once(account, excuses)
    wrong += _outcomes(account, excuses)
    for client_oid in dict.fromkeys((*account.places, *account.children)):
        wrong += _order(account, client_oid, excuses)
    wrong += _fills(account, excuses)
    wrong += _verdicts(account, excuses)
    wrong += _balances(account)
    return wrong


def _numbering(account: Account) -> list[str]:
    wrong = []
    by_epoch: defaultdict[int, list[int]] = defaultdict(list)
    for event in account.events:
        by_epoch[event.epoch].append(event.seq)
    for epoch, numbers in by_epoch.items():
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"numbering: epoch {epoch} has {numbers}")
    fills_by_epoch: defaultdict[int, list[int]] = defaultdict(list)
    for event in account.fills:
        if event.fill is not None:
            fills_by_epoch[event.epoch].append(event.fill.seq)
    for epoch, numbers in fills_by_epoch.items():
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"numbering: fills of epoch {epoch} have {numbers}")
    return wrong


def _at_most_once(account: Account, excuses: Excuses) -> list[str]:
    wrong = []
    placed = Counter(order["orderClientId"] for order in account.ledger["orders"])
    wrong += [f"twice: {oid} is {n} orders at the venue" for oid, n in placed.items() if n > 1]
    known = {*account.places, *account.children}
    wrong += [f"unasked: {oid} is at the venue" for oid in placed if oid not in known]
    for name, times in account.ledger["requests"].items():
        endpoint, _, client_oid = name.rpartition(" ")
        if endpoint == _PLACE and client_oid in known and times > 1:
            wrong.append(f"sent twice: {client_oid} arrived {times} times")
    foreign = [event.exchange_oid for event in account.events if event.type == "foreign"]
    ours = {str(order["id"]) for order in account.ledger["orders"] if order["orderClientId"] in known}
    if not excuses.nameless and not excuses.epochs:
        wrong += [f"called foreign: {oid}" for oid in foreign if oid in ours]
    return wrong


def _outcomes(account: Account, excuses: Excuses) -> list[str]:
    """Every command has one outcome; where Redis forgot one, it may be told again in the next epoch."""
    wrong = []
    told = Counter((event.command, event.epoch) for event in account.events if event.type in OUTCOMES)
    for command, action in account.commands.items():
        times = [n for (known, _), n in told.items() if known == command]
        if excuses.epochs and command not in account.seen:
            continue
        if not times or max(times) > 1 or (len(times) > 1 and not excuses.epochs):
            wrong.append(f"outcome: {action} {command[:8]} has {sum(times)}")
    return wrong


def _order(account: Account, client_oid: str, excuses: Excuses) -> list[str]:
    """The journal's word on one order, and the venue's."""
    order = account.orders.get(client_oid)
    theirs = [row for row in account.ledger["orders"] if row["orderClientId"] == client_oid]
    short = client_oid[:8]
    if order is None and excuses.epochs and account.is_lost(client_oid):
        told = {event.exchange_oid for event in account.events if event.type == "foreign"}
        return [f"lost: {short} is at the venue, and nobody said so" for row in theirs if str(row["id"]) not in told]
    if order is None:
        if theirs:
            return [f"unknown: {short} is at the venue and not in the journal"]
        return [] if client_oid in account.children else [f"no outcome: {short} is not in the journal"]
    if order.status is Status.IN_DOUBT:
        return [f"no outcome: {short} is in doubt: {order.reason}"]
    if order.status is Status.PENDING_NEW:
        return [f"no outcome: {short} is PendingNew, {order.fact}"]
    if not theirs:
        never = order.status in _NEVER_AT_VENUE or (order.status in (Status.CANCELED, Status.REPLACED))
        return (
            [] if never and order.exchange_oid is None else [f"invented: {short} is {order.status}, not at the venue"]
        )
    row = theirs[0]
    wrong = []
    expected = _expected(row)
    if order.status not in expected:
        words = " or ".join(expected)
        wrong.append(f"status: {short} is {order.status}, at the venue {row['status']}: should be {words}")
    filled = sum((Decimal(fill["amount"]) for fill in _fills_of(account, row["id"])), Decimal(0))
    if order.filled != filled:
        wrong.append(f"filled: {short} has {order.filled}, at the venue {filled}")
    if order.fills_pending:
        wrong.append(f"filled: fills of {short} are pending")
    last = next((event for event in reversed(account.events) if event.client_oid == client_oid), None)
    if last is not None and last.status is not None and last.status != order.status:
        wrong.append(f"events: the last word on {short} is {last.status}, the journal says {order.status}")
    return wrong


def _expected(row: Mapping[str, Any]) -> tuple[Status, ...]:
    if row["status"] in _OPEN_STATES:
        return (Status.PARTIALLY_FILLED,) if row["status"] == "Partial" else (Status.NEW,)
    if row["status"] == "Canceled":
        return (Status.CANCELED, Status.REPLACED)
    return (Status.FILLED,)


def _fills_of(account: Account, order_id: int) -> list[Mapping[str, Any]]:
    return [fill for fill in account.ledger["fills"] if fill["order_id"] == order_id]


def _fills(account: Account, excuses: Excuses) -> list[str]:
    """Each fill of the ledger is published once in an epoch, with the same figures, in both streams."""
    wrong = []
    theirs = {
        (fill["client_id"], fill["trade_id"]): fill
        for fill in account.ledger["fills"]
        if not (excuses.epochs and account.is_lost(fill["client_id"]))
    }
    told: dict[tuple[str | None, str], Event] = {}
    times: Counter[tuple[int, str | None, str]] = Counter()
    for event in account.events:
        if event.fill is not None:
            told[event.client_oid, event.fill.trade_id] = event
            times[event.epoch, event.client_oid, event.fill.trade_id] += 1
    wrong += [f"published twice: fill {trade}, {n} times" for (_, _, trade), n in times.items() if n > 1]
    wrong += [f"fill: {trade} was never published" for oid, trade in theirs.keys() - told.keys()]
    wrong += [f"fill: {trade} is not the venue's" for oid, trade in told.keys() - theirs.keys()]
    for key in theirs.keys() & told.keys():
        ours, fill = told[key].fill, theirs[key]
        if ours is None:
            continue
        fee = Decimal(fill["fee"]) + Decimal(fill["tax"])
        if (ours.price, ours.amount) != (Decimal(fill["price"]), Decimal(fill["amount"])) or ours.fee != fee:
            wrong.append(f"fill: {key[1]} is {ours.amount} at {ours.price}, fee {ours.fee}; the venue says {fill}")
    if not excuses.epochs and [event.fill_id for event in account.fills] != [
        event.fill_id for event in account.events if event.fill
    ]:
        wrong.append("fill: the stream of fills differs from the events")
    return wrong


def _verdicts(account: Account, excuses: Excuses) -> list[str]:
    """NeverPlaced stands only where the venue has no such order; where it may be wrong, it was revised aloud."""
    wrong = []
    at_venue = {row["orderClientId"] for row in account.ledger["orders"]}
    for event in account.events:
        if event.status != Status.NEVER_PLACED or event.type != "order":
            continue
        oid = event.client_oid or ""
        if event.reason is None or not event.reason.text:
            wrong.append(f"verdict: {oid[:8]} NeverPlaced without evidence")
        if oid not in at_venue:
            continue
        alarms = [one for one in account.events if one.client_oid == oid and one.alarm == "late_find"]
        if not excuses.revises:
            wrong.append(f"verdict: {oid[:8]} NeverPlaced, and it was placed")
        elif not alarms:
            wrong.append(f"verdict: {oid[:8]} NeverPlaced was revised without an alarm")
    return wrong


def _balances(account: Account) -> list[str]:
    (theirs,) = account.ledger["balances"].values()
    wrong = []
    for currency in ("BTC", "USDT"):
        wallet = theirs[currency]
        ours = account.balances.get(currency.lower())
        if ours != (Decimal(wallet["free"]), Decimal(wallet["locked"])):
            wrong.append(f"balance: {currency} is {ours}, at the venue {wallet}")
    return wrong
