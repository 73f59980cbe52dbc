"""Rate-limit permits: one Redis script for all windows of a request, shared by every process behind one IP or key.

A server that may have forgotten permits is not asked for any before it is *opened*: then every window counts as spent
for one interval. It may have forgotten where it knows of no opening at all (it was wiped), where it does not know the
last permits that a process was granted (it was taken back to an earlier moment), and where it was started anew and
does not sync each write, or was a replica. Each process opens it for itself: what an opening finds has a name, new
with each life of the server, and nothing is granted to whoever does not know it.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from tickrouter.bus.connection import Redis, node_of, storage_errors
from tickrouter.bus.direct import Call, Direct, Part
from tickrouter.bus.inspect import life_of
from tickrouter.bus.keys import permit
from tickrouter.bus.scripts import Script
from tickrouter.core.permits import Claim, Rule, claims
from tickrouter.errors import RedisForgot

_OPEN = Script("clock", "permit_open")
_MICROS = 1_000_000
_MEMORY = "memory"
_COOLDOWN = "cooldown"
_TRIES = 2
"""How often one call of `take` asks: a server that was not opened is opened in between."""
_SURE = 0.9
"""Part of an interval in which a permit that was granted is in its window for sure."""
_SOON = 0.001
"""Seconds to wait before asking a server that was not opened: `take` opens it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Permits taken for one request, to be returned when its answer is back."""

    name: str
    claims: tuple[Claim, ...]


_Needs = tuple[tuple[Claim, ...], list[str], list[Part]]
"""Of an endpoint: its windows, their keys, and the numbers of each as the script takes them."""


class Permits:
    """Permits of one venue, for one account behind one IP."""

    def __init__(
        self,
        redis: Redis,
        venue: str,
        rules: tuple[Rule, ...],
        *,
        account: str,
        ip: str,
        unused: Callable[[], bool],
        held: float = 30.0,
    ) -> None:
        """Nothing is asked yet.

        Args:
            redis: the orders Redis.
            venue: whose limits.
            rules: all of the card's.
            account: for rules that count by account.
            ip: for rules that count by address.
            unused: asked where Redis knows nothing of this venue: True if nobody can have sent it anything so far.
            held: for how many seconds a permit counts whose answer never comes: longer than any request lasts.
        """
        self._redis: Any = redis
        self._direct = Direct(redis)
        self._venue = venue
        self._rules = rules
        self._account = account
        self._ip = ip
        self._unused = unused
        self._take = Script("clock", "permit", mark=venue)
        self._return = Script("clock", "permit_return", mark=venue)
        self._memory = permit(venue, _MEMORY, "server")
        self.owed: queue.SimpleQueue[Grant] = queue.SimpleQueue()
        """Grants whose answers are back, and which Redis does not know as returned yet: they outlive a tenure."""
        self._life = b""
        self._latest: dict[int, tuple[Grant, float]] = {}
        self._held = int(held * _MICROS)
        self._known: dict[str, _Needs] = {}
        self._windows: dict[tuple[Part, ...], tuple[Claim, ...]] = {}
        self._mark = secrets.token_hex(4)
        self._count = count()

    def take(self, endpoint: str) -> Grant | float:
        """Take what a request to `endpoint` (`METHOD /path`) needs.

        Returns:
            The grant, else the seconds after which to ask again: nothing was taken.

        Raises:
            StorageError: no answer. Nothing may be sent then.
        """
        answer = -1
        for _ in range(_TRIES):
            grant, call = self.asking(endpoint)
            answer = int(self._run(call)[0])
            if answer >= 0:
                break
            self.prepare()
        return self.granted(grant, answer)

    def asking(self, endpoint: str) -> tuple[Grant, Call]:
        """The call that takes what `endpoint` needs, to leave in one write with another; `granted` reads its answer."""
        wanted, keys, numbers = self._known.get(endpoint) or self._learn(endpoint)
        grant = Grant(f"{self._mark}:{next(self._count)}", wanted)
        return grant, (self._take, keys, [grant.name, self._held, self._life, *numbers])

    def granted(self, grant: Grant, answer: Any) -> Grant | float:
        """What the answer to `asking` means: the grant, or the seconds to wait."""
        wait = int(answer)
        if wait:
            return wait / _MICROS if wait > 0 else _SOON
        if grant.claims:
            self._latest[id(grant.claims)] = grant, time.monotonic()
        return grant

    def prepare(self) -> None:
        """Open the server: find out whether it forgot, then make it know the scripts.

        Raises:
            StorageError: no answer, or nobody can say whether anything was sent before. Nothing may be sent then.
        """
        with storage_errors("permits"):
            server = node_of(self._redis, self._memory)
            run_id, keeps = life_of(server)
            granted = self._granted()
            first = not granted and not server.exists(self._memory) and self._unused()
            keys = [self._memory, *granted]
            with server.pipeline(transaction=False) as pipe:
                _OPEN.evaluate(pipe, keys, [run_id, int(keeps), int(first), *granted.values()])
                self._take.load(pipe)
                self._return.load(pipe)
                self._life = pipe.execute()[0]

    def _granted(self) -> dict[str, str]:
        """Of each window its last permit granted to this process that must still count, by the window's key."""
        now = time.monotonic()
        latest = list(self._latest.values())
        latest.sort(key=lambda one: one[1])
        return {
            self._key(claim): f"{grant.name}:1"
            for grant, at in latest
            for claim in grant.claims
            if now - at < claim.rule.interval * _SURE
        }

    def give_back(self, *grants: Grant) -> None:
        """Their answers are back. Without this the permits count for as long as any request may last.

        Raises:
            StorageError: no answer; they count for longer then, which harms nobody.
        """
        calls = [call for call in map(self._returning, grants) if call is not None]
        if calls:
            self._run(*calls)

    def send_back(self, grant: Grant) -> None:
        """`give_back` without waiting for Redis; what it does not hear counts for as long as any request may last.

        Raises:
            StorageError, RedisForgot: it did not leave.
        """
        call = self._returning(grant)
        if call is not None:
            with storage_errors("permits"):
                self._direct.leave(*call)

    def _returning(self, grant: Grant) -> Call | None:
        if not grant.claims:
            return None
        args: list[Part] = [grant.name]
        for claim in grant.claims:
            args += [int(claim.rule.interval * _MICROS), claim.weight]
        return self._return, [self._key(claim) for claim in grant.claims], args

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
            with self._redis.pipeline(transaction=False) as pipe:
                for rule in self._rules:
                    pipe.zcount(permit(self._venue, rule.name, values.get(rule.scope, "")), now, "+inf")
                counts = pipe.execute()
        for rule, granted in zip(self._rules, counts, strict=True):
            if granted:
                found[rule.name] = (int(granted), rule.usable)
        return found

    def _key(self, claim: Claim) -> str:
        return permit(self._venue, claim.rule.name, claim.scope_value)

    def _run(self, *calls: Call) -> list[Any]:
        with storage_errors("permits"):
            try:
                return self._direct.call_all(*calls)
            except RedisForgot:
                # Permits say nothing of what Redis remembers of orders: whoever needs the scripts opens it.
                self.prepare()
                return self._direct.call_all(*calls)

    def _learn(self, endpoint: str) -> _Needs:
        """What is the same in every call for an endpoint."""
        wanted = claims(self._rules, endpoint, account=self._account, ip=self._ip)
        keys = [self._memory, permit(self._venue, _COOLDOWN, endpoint), *map(self._key, wanted)]
        numbers: list[Part] = []
        for claim in wanted:
            numbers += [claim.usable, int(claim.rule.interval * _MICROS), claim.weight]
        # One tuple for all endpoints of the same windows: their last permits are kept by it.
        wanted = self._windows.setdefault((*keys[2:], *numbers), wanted)
        if len(self._known) > 1000:
            self._known.clear()
        found = self._known[endpoint] = wanted, keys, numbers
        return found
