"""Request limits: fixed windows that start with their first request (BTCTurk reference, section 3)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from .problems import Problem, too_many

Policy = Literal["ip", "account"]
_BOTH: tuple[Policy, ...] = ("account", "ip")
_IP: tuple[Policy, ...] = ("ip",)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many seconds, counted for each address or account."""

    count: int
    seconds: float
    policies: tuple[Policy, ...] = _IP


LIMITS: dict[str, tuple[Limit, ...]] = {
    "GET /api/v1/users/balances": (Limit(120, 60),),
    "POST /api/v1/order": (Limit(300, 60, _BOTH), Limit(10, 1, _BOTH)),
    "DELETE /api/v1/order": (Limit(300, 60, _BOTH), Limit(10, 1, _BOTH)),
    "GET /api/v1/order/{id}": (Limit(900, 60, _BOTH), Limit(30, 1, _BOTH)),
    "GET /api/v1/openOrders": (Limit(300, 60),),
    "GET /api/v1/allOrders": (Limit(300, 60),),
    "GET /api/v1/users/transactions/trade": (Limit(120, 60),),
    "GET /api/v1/users/transactions/crypto": (Limit(90, 60),),
    "GET /api/v1/users/transactions/fiat": (Limit(90, 60),),
    "GET /api/v2/ticker": (Limit(600, 60),),
    "GET /api/v2/orderbook": (Limit(180, 60),),
    "GET /v1/ohlcs": (Limit(120, 60),),
    "graph": (Limit(600, 600),),
    "socket": (Limit(15, 60),),
}
"""The newest official table. Endpoints that it does not list have no limit here."""


@dataclass(slots=True)
class _Window:
    start: float = -math.inf
    count: int = 0
    blocked_until: float = -math.inf


class Limits:
    """All windows of this venue. A request that exceeds one blocks the endpoint for the window's length."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._windows: dict[tuple[str, Limit, str, str], _Window] = {}
        self.refused: Counter[str] = Counter()

    def check(self, endpoint: str, policy: Policy, who: str, now: float) -> Problem | None:
        """Count a request in every window of the endpoint that this policy counts.

        Args:
            endpoint: key of `LIMITS`.
            policy: count by address or by account.
            who: the address or the account.
            now: monotonic seconds.

        Returns:
            The refusal, or None.
        """
        if not self._enabled:
            return None
        refusal: Problem | None = None
        for limit in LIMITS.get(endpoint, ()):
            if policy not in limit.policies:
                continue
            window = self._windows.setdefault((endpoint, limit, policy, who), _Window())
            if now >= window.blocked_until:
                if now >= window.start + limit.seconds:
                    window.start, window.count = now, 0
                window.count += 1
                if window.count > limit.count:
                    window.blocked_until = now + limit.seconds
            if now < window.blocked_until and refusal is None:
                wait = max(1, math.ceil(window.blocked_until - now))
                refusal = too_many(limit.count, limit.seconds, policy, wait)
        if refusal is not None:
            self.refused[endpoint] += 1
        return refusal
