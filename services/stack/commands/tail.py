"""`tickrouter tail`: records as they come."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from tickrouter.client import Client
from tickrouter.model.book import Book
from tickrouter.model.feed import Feed
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

from .common import ConfigOption, ContractArgument, JsonOption, out, print_json, reachable

_SECOND = 1_000_000_000


class Kind(StrEnum):
    """What can be followed."""

    TICK = "tick"
    TRADE = "trade"
    BOOK = "book"


def tail(
    contract: ContractArgument,
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="Which records.")] = Kind.TICK,
    since: Annotated[
        str | None, typer.Option("--since", help="From this time on, e.g. 2026-01-31T12:00; without it, from now.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a contract: history since then, if asked for, and what comes, as one tape. Ctrl-C ends it."""
    with Client(reachable(config)) as client:
        follow = {Kind.TICK: client.ticks, Kind.TRADE: client.trades, Kind.BOOK: client.books}[kind]
        for number, record in enumerate(follow(contract, since), start=1):
            if as_json:
                print_json({"kind": type(record).__name__.lower(), **record.to_dict()})
            else:
                out.print(described(record), soft_wrap=True)
            if number == count:
                return


def described(record: Tick | Trade | Book | Feed) -> str:
    """A record in one line, with rich's marks."""
    head = f"[dim]{clock(record.time)}[/dim]"
    match record:
        case Feed():
            return f"{head} [red]{record.state}[/red] {escape(record.cause)}"
        case Trade():
            colour, word = ("green", "buy ") if record.side == "b" else ("red", "sell")
            return f"{head} [{colour}]{word}[/{colour}] {_number(record.size)} at [bold]{_number(record.price)}[/bold]"
        case Tick():
            return f"{head} last [bold]{_number(record.price)}[/bold]  {_top(record)}  [dim]{record.source}[/dim]"
        case Book():
            return f"{head} {len(record.bids)} bids, {len(record.asks)} asks  {_top(record)}"


def clock(time: int) -> str:
    """A time in ns as UTC with milliseconds."""
    moment = datetime.fromtimestamp(time // _SECOND, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time % _SECOND // 1_000_000:03}"


def _top(record: Tick | Book) -> str:
    bid = f"{_number(record.bids[0][1])} at {_number(record.bids[0][0])}" if record.bids else "-"
    ask = f"{_number(record.asks[0][1])} at {_number(record.asks[0][0])}" if record.asks else "-"
    return f"bid [green]{bid}[/green]  ask [red]{ask}[/red]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.15g}"
