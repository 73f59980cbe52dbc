"""A hole among trades that is closed."""

from __future__ import annotations

from dataclasses import dataclass

from tickrouter.history.proof import Proof


@dataclass(frozen=True, slots=True)
class Proven:
    """A hole among trades that is closed."""

    contract: str
    start: int
    end: int
    proof: Proof

    @property
    def cause(self) -> str:
        """For people."""
        ids = f"ids {self.proof.before + 1} to {self.proof.after - 1}" if self.proof.trades else "no id in between"
        return f"{self.proof.trades} trades read after the fact, {ids}"
