"""Accounts and what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from tickrouter.errors import InvalidValue

_ACCOUNT = re.compile(r"([a-z0-9_]+)/([a-z0-9_-]+)\Z")


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """`<venue>/<name>`: one queue, one journal, one event log."""

    venue: str
    name: str
    text: str = field(init=False, repr=False, compare=False)
    """Both: it is written so often that it is made once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.venue}/{self.name}")

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Account:
        """Read `btcturk/main`.

        Raises:
            InvalidValue: another form.
        """
        if not isinstance(text, str):
            raise InvalidValue("account", f"{text!r} is not <venue>/<name> in lower case")
        return _account(text)


@lru_cache(maxsize=1024)
def _account(text: str) -> Account:
    match = _ACCOUNT.match(text)
    if match is None:
        raise InvalidValue("account", f"{text!r} is not <venue>/<name> in lower case")
    return Account(match[1], match[2])


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds of one currency, as the venue last said.

    Attributes:
        currency: lower case.
        total: all of it.
        free: not locked.
        locked: behind open orders and withdrawals.
        time: when we read it, ns since 1970 UTC.
    """

    currency: str
    total: Decimal
    free: Decimal
    locked: Decimal
    time: int
