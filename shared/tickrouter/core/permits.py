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
        kept_for: glob of endpoints, such as cancels, for which a part of a shared window is kept.
        kept: that part of the limit.
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
    kept_for: str | None = None
    kept: float = 0.0

    def usable_for(self, endpoint: str) -> int:
        """Permits that this endpoint may take in one interval, at least one."""
        others = self.kept_for is not None and not fnmatchcase(endpoint, self.kept_for)
        return max(1, int(self.limit * (self.use - (self.kept if others else 0.0))))

    @property
    def usable(self) -> int:
        """Permits that may be granted in one interval to whoever may take most, at least one."""
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
    usable: int


def claims(rules: tuple[Rule, ...], endpoint: str, *, account: str, ip: str) -> tuple[Claim, ...]:
    """Every window that a request to `endpoint` (`METHOD /path`) has to take a permit of."""
    values = {"global": "all", "account": account, "ip": ip, "endpoint": endpoint}
    return tuple(
        Claim(rule, values[rule.scope], rule.weight_of(endpoint), rule.usable_for(endpoint))
        for rule in rules
        if fnmatchcase(endpoint, rule.endpoint)
    )


class Window:
    """One window as bus/lua/permit.lua keeps it: the model that the script is compared with.

    A permit is held until its answer is back and one interval has passed since. A window whose permits were forgotten
    counts as spent for one interval. Times are in microseconds.
    """

    def __init__(self, interval: int, held: int) -> None:
        self._interval = interval
        self._held = held
        self._ends: dict[str, int] = {}
        self._spent_until = 0

    def forget(self, now: int, *, empty: bool = True) -> None:
        """Its permits are gone, all of them or (not `empty`) nobody knows how many."""
        if empty:
            self._ends = {}
        self._spent_until = now + self._interval

    def wait(self, usable: int, weight: int, now: int) -> int:
        """Microseconds after which to ask again; 0 where permits can be taken now."""
        self._ends = {name: end for name, end in self._ends.items() if end > now}
        spent = max(self._spent_until - now, 0)
        over = len(self._ends) + weight - usable
        if over <= 0:
            return spent
        ends = sorted(self._ends.values())
        until_free = min(ends[over - 1] - now + 1, self._interval) if over <= len(ends) else self._interval
        return max(spent, until_free)

    def take(self, name: str, weight: int, now: int) -> None:
        """Take permits under a name that is new."""
        self._ends |= {f"{name}:{number}": now + self._held + self._interval for number in range(1, weight + 1)}

    def give_back(self, name: str, weight: int, now: int) -> None:
        """The answer is back."""
        for number in range(1, weight + 1):
            if f"{name}:{number}" in self._ends:
                self._ends[f"{name}:{number}"] = now + self._interval
