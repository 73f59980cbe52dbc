"""The venue card: all that is data about a venue, and every guess about it, in one file a person can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tickrouter.core.permits import Rule, RuleType, Scope
from tickrouter.errors import ConfigError, Kind
from tickrouter.model.secrecy import HIDDEN, is_secret, redacted


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hosts(_Part):
    """Base addresses, without a slash at the end."""

    public: str
    private: str
    graph: str
    socket: str


class Channels(_Part):
    """How long a channel may be silent, and how connections are made."""

    stale_after: dict[str, float] = Field(description="seconds of silence by record kind after which a feed is stale")
    connects_per_minute: int = Field(gt=0)
    backoff_first: float = Field(gt=0)
    backoff_cap: float = Field(gt=0)
    book_cut: int = Field(default=90, gt=0, description="levels a side from which on a snapshot is not the whole book")
    trade_buy: int = Field(ge=0, le=1, description="value of a socket trade's S that means: the taker bought")


class RuleCard(_Part):
    """One rate-limit window, see `tickrouter.core.permits.Rule`."""

    name: str
    limit: int = Field(gt=0)
    interval: float = Field(gt=0)
    endpoint: str
    type: RuleType = "sliding_window"
    scope: Scope = "ip"
    use: float = Field(default=0.95, gt=0, le=1)
    weight: int = Field(default=1, gt=0)
    weight_map: dict[str, int] = Field(default_factory=dict)
    kept_for: str | None = None
    kept: float = Field(default=0.0, ge=0, lt=1)

    def rule(self) -> Rule:
        return Rule(**self.model_dump())


class Capabilities(_Part):
    """What the venue can do, and what may be concluded from its answers."""

    order_types: tuple[Literal["limit", "market", "stop_limit", "stop_market"], ...]
    quote_amount: tuple[Literal["market_buy", "stop_market_buy"], ...] = ()
    native_amend: bool = False
    client_id_lookup: bool = False
    repeated_id_refused: bool = False
    stamp_tolerance: float = Field(description="seconds by which a request's stamp may differ from the venue's clock")
    visibility_lag: float = Field(description="seconds after which an accepted order shows in every source")
    sources: tuple[Literal["open_orders", "all_orders", "trades"], ...] = Field(
        description="where to look for an order in doubt, in this order"
    )


class Scale(_Part):
    """Decimal places of a symbol, for use before the venue's own list is read."""

    price: int = Field(ge=0)
    amount: int = Field(ge=0)


class Card(_Part):
    """One venue."""

    name: str
    adapter: str
    products: tuple[Literal["spot", "perp"], ...]
    hosts: Hosts
    channels: Channels
    limits: tuple[RuleCard, ...]
    capabilities: Capabilities
    errors: dict[str, Kind] = Field(description="the venue's message, or a glob of it, to our kind")
    fees: dict[Literal["maker", "taker"], str] = Field(default_factory=dict)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(entry.rule() for entry in self.limits)

    def with_hosts(self, hosts: dict[str, str]) -> Card:
        """The same card for other addresses: a simulator, a proxy."""
        return self.model_copy(update={"hosts": Hosts(**(self.hosts.model_dump() | hosts))})


def load_card(path: Path) -> Card:
    """Read a card.

    Raises:
        ConfigError: names file, key, what was found and what is allowed.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {error}") from error
    try:
        return Card.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(explain(path, error)) from error


def explain(path: Path, error: ValidationError) -> str:
    """A validation error as lines of: file, key, what is wrong, what was found."""
    lines = []
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "(the whole file)"
        found = "" if item["type"] == "missing" else f"; found {HIDDEN if is_secret(key) else _short(item['input'])}"
        lines.append(f"{path}: {key}: {_allowed(item['type'], item['msg'])}{found}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = repr(redacted(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _allowed(kind: str, message: str) -> str:
    if kind == "missing":
        return "missing, but needed"
    if kind == "extra_forbidden":
        return "no such key here"
    return message[:1].lower() + message[1:]
