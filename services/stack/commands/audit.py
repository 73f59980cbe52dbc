"""`tickrouter audit`: documents and chunks counted again against the ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tickrouter.history.audit import Audit
from tickrouter.history.audit import audit as count
from tickrouter.history.connection import connect, database
from tickrouter.model.contract import Contract

from .common import ConfigOption, JsonOption, out, print_json, print_table, reachable
from .coverage import DayOption, day_of


def audit(
    contracts: Annotated[
        list[str] | None, typer.Argument(help="e.g. btcturk/btc.try; without one, all that are recorded.")
    ] = None,
    day: DayOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count a day's documents, chunks and entry numbers against the ledger. Fails on what it cannot explain."""
    settings = reachable(config)
    start, end = day_of(day)
    names = [str(Contract.parse(name)) for name in contracts or settings.record.contracts]
    with connect(settings.mongo_url) as client:
        db = database(client, settings.servers.mongo_database)
        found = [count(db, name, kind, start, end) for name in names for kind in settings.record.kinds]
    if as_json:
        for one in found:
            print_json(asdict(one))
    else:
        print_table(_table(found))
        for one in found:
            for problem in one.problems:
                out.print(f"[red]{one.contract} {one.kind}: {escape(problem)}[/red]", soft_wrap=True)
    if any(one.problems for one in found):
        raise typer.Exit(1)
    if not as_json:
        for name in names:
            if not any(one.claimed or one.documents or one.backfilled for one in found if one.contract == name):
                out.print(f"[yellow]{name}: nothing was recorded that day[/yellow]", soft_wrap=True)
        out.print("everything claimed is stored, or the ledger says why not")


def _table(found: list[Audit]) -> Table:
    table = Table(box=None, pad_edge=False)
    headings = (
        "contract",
        "kind",
        "claimed",
        "documents",
        "archived",
        "excused",
        "backfilled",
        "missing s",
        "unknown s",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("contract", "kind") else "right")
    for one in found:
        lacking = {
            state: sum(part.end - part.start for part in one.intervals if part.state == state) / 1e9
            for state in ("missing", "unknown")
        }
        numbers = (one.claimed, one.documents, one.archived, one.excused, one.backfilled)
        seconds = (f"{lacking[state]:,.3f}" for state in ("missing", "unknown"))
        table.add_row(one.contract, one.kind, *(f"{number:,}" for number in numbers), *seconds)
    return table
