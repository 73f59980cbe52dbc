"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the screen.

    Attributes:
        part: what was looked at, e.g. `Redis (orders)`.
        verdict: `wrong` makes the command fail; a `note` is for a person to judge.
        found: what is the case.
        advice: what to do about it, "" where nothing is.
    """

    part: str
    verdict: Verdict
    found: str
    advice: str = ""


def where(url: str) -> str:
    """Host and port of an address, without what may be secret in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host or url
