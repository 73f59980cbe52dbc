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
