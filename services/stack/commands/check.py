"""`tickrouter check`: is everything in order, and what to do where not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from tickrouter.clock import SystemClock
from tickrouter.config import Config
from tickrouter.errors import ConfigError
from tickrouter.model.account import Account

from ..checks.finding import Finding
from ..checks.storage import check_storage
from ..checks.venue import AccountCheck, VenueCheck
from .common import ConfigOption, JsonOption, out, print_json, reachable

_MARKS = {"ok": Text("ok", style="green"), "note": Text("note", style="yellow"), "wrong": Text("WRONG", style="red")}


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look, with reads only, whether configuration, servers, venue, keys and clock are in order.

    Exit status 1 if something is wrong.
    """
    findings = list(_findings(config))
    if as_json:
        for finding in findings:
            print_json(asdict(finding))
    else:
        _show(findings)
    raise typer.Exit(any(finding.verdict == "wrong" for finding in findings))


def _findings(given: Path | None) -> Iterator[Finding]:
    try:
        config = reachable(given)
    except ConfigError as error:
        yield Finding("configuration", "wrong", str(error), "correct it; `tickrouter init` writes a fresh one")
        return
    yield _configuration(config)
    yield from check_storage(config)
    for name in config.venues:
        venue = VenueCheck(config, name, SystemClock())
        yield from venue.check()
        for account in map(Account.parse, config.accounts):
            if account.venue == name:
                yield from AccountCheck(config, account, venue).check()


def _configuration(config: Config) -> Finding:
    parts = [f"{len(config.record.contracts)} contracts to record", f"{len(config.accounts)} accounts to route"]
    return Finding("configuration", "ok", f"{config.file}: {', '.join(parts)}")


def _show(findings: Iterable[Finding]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        text = Text(finding.found)
        if finding.advice:
            text.append(f"\n-> {finding.advice}", style="bold")
        table.add_row(_MARKS[finding.verdict], finding.part, text)
    out.print(table)
