"""Rate-limit rules, and which of them a request falls under.

A rule is data from a venue's card. Granting happens in one Redis script on Redis's own clock (bus/permits.py);
this module says what to ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

RuleType = Literal["token_bucket", "sliding_window", "fixed_window"]
Scope = Literal["global", "account", "ip", "endpoint"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One window of a venue's rate limits.

    Attributes:
        name: unique within the card; part of the key in Redis.
        limit: requests that the venue allows in one interval.
        interval: seconds.
        endpoint: glob over `METHOD /path`, e.g. `POST /api/v1/order`.
        type: how we count; `sliding_window` never exceeds a venue's fixed window of unknown phase.
        scope: what the venue counts by.
        use: part of the limit that may be used, against jitter on the way.
        weight: permits that one request takes.
        weight_map: other weights by endpoint glob.
    """

    name: str
    limit: int
    interval: float
    endpoint: str
    type: RuleType = "sliding_window"
    scope: Scope = "ip"
    use: float = 0.95
    weight: int = 1
    weight_map: dict[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> int:
        """Permits that may be granted in one interval, at least one."""
        return max(1, int(self.limit * self.use))

    def weight_of(self, endpoint: str) -> int:
        """Permits that a request to this endpoint takes."""
        for glob, weight in self.weight_map.items():
            if fnmatchcase(endpoint, glob):
                return weight
        return self.weight


@dataclass(frozen=True, slots=True)
class Claim:
    """One window that a request needs a permit of."""

    rule: Rule
    scope_value: str
    weight: int


def claims(rules: tuple[Rule, ...], endpoint: str, *, account: str, ip: str) -> tuple[Claim, ...]:
    """Every window that a request to `endpoint` (`METHOD /path`) has to take a permit of."""
    values = {"global": "all", "account": account, "ip": ip, "endpoint": endpoint}
    return tuple(
        Claim(rule, values[rule.scope], rule.weight_of(endpoint))
        for rule in rules
        if fnmatchcase(endpoint, rule.endpoint)
    )
