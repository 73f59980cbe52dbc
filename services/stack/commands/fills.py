"""`tickrouter fills`: executions of an account."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tickrouter.client import Client
from tickrouter.model.event import Event
from tickrouter.model.money import plain

from .common import AccountOption, ConfigOption, JsonOption, only_account, out, print_json, reachable
from .tail import clock

LOOK = 0.2
"""Seconds without a further fill after which the list is complete."""


def fills(
    account: AccountOption = None,
    after: Annotated[str, typer.Option("--after", help="<epoch>-<number> of the last fill that you have.")] = "0-0",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List an account's executions, each once, in order, from Redis and MongoDB together."""
    settings = reachable(config)
    with Client(settings, account=only_account(settings, account)) as client:
        for event in client.fills(after, block=None if follow else LOOK):
            if as_json:
                print_json(fields(event))
            else:
                out.print(line(event), soft_wrap=True)


def fields(event: Event) -> dict[str, Any]:
    """A fill as a flat map; money is text."""
    head = {"epoch": event.epoch, "account": str(event.account), "contract": event.contract}
    if event.fill is None:
        return head
    return {**head, "client_oid": event.client_oid, "seq": event.fill.seq, **event.fill.to_wire()}


def line(event: Event) -> str:
    """A fill in one line."""
    if event.fill is None:
        return f"{event.id} without a fill"
    fill = event.fill
    cost = f"fee {plain(fill.fee)} {fill.fee_currency}"
    what = f"{event.contract} {plain(fill.amount)} at [bold]{plain(fill.price)}[/bold], {cost}, {fill.liquidity}"
    return f"{event.epoch}-{fill.seq}  [dim]{clock(fill.time)}[/dim]  {what}  [dim]{event.client_oid}[/dim]"
