"""One cell of the matrix: what is done, what the venue does wrong, and where the router is struck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.proofs.faulty import FAULTS, Fault
from tests.proofs.gate import Point

OF_THE_PROOF = "proof: "
"""How a finding begins that says that the run itself failed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run.

    Attributes:
        column: `singles`, `pairs`, `stops`, `rollbacks`, `wipes` or a twin's proof.
        kind: of commands, one of `faulty.KINDS`.
        fault: name of a fault.
        points: where the router is struck, one an incarnation.
        twin: name of a broken router, or "" for the real one.
    """

    column: str
    kind: str
    fault: str = "none"
    points: tuple[Point, ...] = ()
    twin: str = ""

    @property
    def key(self) -> str:
        """Names the cell, for results and for people."""
        where = " + ".join(map(str, self.points)) or "no kill"
        return " | ".join(part for part in (self.twin, self.column, self.kind, self.fault, where) if part)

    @property
    def with_fault(self) -> Fault:
        return FAULTS[self.fault]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a cell.

    Attributes:
        cell: what was done.
        wrong: what does not hold; empty if all does.
        reached: True if every point was.
        seconds: of wall time.
        revised: NeverPlaced that was revised, with an alarm.
        recovery: messages of each name after the first restart.
    """

    cell: Cell
    wrong: tuple[str, ...]
    reached: bool
    seconds: float
    revised: int = 0
    recovery: Mapping[str, int] = field(default_factory=dict)

    @property
    def convicts(self) -> bool:
        """True if the judge found something wrong: a run that failed by itself shows nothing of the router."""
        return any(not one.startswith(OF_THE_PROOF) for one in self.wrong)

    def to_json(self) -> dict[str, Any]:
        """A line of the file of results."""
        return {
            "column": self.cell.column,
            "kind": self.cell.kind,
            "fault": self.cell.fault,
            "points": [str(point) for point in self.cell.points],
            "twin": self.cell.twin,
            "wrong": list(self.wrong),
            "reached": self.reached,
            "seconds": self.seconds,
            "revised": self.revised,
            "recovery": dict(self.recovery),
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Result:
        """Inverse of `to_json`."""
        points = tuple(map(Point.parse, line["points"]))
        cell = Cell(line["column"], line["kind"], line["fault"], points, line["twin"])
        return cls(cell, tuple(line["wrong"]), line["reached"], line["seconds"], line["revised"], line["recovery"])
