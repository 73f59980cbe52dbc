"""The configuration file `tickrouter.yaml`, checked, with the venue cards it names.

Order of precedence: environment (`REDIS_URL`, `ORDERS_REDIS_URL`, `MONGO_URL`, keys), the file, the defaults here.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator

from tickrouter.core.risk import Limits
from tickrouter.errors import ConfigError, TickrouterError
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.venues.card import Card, explain, load_card

DEFAULT_FILE = "configs/tickrouter.yaml"
FILE_VARIABLE = "TICKROUTER_CONFIG"
_LOCAL = ("127.0.0.1", "localhost", "::1")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Servers(_Part):
    """Where Redis and MongoDB are. Each may be left out where the embedded stack starts them.

    Addresses may hold passwords, so `repr` leaves them out.
    """

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    orders_redis_url: str | None = Field(default=None, repr=False)
    mongo_url: str = Field(default="mongodb://127.0.0.1:27017", repr=False)
    mongo_database: str = "tickrouter"


class Venue(_Part):
    """One venue in use: its card, and addresses that replace the card's."""

    card: Path
    hosts: dict[Literal["public", "private", "graph", "socket"], str] = Field(default_factory=dict)


class Recording(_Part):
    """What a collector records."""

    contracts: tuple[str, ...] = ()
    kinds: tuple[Literal["tick", "trade", "book"], ...] = ("tick", "trade", "book")
    levels: int = Field(default=5, ge=1, le=50, description="levels in a tick")
    book_levels: int = Field(default=20, ge=1, le=1000, description="levels in a book record")
    book_interval_ms: int = Field(
        default=100, ge=0, description="least time between two book records; 0 is every change"
    )

    @field_validator("contracts")
    @classmethod
    def _canonical(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Contract.parse(name)) for name in names)


class Streams(_Part):
    """Entries kept in each stream; older ones are trimmed, and stay in MongoDB."""

    tick: int = Field(default=200_000, gt=0)
    trade: int = Field(default=200_000, gt=0)
    book: int = Field(default=20_000, gt=0)
    feed: int = Field(default=10_000, gt=0)
    dead: int = Field(default=10_000, gt=0)
    events: int = Field(default=10_000, gt=0, description="events and fills kept when MongoDB has them")


class Risk(_Part):
    """What an account may do at most."""

    contracts: tuple[str, ...] = ()
    max_notional: dict[str, Decimal] = Field(
        default_factory=dict, description="largest value of one order, by quote currency"
    )
    max_position: dict[str, Decimal] = Field(
        default_factory=dict, description="most of a base currency held after an order"
    )
    price_band: Decimal | None = Field(default=None, gt=0, description="part of the last price, e.g. 0.1")
    max_tick_age: Decimal | None = Field(default=None, gt=0, description="seconds; an older tick is no price")
    max_open_orders: Decimal | None = Field(default=None, gt=0)
    orders_per_minute: Decimal | None = Field(default=None, gt=0)
    duplicate_window: Decimal | None = Field(default=None, gt=0, description="seconds")

    @field_validator("contracts")
    @classmethod
    def _canonical(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Contract.parse(name)) for name in names)

    @property
    def limits(self) -> Limits:
        """The rules as the router applies them."""
        fields = self.model_dump()
        return Limits(frozenset(fields.pop("contracts")), **fields)


class AccountConfig(_Part):
    """One account to route."""

    mode: Literal["paper", "live"] = "paper"
    risk: Risk = Risk()


class RouterConfig(_Part):
    """How the router works."""

    workers: int = Field(default=64, ge=1, le=256, description="venue calls under way at once")
    ttl_ms: int = Field(default=30_000, gt=0, description="age at which a place is denied, unless it says otherwise")
    lease_ms: int = Field(default=3_000, ge=20, description="how long a lease holds without renewal")
    request_timeout: float = Field(default=10.0, gt=0, description="seconds before a venue call counts as unanswered")
    poll_interval: float = Field(default=5.0, gt=0, description="seconds between two looks at open orders")
    egress: str = Field(
        default="local",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        description="name of the address that venues see; routers that share one share its limits",
    )
    reconcile_interval: float = Field(default=30.0, gt=0, description="seconds between two comparisons with the venue")
    reconcile_hours: float = Field(default=24.0, gt=0, description="how far the comparison at start looks back")
    outbox_warn: int = Field(default=50_000, gt=0, description="events waiting for MongoDB at which an alarm is given")
    outbox_deny: int = Field(default=200_000, gt=0, description="the same at which places are denied")
    seen_days: float = Field(default=7.0, gt=0, description="how long command ids are remembered")


