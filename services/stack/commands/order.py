"""`tickrouter order place | amend | cancel | query | settle | list | show`."""

from __future__ import annotations

import time
from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer
from msgspec import structs
from rich.markup import escape

from tickrouter import client_controls
from tickrouter.bus.connection import connect
from tickrouter.bus.inspect import open_orders
from tickrouter.bus.order_store import read_findings, read_history
from tickrouter.client import Client
from tickrouter.errors import StorageError, TickrouterError
from tickrouter.model.event import Event
from tickrouter.model.money import plain
from tickrouter.model.order import Order

from .common import (
    AccountOption,
    ConfigOption,
    ContractArgument,
    JsonOption,
    errors,
    only_account,
    out,
    print_json,
    reachable,
)
from .halt import OperatorOption
from .order_story import events_in, evidence, steps_of, story, told

app = typer.Typer(help="Place, amend, cancel and settle orders, and look at them.", no_args_is_help=True)

LOOK = 0.05
"""Seconds between two looks at an order that was just placed."""


class Side(StrEnum):
    """The order's side."""

    BUY = "buy"
    SELL = "sell"


class Type(StrEnum):
    """The order's type."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LIMIT = "stop_limit"
    STOP_MARKET = "stop_market"


class Verdict(StrEnum):
    """An operator's verdict."""

    NEVER_PLACED = "never-placed"
    CANCELED = "canceled"
    PLACED = "placed"


_WORDS: dict[Verdict, client_controls.Verdict] = {
    Verdict.NEVER_PLACED: "never_placed",
    Verdict.CANCELED: "canceled",
    Verdict.PLACED: "placed",
}

OidArgument = Annotated[str, typer.Argument(metavar="CLIENT_OID", help="The order's client id, 32 hex digits.")]
AnOidArgument = Annotated[str | None, typer.Argument(metavar="CLIENT_OID", help="The order's client id.")]
ExchangeOidOption = Annotated[str | None, typer.Option("--exchange-oid", help="The venue's id instead.")]


