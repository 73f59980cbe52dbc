"""Rate-limit permits: one Redis script for all windows of a request, shared by every process behind one IP or key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from itertools import count
from typing import Any

from tickrouter.bus.connection import Redis, node_of, storage_errors
from tickrouter.bus.direct import Call, Direct, Part
from tickrouter.bus.keys import permit
from tickrouter.bus.scripts import Script
from tickrouter.core.permits import Claim, Rule, claims
from tickrouter.errors import RedisForgot

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
        self._direct = Direct(redis)
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
        grant, call = self.asking(endpoint)
        return self.granted(grant, self._run(call))

    def asking(self, endpoint: str) -> tuple[Grant, Call]:
        """The call that takes what `endpoint` needs, to leave in one write with another; `granted` reads its answer."""
        wanted = self._claims(endpoint)
        grant = Grant(f"{self._mark}:{next(self._count)}", wanted)
        keys = [permit(self._venue, _COOLDOWN, endpoint), *map(self._key, wanted)]
        args: list[Part] = [grant.name, self._held]
        for claim in wanted:
            args += [claim.usable, int(claim.rule.interval * _MICROS), claim.weight]
        return grant, (_TAKE, keys, args)

    @staticmethod
    def granted(grant: Grant, answer: Any) -> Grant | float:
        """What the answer to `asking` means: the grant, or the seconds to wait."""
        wait = int(answer)
        return wait / _MICROS if wait else grant

    def prepare(self) -> None:
        """Make the server know the scripts.

        Raises:
            StorageError: no answer.
        """
        with storage_errors("permits"):
            _TAKE.load(self._redis)
            _RETURN.load(self._redis)

    def give_back(self, grant: Grant) -> None:
        """The answer is back. Without this the permits count for as long as any request may last.

        Raises:
            StorageError: no answer; they count for longer then, which harms nobody.
        """
        args: list[Part] = [grant.name]
        for claim in grant.claims:
            args += [int(claim.rule.interval * _MICROS), claim.weight]
        if grant.claims:
            self._run((_RETURN, [self._key(claim) for claim in grant.claims], args))

    def cool_down(self, endpoint: str, seconds: float) -> None:
        """Nobody asks `endpoint` for so long: the venue said so."""
        with storage_errors("cooldown"):
            self._redis.set(permit(self._venue, _COOLDOWN, endpoint), 1, px=max(1, int(seconds * 1000)))

    def used(self) -> dict[str, tuple[int, int]]:
        """For each window in use by this account and IP: permits that count now, and permits usable."""
        found: dict[str, tuple[int, int]] = {}
        values = {"global": "all", "account": self._account, "ip": self._ip}
        with storage_errors("permits in use"):
            seconds, micros = node_of(self._redis, permit(self._venue, _COOLDOWN, "")).time()
            now = seconds * _MICROS + micros
            for rule in self._rules:
                key = permit(self._venue, rule.name, values.get(rule.scope, ""))
                granted = int(self._redis.zcount(key, now, "+inf"))
                if granted:
                    found[rule.name] = (granted, rule.usable)
        return found

    def _key(self, claim: Claim) -> str:
        return permit(self._venue, claim.rule.name, claim.scope_value)

    def _run(self, call: Call) -> Any:
        with storage_errors("permits"):
            try:
                return self._direct.call(*call)
            except RedisForgot:
                # Permits say nothing of what Redis remembers of orders: whoever needs the scripts loads them.
                self.prepare()
                return self._direct.call(*call)

    def _claims(self, endpoint: str) -> tuple[Claim, ...]:
        if endpoint not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[endpoint] = claims(self._rules, endpoint, account=self._account, ip=self._ip)
        return self._known[endpoint]
