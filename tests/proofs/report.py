"""What the proofs found, as a table for people and as `build/proofs.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.proofs.cell import Cell, Result
from tests.simulation import ROOT

FILE = ROOT / "build" / "proofs.json"


@dataclass
class Line:
    """One line of the table.

    Attributes:
        name: of the proof.
        runs: how many were made.
        failures: runs in which something does not hold.
        holds: what the proof is for.
        note: in a few words.
        details: kept in the file only.
    """

    name: str
    runs: int
    failures: int
    holds: bool
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def line_of(name: str, cells: Sequence[Cell], results: Sequence[Result]) -> Line:
    """The line of one column; it holds when no run failed, whether all cells were run or a sample."""
    failed = [result for result in results if result.wrong]
    reached = sum(result.reached for result in results)
    revised = sum(result.revised > 0 for result in results)
    note = f"{len(results)} of {len(cells)} cells"
    if any(result.cell.points for result in results):
        note += f", {reached} reached their point"
    if revised:
        note += f", {revised} revised with an alarm"
    details = {
        "cells": len(cells),
        "reached": reached,
        "revised": revised,
        "by_fault": _by(results, lambda result: result.cell.fault),
        "by_kind": _by(results, lambda result: result.cell.kind),
        "failed": [{"cell": result.cell.key, "wrong": list(result.wrong)} for result in failed[:100]],
    }
    return Line(name, len(results), len(failed), bool(results) and not failed, note, details)


def _by(results: Iterable[Result], name: Any) -> dict[str, dict[str, int]]:
    runs: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for result in results:
        runs[name(result)] += 1
        failures[name(result)] += bool(result.wrong)
    return {key: {"runs": runs[key], "failures": failures[key]} for key in sorted(runs)}


def line_of_twin(twin: str, results: Sequence[Result]) -> Line:
    """A broken router: it holds when a proof caught it."""
    caught = next((result for result in results if result.convicts), None)
    note = f"caught by {caught.cell.key.removeprefix(twin + ' | ')}" if caught else "not caught"
    details = {"wrong": list(caught.wrong) if caught else []}
    return Line(
        f"twin: {twin}", len(results), sum(result.convicts for result in results), caught is not None, note, details
    )


def write(lines: Iterable[Line], file: Path = FILE) -> None:
    """Put lines into the file, beside those of other runs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for line in lines:
        known[line.name] = {
            "runs": line.runs,
            "failures": line.failures,
            "holds": line.holds,
            "note": line.note,
            **line.details,
        }
    file.write_text(json.dumps(known, indent=1) + "\n")


def show(lines: Sequence[Line], console: Console) -> None:
    """Print the table, and what does not hold."""
    table = Table(title="Proofs", title_justify="left")
    for column, right in (("proof", False), ("runs", True), ("failures", True), ("holds", False), ("", False)):
        table.add_column(column, justify="right" if right else "left")
    for line in lines:
        table.add_row(line.name, str(line.runs), str(line.failures), "yes" if line.holds else "NO", line.note)
    console.print(table)
    for line in lines:
        failed: Sequence[Mapping[str, Any]] = line.details.get("failed", ())
        for one in failed[:10]:
            console.print(f"  {one['cell']}: {'; '.join(one['wrong'])[:400]}", style="red", highlight=False)
    faults = _faults(lines)
    if faults:
        console.print(faults)


def _faults(lines: Sequence[Line]) -> Table | None:
    """Runs and failures of the columns by fault."""
    shown = [line for line in lines if len(line.details.get("by_fault", {})) > 1]
    if not shown:
        return None
    table = Table(title="By what the venue does wrong (runs / failures)", title_justify="left")
    table.add_column("fault")
    for line in shown:
        table.add_column(line.name, justify="right")
    names = sorted({name for line in shown for name in line.details["by_fault"]})
    for name in names:
        row = [line.details["by_fault"].get(name) for line in shown]
        table.add_row(name, *(f"{one['runs']} / {one['failures']}" if one else "" for one in row))
    return table
