"""Rate-limit permits: one Redis script for all windows of a request, shared by every process behind one IP or key."""

from __future__ import annotations

import secrets
from itertools import count
from typing import Any

from redis.exceptions import NoScriptError

from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import permit
from tickrouter.bus.scripts import Script
from tickrouter.core.permits import Claim, Rule, claims

_TAKE = Script("permit")
_COOLDOWN = "cooldown"


class Permits:
    """Permits of one venue, for one account behind one IP."""

    def __init__(self, redis: Redis, venue: str, rules: tuple[Rule, ...], *, account: str, ip: str) -> None:
        self._redis: Any = redis
        self._venue = venue
        self._rules = rules
        self._account = account
        self._ip = ip
        self._known: dict[str, tuple[Claim, ...]] = {}
        self._mark = secrets.token_hex(4)
        self._count = count()

    def take(self, endpoint: str) -> float:
        """Take what a request to `endpoint` (`METHOD /path`) needs.

        Returns:
            0 for go, else the seconds after which to ask again: nothing was taken.

        Raises:
            StorageError: no answer. Nothing may be sent then.
        """
        wanted = self._claims(endpoint)
        keys = [permit(self._venue, _COOLDOWN, endpoint)]
        args: list[str | int] = [f"{self._mark}:{next(self._count)}"]
        for claim in wanted:
            keys.append(permit(self._venue, claim.rule.name, claim.scope_value))
            args += [claim.rule.usable, int(claim.rule.interval * 1_000_000), claim.weight]
        with storage_errors("permits"):
            try:
                wait = self._redis.evalsha(_TAKE.digest, len(keys), *keys, *args)
            except NoScriptError:
                _TAKE.load(self._redis)
                wait = self._redis.evalsha(_TAKE.digest, len(keys), *keys, *args)
        return int(wait) / 1_000_000

    def cool_down(self, endpoint: str, seconds: float) -> None:
        """Nobody asks `endpoint` for so long: the venue said so."""
        with storage_errors("cooldown"):
            self._redis.set(permit(self._venue, _COOLDOWN, endpoint), 1, px=max(1, int(seconds * 1000)))

    def spend(self, endpoints: tuple[str, ...]) -> None:
        """Count one longest window of each endpoint as spent: what was used before is not known any more."""
        for endpoint in endpoints:
            longest = max((claim.rule.interval for claim in self._claims(endpoint)), default=0.0)
            if longest:
                self.cool_down(endpoint, longest)

    def used(self) -> dict[str, tuple[int, int]]:
        """For each window in use by this account and IP: permits granted in it, and permits usable."""
        found: dict[str, tuple[int, int]] = {}
        values = {"global": "all", "account": self._account, "ip": self._ip}
        with storage_errors("permits in use"):
            seconds, micros = self._redis.time()
            now = seconds * 1_000_000 + micros
            for rule in self._rules:
                key = permit(self._venue, rule.name, values.get(rule.scope, ""))
                granted = int(self._redis.zcount(key, now - int(rule.interval * 1_000_000), "+inf"))
                if granted:
                    found[rule.name] = (granted, rule.usable)
        return found

    def _claims(self, endpoint: str) -> tuple[Claim, ...]:
        if endpoint not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[endpoint] = claims(self._rules, endpoint, account=self._account, ip=self._ip)
        return self._known[endpoint]