class Recorder(_Part):
    """What a collector does when a sink is away."""

    queue: int = Field(default=20_000, ge=100, description="records that wait in memory for a sink at most")
    spill_mb: int = Field(default=1024, ge=1, description="megabytes on disk for each sink, when memory is full")
    give_up: Literal["oldest", "newest"] = Field(default="oldest", description="what goes when the disk's part is full")
    backfill: bool = Field(default=True, description="read by REST what a gap left out")


class Archive(_Part):
    """When records leave their documents for column chunks, and how long they are kept."""

    enabled: bool = True
    hot_hours: float = Field(default=24.0, gt=0, description="younger records stay documents")
    wait_hours: float = Field(default=24.0, ge=0, description="how much longer those that fill no chunk stay")
    every_seconds: float = Field(default=30.0, gt=0, description="between two looks")
    keep_days: dict[Literal["tick", "trade", "book", "bar"], float] = Field(
        default_factory=dict, description="older records of that kind are removed for good; the others are kept"
    )

    @field_validator("keep_days")
    @classmethod
    def _some_days(cls, days: dict[str, float]) -> dict[str, float]:
        for kind, number in days.items():
            if number <= 0:
                raise ValueError(f"{kind}: {number} days would keep nothing")
        return days


class Config(_Part):
    """All of `tickrouter.yaml`."""

    data: Path = Field(default=Path("data"), description="folder for state, logs and the embedded servers")
    servers: Servers = Servers()
    venues: dict[str, Venue] = Field(default_factory=dict)
    record: Recording = Recording()
    recorder: Recorder = Recorder()
    streams: Streams = Streams()
    archive: Archive = Archive()
    accounts: dict[str, AccountConfig] = Field(default_factory=dict)
    router: RouterConfig = RouterConfig()
    key_file: Path = Path("keys.yaml")
    id_mark: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8}$",
        description="eight hex digits with which our client order ids begin; by default made of the account",
    )
    alarm_url: str | None = Field(default=None, repr=False)
    metrics_ports: dict[Literal["collector", "router", "archiver"], int] = Field(
        default_factory=dict, description="loopback port of each service's Prometheus metrics; none is served without"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    _file: Path = PrivateAttr(default=Path(DEFAULT_FILE))
    _cards: dict[str, Card] = PrivateAttr(default_factory=dict)

    @field_validator("accounts")
    @classmethod
    def _account_names(cls, accounts: dict[str, AccountConfig]) -> dict[str, AccountConfig]:
        for name in accounts:
            Account.parse(name)
        return accounts

    @property
    def file(self) -> Path:
        """The file it was read from."""
        return self._file

    @property
    def data_folder(self) -> Path:
        """Folder for state, logs and the embedded servers, absolute."""
        return self._beside(self.data).resolve()

    @property
    def redis_url(self) -> str:
        return os.environ.get("REDIS_URL") or self.servers.redis_url

    @property
    def orders_redis_url(self) -> str:
        return os.environ.get("ORDERS_REDIS_URL") or self.servers.orders_redis_url or self.redis_url

    @property
    def mongo_url(self) -> str:
        return os.environ.get("MONGO_URL") or self.servers.mongo_url

    def card(self, venue: str) -> Card:
        """The venue's card, with the addresses that this configuration replaces.

        Raises:
            ConfigError: no such venue, or its card is wrong.
        """
        if venue not in self._cards:
            if venue not in self.venues:
                known = ", ".join(sorted(self.venues)) or "none"
                raise ConfigError(f"{self._file}: venues: no venue {venue!r}; there are: {known}")
            entry = self.venues[venue]
            self._cards[venue] = load_card(self._beside(entry.card)).with_hosts(
                {str(name): url for name, url in entry.hosts.items()}
            )
        return self._cards[venue]

    def is_local(self, venue: str) -> bool:
        """True if orders for the venue stay on this machine: the simulator, or a proxy to it."""
        return urlsplit(self.card(venue).hosts.private).hostname in _LOCAL

    def keys(self, account: Account) -> Keys:
        """The account's keys, from the environment or the key file.

        Raises:
            ConfigError: missing, or the file can be read by others.
        """
        return load_keys(self._beside(self.key_file), account)

    def _beside(self, path: Path) -> Path:
        return path if path.is_absolute() else self._file.parent / path


@dataclass(frozen=True, slots=True)
class Keys:
    """An account's keys; `SecretStr` keeps them out of logs, events and traces."""

    public_key: SecretStr
    private_key: SecretStr
    socket_public_key: SecretStr | None = None
    socket_private_key: SecretStr | None = None

    @property
    def rest(self) -> tuple[str, str]:
        """Public and private key for REST, in the clear: for the signer only."""
        return self.public_key.get_secret_value(), self.private_key.get_secret_value()

    @property
    def socket(self) -> tuple[str, str] | None:
        """The same for the private socket, or None where there are none."""
        if self.socket_public_key is None or self.socket_private_key is None:
            return None
        return self.socket_public_key.get_secret_value(), self.socket_private_key.get_secret_value()


_KEY_FIELDS = ("public_key", "private_key", "socket_public_key", "socket_private_key")


def key_variable(account: Account, field: str) -> str:
    """Name of the environment variable that holds one key: `TICKROUTER_BTCTURK_MAIN_PUBLIC_KEY`."""
    return f"TICKROUTER_{account.venue}_{account.name}_{field}".upper().replace("-", "_")


def load_keys(path: Path, account: Account) -> Keys:
    """Keys from the environment, else from a key file of mode 600.

    Raises:
        ConfigError: missing, unreadable, or the file can be read by others.
    """
    found = {field: os.environ.get(key_variable(account, field), "") for field in _KEY_FIELDS}
    if not found["public_key"] and path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path}: has mode {mode:o}, others can read it; run: chmod 600 {path}")
        try:
            entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError):
            raise ConfigError(f"{path}: cannot be read as YAML") from None
        entry = entries.get(str(account)) if isinstance(entries, dict) else None
        if isinstance(entry, dict):
            found |= {field: str(entry.get(field) or "") for field in _KEY_FIELDS}
    for field in ("public_key", "private_key"):
        if not found[field]:
            raise ConfigError(
                f"no {field} for account {account}: write it to {path} or set {key_variable(account, field)}"
            )
    return Keys(
        SecretStr(found["public_key"]),
        SecretStr(found["private_key"]),
        SecretStr(found["socket_public_key"]) if found["socket_public_key"] else None,
        SecretStr(found["socket_private_key"]) if found["socket_private_key"] else None,
    )


def find_config(given: Path | None = None) -> Path:
    """The file to read: the one given, `TICKROUTER_CONFIG`, `tickrouter.yaml` here, or `configs/tickrouter.yaml`.

    Raises:
        ConfigError: there is none.
    """
    if given is not None:
        return given
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    for name in ("tickrouter.yaml", DEFAULT_FILE):
        if Path(name).exists():
            return Path(name)
    raise ConfigError("no tickrouter.yaml here; run `tickrouter init`, or name one with --config")


def load_config(path: Path) -> Config:
    """Read and check a configuration and every card that it names.

    Raises:
        ConfigError: names file, key, what was found and what is allowed.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; run `tickrouter init` to make one") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {error}") from error
    try:
        config = Config.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(explain(path, error)) from error
    except TickrouterError as error:
        raise ConfigError(f"{path}: {error}") from error
    config._file = path
    for venue in config.venues:
        config.card(venue)
    for name in (*config.accounts, *config.record.contracts):
        venue = name.partition("/")[0]
        if venue not in config.venues:
            raise ConfigError(f"{path}: {name}: its venue {venue!r} is not among venues: {', '.join(config.venues)}")
    return config
