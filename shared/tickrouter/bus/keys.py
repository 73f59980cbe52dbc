"""Names of the keys in Redis, in one place (docs/wire.md lists them with their types).

The hash tag of each key is the account or the contract, so that one script's keys share a cluster slot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from tickrouter.errors import InvalidValue

_PREFIX = re.compile(r"[a-z0-9_-]{1,32}\Z")
_OWN = ("tick", "trade", "book", "bar", "feed", "through", "lease", "permit")


def replay_prefix(name: str) -> str:
    """What stands before the keys of a replay of that name: `replay` gives `replay:`.

    Raises:
        InvalidValue: not 1 to 32 of a-z, 0-9, `_`, `-`, or the name of a kind of key.
    """
    if not _PREFIX.match(name) or name in _OWN:
        raise InvalidValue("prefix", f"{name!r} is not 1 to 32 of a-z 0-9 _ -, or one of our own names")
    return f"{name}:"


@dataclass(frozen=True, slots=True)
class MarketKeys:
    """Keys on the market Redis. `prefix` sets a replay apart from the live data."""

    contract: str
    prefix: str = ""

    def stream(self, kind: str) -> str:
        """`tick`, `trade`, `book`, `feed`, or `bar:<period>`."""
        name, _, period = kind.partition(":")
        key = f"{self.prefix}{name}:{{{self.contract}}}"
        return f"{key}:{period}" if period else key

    @property
    def through(self) -> str:
        return f"{self.prefix}through:{{{self.contract}}}"

    @property
    def lease(self) -> str:
        return f"{self.prefix}lease:{{{self.contract}}}"


@dataclass(frozen=True)
class AccountKeys:
    """Keys of one account on the orders Redis; each is made once."""

    account: str

    def _key(self, name: str) -> str:
        return f"{name}:{{{self.account}}}"

    @cached_property
    def orders(self) -> str:
        return self._key("orders")

    @cached_property
    def events(self) -> str:
        return self._key("events")

    @cached_property
    def fills(self) -> str:
        return self._key("fills")

    @cached_property
    def open(self) -> str:
        return self._key("open")

    @cached_property
    def work(self) -> str:
        return self._key("work")

    @cached_property
    def watch(self) -> str:
        return self._key("watch")

    @cached_property
    def xoid(self) -> str:
        return self._key("xoid")

    @cached_property
    def meta(self) -> str:
        return self._key("meta")

    @cached_property
    def seen(self) -> str:
        return self._key("seen")

    @cached_property
    def balance(self) -> str:
        return self._key("balance")

    @cached_property
    def agreed(self) -> str:
        return self._key("agreed")

    @cached_property
    def position(self) -> str:
        return self._key("position")

    @cached_property
    def dead(self) -> str:
        return self._key("dead")

    @cached_property
    def lease(self) -> str:
        return self._key("lease")

    @cached_property
    def halt(self) -> str:
        return self._key("halt")

    @cached_property
    def risk(self) -> str:
        return self._key("risk")

    def order(self, client_oid: str) -> str:
        return f"order:{{{self.account}}}:{client_oid}"

    def alive(self, strategy: str) -> str:
        return f"alive:{{{self.account}}}:{strategy}"


def permit(venue: str, rule: str, scope_value: str) -> str:
    """Key of one rate-limit window; all windows of a venue share a slot."""
    return f"permit:{{{venue}}}:{rule}:{scope_value}"