@app.command()
def place(
    contract: ContractArgument,
    side: Annotated[Side, typer.Argument(help="buy or sell")],
    amount: Annotated[str | None, typer.Option("--amount", help="In base.")] = None,
    quote_amount: Annotated[
        str | None, typer.Option("--quote-amount", help="In quote, fee included: what a BTCTurk market buy takes.")
    ] = None,
    price: Annotated[str | None, typer.Option("--price", help="Limit, in quote.")] = None,
    stop_price: Annotated[str | None, typer.Option("--stop-price", help="Trigger, in quote.")] = None,
    type_: Annotated[
        Type | None, typer.Option("--type", help="Of the order.", show_default="limit with a price, else market")
    ] = None,
    ttl_ms: Annotated[int | None, typer.Option("--ttl-ms", min=1, help="Denied if not sent by then.")] = None,
    cancel_after_ms: Annotated[
        int | None, typer.Option("--cancel-after-ms", min=1, help="Cancelled by itself so long after its first New.")
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the router's first word.")] = 3.0,
    account: AccountOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an order to the router, and say what became of it within a few seconds."""
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        oid = client.place(
            contract,
            side.value,
            amount,
            price,
            type=(type_ or (Type.LIMIT if price else Type.MARKET)).value,
            quote_amount=quote_amount,
            stop_price=stop_price,
            ttl_ms=ttl_ms,
            cancel_after_ms=cancel_after_ms,
        )
        order = _first_word(client, oid, wait)
    _say(oid, order, as_json)


@app.command()
def amend(
    oid: OidArgument,
    price: Annotated[str | None, typer.Option("--price", help="New limit, in quote.", show_default="as it is")] = None,
    amount: Annotated[
        str | None,
        typer.Option("--amount", help="New total in base, what is filled included.", show_default="as it is"),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the outcome.")] = 10.0,
    account: AccountOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put another order in an open order's place, for what that leaves over; shows the new one.

    At a venue without such a request the old order is cancelled first, and the new one placed when the venue has told
    its final figures. Exit status 1 if the old one would not go: it was filled or cancelled before, for example.
    """
    if price is None and amount is None:
        raise typer.BadParameter("say what is to change: --price, --amount or both")
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        new = client.amend(oid, price, amount)
        order = None if _outcome(client, new, wait) is None else _first_word(client, new, wait)
    _say(new, order, as_json)


@app.command()
def settle(
    oid: OidArgument,
    operator: OperatorOption,
    verdict: Annotated[Verdict, typer.Option("--as", help="What it is, as far as you could find out.")],
    reason: Annotated[str, typer.Option("--reason", help="What that rests on; recorded.")],
    exchange_oid: Annotated[
        str | None, typer.Option("--exchange-oid", help="The venue's id of it: with --as placed.")
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the router.")] = 10.0,
    account: AccountOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide an order that is InDoubt where evidence cannot, with your name and reason on record.

    Look at the venue's own pages first: a wrong verdict is how an order is doubled or lost.
    """
    if (verdict is Verdict.PLACED) is not (exchange_oid is not None):
        raise typer.BadParameter("belongs to --as placed, which needs it", param_hint="--exchange-oid")
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        _answer(client, client.settle(oid, _WORDS[verdict], operator, reason, exchange_oid=exchange_oid), wait)
        order = client.order(oid)
    _say(oid, order, as_json)


@app.command()
def cancel(
    oid: AnOidArgument = None,
    exchange_oid: ExchangeOidOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open order of the account.")] = False,
    contract: Annotated[str | None, typer.Option("--contract", help="With --all: of this contract only.")] = None,
    side: Annotated[Side | None, typer.Option("--side", help="With --all: of this side only.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the outcome.")] = 3.0,
    account: AccountOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel an order, or all of them, and say what came of it. A cancel that was sent is no proof of death.

    Exit status 1 if it was rejected; 0 if there is no outcome yet: look with `show`.
    """
    if [oid is not None, exchange_oid is not None, everything].count(True) != 1:
        raise typer.BadParameter("name one order by its client id or by --exchange-oid, or say --all")
    if (contract or side) is not None and not everything:
        raise typer.BadParameter("narrow down --all; one order is named by its id", param_hint="--contract, --side")
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        command = client.cancel_all(contract, side) if everything else client.cancel(oid, exchange_oid=exchange_oid)
        outcome = _outcome(client, command, wait)
    known = outcome.reason if outcome is not None else None
    if as_json:
        reason = None if known is None else known.to_wire()
        print_json({"command": command, "outcome": outcome.type if outcome is not None else None, "reason": reason})
    elif outcome is None:
        out.print(f"asked, no outcome yet; command {command}")
    else:
        out.print("done" + (f"; {known.text}" if known is not None else ""), markup=False, soft_wrap=True)


@app.command()
def query(
    oid: AnOidArgument = None,
    exchange_oid: ExchangeOidOption = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the router.")] = 10.0,
    account: AccountOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the router look at the venue for an order now, and show how it stands. Exit status 1 if there is none."""
    if (oid is None) is (exchange_oid is None):
        raise typer.BadParameter("name one order by its client id or by --exchange-oid")
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        answer = _answer(client, client.query(oid, exchange_oid=exchange_oid), wait)
        found = answer.client_oid or oid or ""
        order = client.order(found)
    _say(found, order, as_json)


@app.command(name="list")
def list_(account: AccountOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the orders that are not final, or whose fills are still coming."""
    settings = reachable(config)
    name = only_account(settings, account)
    with connect(settings.orders_redis_url) as redis, Client(settings, account=name) as client:
        orders = [order for oid in open_orders(redis, name) if (order := client.order(oid)) is not None]
    for order in sorted(orders, key=lambda order: order.created):
        if as_json:
            print_json(fields(order))
        else:
            out.print(line(order), soft_wrap=True)


@app.command()
def show(
    oid: OidArgument, account: AccountOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show an order: how far it came, what the venue or we said at each step, evidence, and alarms.

    Exit status 1 if there is no such order, neither in the journal nor in MongoDB's copy.
    """
    settings = reachable(config)
    name = only_account(settings, account)
    with connect(settings.orders_redis_url) as redis, Client(settings, account=name) as client:
        order = client.order(oid)
        steps = steps_of(read_history(redis, name, oid))
        looked = read_findings(redis, name, oid)
        events, trouble = events_in(redis, settings, name, oid)
    if order is None and not events:
        raise StorageError(f"{name} has no order {oid}: no router has taken it yet, or it never was")
    if trouble is not None:
        errors.print(f"older events are not shown: {trouble}", style="yellow", markup=False, soft_wrap=True)
    if as_json:
        known: dict[str, Any] = {"client_oid": oid} if order is None else fields(order)
        known["evidence"] = None if looked is None else asdict(looked)
        print_json({**known, "steps": [asdict(step) for step in steps], "events": [told(event) for event in events]})
        return
    lines = [f"{oid}  never was an order"] if order is None else [line(order), *evidence(order, looked)]
    for text in (*lines, *story(steps, events)):
        out.print(text, soft_wrap=True)


def fields(order: Order) -> dict[str, Any]:
    """An order as a map; money is text."""
    found = structs.asdict(order)
    found |= {"account": str(order.account), "contract": str(order.contract)}
    found["fills"] = [fill.to_wire() for fill in order.fills.values()]
    found["reason"] = order.reason.to_wire() if order.reason is not None else None
    found["replacement"] = order.replacement.to_wire() if order.replacement is not None else None
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in found.items()}


def line(order: Order) -> str:
    """An order in one line."""
    what = f"{'buy' if order.side == 'b' else 'sell'} {order.contract} {order.type}"
    if order.amount is not None:
        what += f" {plain(order.amount)}"
    if order.quote_amount is not None:
        what += f" for {plain(order.quote_amount)} {order.contract.quote}"
    if order.price is not None:
        what += f" at {plain(order.price)}"
    filled = f"filled {plain(order.filled)}"
    if order.average_price is not None:
        filled += f" at {order.average_price:.10g}"
    why = f"  [red]{escape(order.reason.kind)}: {escape(order.reason.text)}[/red]" if order.reason else ""
    return f"{order.client_oid}  [bold]{order.status}[/bold]  {what}, {filled}{why}"


def _say(oid: str, order: Order | None, as_json: bool) -> None:
    if as_json:
        print_json({"client_oid": oid} if order is None else fields(order))
    else:
        out.print(line(order) if order else f"{oid}  queued; no router has taken it yet", soft_wrap=True)


def _outcome(client: Client, command: str, wait: float) -> Event | None:
    """The `command_done` of a command; None if nothing came of it within `wait` seconds.

    Raises:
        TickrouterError: it was not done, and why.
    """
    try:
        event = client.outcome(command, wait)
    except TimeoutError:
        return None
    if event.type != "command_done":
        why = f"{event.reason.kind}: {event.reason.text}" if event.reason else "no reason given"
        raise TickrouterError(f"{event.type.replace('_', ' ')}: {why}")
    return event


def _answer(client: Client, command: str, wait: float) -> Event:
    """As `_outcome`, where nothing can be said without a router."""
    event = _outcome(client, command, wait)
    if event is None:
        raise StorageError(
            f"no answer to the command {command} after {wait:g} s; it may still come: is a router running?"
        )
    return event


def _first_word(client: Client, oid: str, wait: float) -> Order | None:
    """The order once the venue has it; a market order once it is done, which follows at once."""
    deadline = time.monotonic() + wait
    while True:
        order = client.order(oid)
        if order is not None and (order.is_done or (order.status.is_working and order.type != "market")):
            return order
        if time.monotonic() >= deadline:
            return order
        time.sleep(LOOK)
