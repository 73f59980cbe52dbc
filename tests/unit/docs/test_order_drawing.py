"""The drawing in docs/orders.md is the table's."""

from __future__ import annotations

from pathlib import Path

from tickrouter.core.order_drawing import mermaid


def test_the_drawing_is_made_from_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs/orders.md").read_text()
    assert mermaid() in page, (
        "docs/orders.md: replace the drawing by what tickrouter.core.order_drawing.mermaid() gives"
    )
