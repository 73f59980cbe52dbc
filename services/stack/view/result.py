"""The summary on the screen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ..summary import Summary
from .live import span


def result(summary: Summary) -> Group:
    """A few lines: records and whether both stores hold the same, orders, fills, restarts."""
    lines: list[RenderableType] = [Text(f"ran {span(summary.seconds)}", style="bold")]
    for kind, counted in summary.records.items():
        verdict = (
            "the same in MongoDB" if counted.same else f"{counted.missing} missing, {counted.extra} more in MongoDB"
        )
        lines.append(Text(f"  {kind:<6} {counted.redis:>9,} in Redis, {verdict}", style="" if counted.same else "red"))
    documents = ", ".join(f"{name} {count:,}" for name, count in summary.documents.items() if count)
    lines.append(Text(f"  MongoDB in all: {documents or 'nothing'}"))
    orders = ", ".join(f"{status} {count}" for status, count in summary.orders.items())
    lines.append(Text(f"  fills {summary.fills}; orders in all: {orders or 'none'}"))
    restarts = ", ".join(f"{name} {count}" for name, count in summary.restarts.items())
    lines.append(Text(f"  started again: {restarts or 'nothing'}"))
    lines += [Text(f"  {error}", style="red") for error in summary.errors]
    return Group(*lines)
