"""The view on a terminal: tables that are drawn anew four times a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tickrouter.clock import Clock

from ..facts import Snapshot
from ..supervisor import Child, Supervisor

NOTICES = 5
_FEED_STYLE = {"live": "green", "resync": "yellow", "stale": "yellow", "gap": "red", "down": "red"}


def screen(elapsed: float, snapshot: Snapshot, supervisor: Supervisor, notices: list[str], clock: Clock) -> Group:
    """The whole view."""
    parts: list[RenderableType] = [
        _head(elapsed, snapshot, supervisor.state.file.parent.parent / "logs"),
        "",
        _contracts(snapshot),
        "",
        Columns([_storage(snapshot), _accounts(snapshot), _permits(snapshot)], padding=(0, 4)),
        "",
        _processes(supervisor, clock.monotonic()),
    ]
    said = [*snapshot.errors, *notices[-NOTICES:]]
    if said:
        parts.append(Panel(Text("\n".join(said), overflow="ellipsis", no_wrap=True), title="notices"))
    return Group(*parts)


def _head(elapsed: float, snapshot: Snapshot, logs: Path) -> Text:
    head = Text.assemble(("tickrouter", "bold"), f"  {span(elapsed)}  ")
    head.append(f"{snapshot.rate:.0f} ticks/s", style="bold cyan")
    head.append(f"  Ctrl-C ends it  logs: {logs}", style="dim")
    return head


def _contracts(snapshot: Snapshot) -> Table:
    table = _table("contract", "last", "bid", "ask", "ticks/s", "feed", "tick", "trade", "book")
    for facts in snapshot.contracts:
        feed = Text(f"{facts.feed or '-'} {facts.cause}".strip(), style=_FEED_STYLE.get(facts.feed, "dim"))
        prices = [_number(value) for value in (facts.price, facts.bid, facts.ask)]
        sizes = [f"{facts.streams[kind]:,}" if kind in facts.streams else "" for kind in ("tick", "trade", "book")]
        table.add_row(facts.name, *prices, f"{facts.rate:.0f}", feed, *sizes)
    return table


def _storage(snapshot: Snapshot) -> Table:
    table = _table("MongoDB", "documents")
    for name, count in snapshot.collections.items():
        table.add_row(name, f"{count:,}")
    return table


def _accounts(snapshot: Snapshot) -> Table:
    table = _table("account", *(account.name for account in snapshot.accounts))
    rows: dict[str, list[str]] = {}
    for account in snapshot.accounts:
        size = account.size
        for name, value in (
            ("routed", "yes" if size.routed else "no"),
            ("state", size.halt or "-"),
            ("queued", str(size.queued)),
            ("open", str(size.open)),
            ("fills", str(account.fills)),
            ("events", str(size.events)),
            ("unreadable", str(size.dead)),
        ):
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def _permits(snapshot: Snapshot) -> Table:
    table = _table("permits in use", "granted", "usable")
    for name, (granted, usable) in permits(snapshot).items():
        table.add_row(name, str(granted), str(usable))
    return table


def permits(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """Rate-limit windows in use by rule, of all accounts, as the router says: granted and usable."""
    found: dict[str, tuple[int, int]] = {}
    accounts: dict[str, Any] = snapshot.states.get("router", {}).get("accounts", {})
    for state in accounts.values():
        for rule, (granted, usable) in state.get("permits", {}).items():
            found[rule] = max(found.get(rule, (0, usable)), (granted, usable))
    return found


def _processes(supervisor: Supervisor, now: float) -> Table:
    table = _table("process", "pid", "up", "restarts", "last message")
    for name, child in supervisor.children.items():
        pid = child.pid
        state = str(pid) if pid else Text(child.ended or "down", style="red")
        table.add_row(name, state, span(now - child.began) if pid else "", str(child.restarts), last_message(child))
    return table


def last_message(child: Child) -> Text:
    """The newest line of its log that a person would read."""
    try:
        with child.program.log.open("rb") as file:
            file.seek(max(0, child.program.log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return Text("")
    line = lines[-1] if lines else ""
    style = ""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if isinstance(entry, dict):
        line = str(entry.get("event") or entry.get("msg") or line)
        style = {"error": "red", "warning": "yellow"}.get(str(entry.get("level")), "")
    return Text(line, style=style, overflow="ellipsis", no_wrap=True)


def span(seconds: float) -> str:
    """A duration as people write it: `75` is `1:15`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name in ("feed", "last message", "pid") else "right", no_wrap=True)
    return table
