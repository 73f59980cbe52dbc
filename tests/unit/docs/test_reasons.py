"""The tables of docs/orders.md against the code: every reason is a row, and every row is a reason of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from tickrouter.errors import Kind

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/orders.md").read_text()
CODE = ("services/router", "shared/tickrouter/core", "shared/tickrouter/bus", "shared/tickrouter/venues")
EVENTS = {"epoch", "foreign", "reconciled", "balance", "orphan", "twin"}
"""Reasons that no order and no command has: of events that tell of something else (docs/orders.md, Reconciliation)."""
AGAIN = {"rate_limit", "nonce"}
"""Kinds of refusals after which the order goes out in another attempt: no order ends with them."""


def kinds_in_code() -> set[str]:
    """First argument of every `Reason(...)` and `CannotDo(...)` that is written out."""
    found = set()
    for folder in CODE:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                    continue
                first = node.args[0]
                if node.func.id in ("Reason", "CannotDo") and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def rows(title: str) -> Iterator[list[str]]:
    """The cells of a section's table."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not set(line) <= set("|-") and not cells[0].startswith("status"):
            yield cells


def test_every_reason_is_a_row_and_every_row_is_a_reason() -> None:
    documented = {kind for cells in rows("Reasons") for kind in re.findall(r"`([a-z_]+)`", cells[1])}
    answers = set(get_args(Kind)) - AGAIN
    assert documented == (kinds_in_code() - EVENTS) | answers


def test_what_is_told_of_no_order_is_documented_too() -> None:
    assert kinds_in_code() >= EVENTS - {"orphan", "twin"}
    for kind in EVENTS:
        assert f"`{kind}`" in TEXT, kind
