"""What a simulated venue is started with."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tickrouter.errors import ConfigError

from .accounts import ALL_SCOPES, Keys
from .pairs import CURRENCIES
from .signatures import STAMP_TOLERANCE_MS

DEMO_BALANCES: Mapping[str, Decimal] = {
    "BTC": Decimal(10),
    "ETH": Decimal(100),
    "USDT": Decimal(1_000_000),
    "TRY": Decimal(40_000_000),
}


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """An account and what it begins with; balances of a ledger found at the start win over these."""

    keys: Keys
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(DEMO_BALANCES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A simulated venue.

    Attributes:
        data: folder of the ledger; a venue started again on it goes on.
        host: loopback address to listen on.
        port: of REST and socket; 0 for a free one, which the ready line names.
        control_port: of the control calls; 0 for a free one.
        market: `generated`, `live`, `none`, or paths of recorded files, separated by commas.
        seed: of the generated order flow.
        speed: how much faster than real time a generated or recorded market runs; 0 is as fast as clients take it.
        waits: whether a generated market faster than real time waits for clients that are behind; one that does not
            leaves them what `socket_buffer` holds.
        live_host: address of the live venue's socket; "" for the public one.
        hold_market: the market waits for the control call `POST /market {"running": true}`.
        accounts: the clients.
        limits: whether requests are limited.
        stamp_tolerance_ms: by which a request's stamp may differ from the venue's clock.
        latency_ms: spent on each private request, half of it before and half after executing.
        cancel_latency_ms: from the acceptance of a cancel to its effect.
        book_interval_ms: pace of tickers and full books on the socket.
        record_frames: keep every trade sent, in a file, for the control call `GET /trades`, and when each market frame
            was sent, in `frames.jsonl`.
        socket_buffer: bytes that may wait for a slow client before its socket is dropped.
        ping_interval: seconds between two ping frames.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    market: str = "generated"
    seed: int = 1
    speed: float = 1.0
    waits: bool = True
    live_host: str = ""
    hold_market: bool = False
    accounts: tuple[AccountSettings, ...] = ()
    limits: bool = True
    stamp_tolerance_ms: int = STAMP_TOLERANCE_MS
    latency_ms: float = 0.0
    cancel_latency_ms: float = 5.0
    book_interval_ms: float = 750.0
    record_frames: bool = False
    socket_buffer: int = 32 * 1024 * 1024
    ping_interval: float = 20.0

    def to_json(self) -> str:
        """All of it as JSON, private keys included: the file that holds it is for its owner only."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote; fields may be left out.

        Raises:
            ConfigError: names what is wrong.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            fields["data"] = Path(fields["data"])
            fields["accounts"] = tuple(_account(entry) for entry in fields.get("accounts", ()))
            settings = cls(**fields)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(f"simulator settings: {type(error).__name__}: {error}") from error
        return settings


def _account(entry: Mapping[str, Any]) -> AccountSettings:
    keys = dict(entry["keys"])
    keys["scopes"] = tuple(keys.get("scopes", ALL_SCOPES))
    balances = {symbol: Decimal(amount) for symbol, amount in entry.get("balances", DEMO_BALANCES).items()}
    unknown = set(balances) - set(CURRENCIES)
    if unknown:
        raise ConfigError(f"simulator settings: no currency {', '.join(sorted(unknown))}")
    return AccountSettings(Keys(**keys), balances)


def demo_keys() -> Keys:
    """New keys of the venue's form: public keys are GUIDs, private keys base64 of 32 random bytes."""
    return Keys(str(uuid.uuid4()), _private_key(), str(uuid.uuid4()), _private_key())


def demo_account(keys: Keys | None = None) -> AccountSettings:
    """A paper-trading account with money in every currency; new keys unless some are given."""
    return AccountSettings(keys or demo_keys())


def _private_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
