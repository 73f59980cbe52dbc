"""`tickrouter status`: where every record that a collector received has gone."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from tickrouter.clock import SystemClock

from ..facts import read_state
from .common import ConfigOption, JsonOption, out, print_json, print_table, reachable

PARTS = ("stored", "queued", "spilled", "refused", "given_up")
OLD_NS = 5_000_000_000
"""A state that is older than this is a dead collector's."""


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show, for each sink and kind: received = stored + queued + spilled + refused + given up. Fails if it is not."""
    settings = reachable(config)
    state = read_state(settings.data_folder, "collector")
    if not state:
        out.print(f"no collector has written to {settings.data_folder}", soft_wrap=True)
        raise typer.Exit(1)
    rows = [
        {"sink": sink, "kind": kind, **{name: int(account.get(name, 0)) for name in ("received", *PARTS)}}
        for sink, kinds in state.get("sinks", {}).items()
        for kind, account in kinds.items()
    ]
    wrong = [row for row in rows if row["received"] != sum(row[name] for name in PARTS)]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print(state, rows)
        for row in wrong:
            astray = row["received"] - sum(row[name] for name in PARTS)
            out.print(f"[red]{row['sink']} {row['kind']}: {astray:,} of those received are in no account[/red]")
    if wrong:
        raise typer.Exit(1)


def _print(state: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    age = SystemClock().now() - int(state["time"])
    alive = "running" if age < OLD_NS else f"silent for {age / 1e9:.0f} s"
    refused = ", ".join(f"{count:,} {kind}" for kind, count in state.get("refused", {}).items()) or "none"
    frames = f"{state.get('frames', 0):,} frames on {state.get('connects', 0)} connections"
    out.print(f"collector {state.get('pid')} {alive}: {frames}, frames refused: {refused}", soft_wrap=True)
    for sink, is_away in state.get("away", {}).items():
        if is_away:
            out.print(f"[red]{sink} does not answer[/red]")
    table = Table(box=None, pad_edge=False)
    for heading in ("sink", "kind", "received", *PARTS):
        table.add_column(heading.replace("_", " "), justify="left" if heading in ("sink", "kind") else "right")
    for row in rows:
        table.add_row(row["sink"], row["kind"], *(f"{row[name]:,}" for name in ("received", *PARTS)))
    print_table(table)
