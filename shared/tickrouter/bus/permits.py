"""Rate-limit permits: one Redis script for all windows of a request, shared by every process behind one IP or key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from itertools import count
from typing import Any

from redis.exceptions import NoScriptError

from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import permit
from tickrouter.bus.scripts import Script
from tickrouter.core.permits import Claim, Rule, claims

_TAKE = Script("clock", "permit")
_RETURN = Script("clock", "permit_return")
_MICROS = 1_000_000
_COOLDOWN = "cooldown"


@dataclass(frozen=True, slots=True)
class Grant:
    """Permits taken for one request, to be returned when its answer is back."""

    name: str
    claims: tuple[Claim, ...]


class Permits:
    """Permits of one venue, for one account behind one IP."""

    def __init__(
        self, redis: Redis, venue: str, rules: tuple[Rule, ...], *, account: str, ip: str, held: float = 30.0
    ) -> None:
        """`held` is for how many seconds a permit counts whose answer never comes: longer than any request lasts."""
        self._redis: Any = redis
        self._venue = venue
        self._rules = rules
        self._account = account
        self._ip = ip
        self._held = int(held * _MICROS)
        self._known: dict[str, tuple[Claim, ...]] = {}
        self._mark = secrets.token_hex(4)
        self._count = count()

    def take(self, endpoint: str) -> Grant | float:
        """Take what a request to `endpoint` (`METHOD /path`) needs.

        Returns:
            The grant, else the seconds after which to ask again: nothing was taken.

        Raises:
            StorageError: no answer. Nothing may be sent then.
        """
        wanted = self._claims(endpoint)
        grant = Grant(f"{self._mark}:{next(self._count)}", wanted)
        keys = [permit(self._venue, _COOLDOWN, endpoint), *map(self._key, wanted)]
        args: list[str | int] = [grant.name, self._held]
        for claim in wanted:
            args += [claim.usable, int(claim.rule.interval * _MICROS), claim.weight]
        wait = int(self._call(_TAKE, keys, args))
        return wait / _MICROS if wait else grant

    def give_back(self, grant: Grant) -> None:
        """The answer is back. Without this the permits count for as long as any request may last.

        Raises:
            StorageError: no answer; they count for longer then, which harms nobody.
        """
        args: list[str | int] = [grant.name]
        for claim in grant.claims:
            args += [int(claim.rule.interval * _MICROS), claim.weight]
        if grant.claims:
            self._call(_RETURN, [self._key(claim) for claim in grant.claims], args)

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
        """For each window in use by this account and IP: permits that count now, and permits usable."""
        found: dict[str, tuple[int, int]] = {}
        values = {"global": "all", "account": self._account, "ip": self._ip}
        with storage_errors("permits in use"):
            seconds, micros = self._redis.time()
            now = seconds * _MICROS + micros
            for rule in self._rules:
                key = permit(self._venue, rule.name, values.get(rule.scope, ""))
                granted = int(self._redis.zcount(key, now, "+inf"))
                if granted:
                    found[rule.name] = (granted, rule.usable)
        return found

    def _key(self, claim: Claim) -> str:
        return permit(self._venue, claim.rule.name, claim.scope_value)

    def _call(self, script: Script, keys: list[str], args: list[str | int]) -> Any:
        with storage_errors("permits"):
            try:
                return self._redis.evalsha(script.digest, len(keys), *keys, *args)
            except NoScriptError:
                script.load(self._redis)
                return self._redis.evalsha(script.digest, len(keys), *keys, *args)

    def _claims(self, endpoint: str) -> tuple[Claim, ...]:
        if endpoint not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[endpoint] = claims(self._rules, endpoint, account=self._account, ip=self._ip)
        return self._known[endpoint]
