"""Clients' accounts: keys, what they may do, and balances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal

from .pairs import CURRENCIES
from .text import plain

MAKER_FEE = Decimal("0.0005")
TAKER_FEE = Decimal("0.0009")
"""Rates as ccxt lists them (BTCTurk reference, section 7)."""
TAX_ON_FEE = Decimal("0.2")
"""Ratio of tax to fee in the trade message of October 2024 (BTCTurk reference, section 4.4, #591)."""
TAKER_COST = 1 + TAKER_FEE * (1 + TAX_ON_FEE)
"""What a buyer pays at most for a value of 1: a buy locks this much."""
_PLACES = Decimal("0.00000001")

Scope = Literal["funds", "trade", "account"]
ALL_SCOPES: tuple[Scope, ...] = ("funds", "trade", "account")


def charges(value: Decimal, liquidity: Literal["maker", "taker"]) -> tuple[Decimal, Decimal]:
    """Fee and tax on a trade's value, cut to 8 places, so that what was locked always covers them."""
    rate = MAKER_FEE if liquidity == "maker" else TAKER_FEE
    fee = (value * rate).quantize(_PLACES, ROUND_DOWN)
    return fee, (fee * TAX_ON_FEE).quantize(_PLACES, ROUND_DOWN)


@dataclass(slots=True)
class Wallet:
    """One currency: what is free, and what orders hold."""

    free: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class Keys:
    """The two pairs of keys of an account: one for REST, one for the socket's login. Private keys are base64."""

    public_key: str
    private_key: str
    socket_public_key: str
    socket_private_key: str
    scopes: tuple[Scope, ...] = ALL_SCOPES


@dataclass(slots=True)
class Account:
    """A client: user number, keys, wallets."""

    id: int
    keys: Keys
    wallets: dict[str, Wallet] = field(default_factory=lambda: {symbol: Wallet() for symbol in CURRENCIES})

    def rows(self, time_ms: int) -> list[dict[str, Any]]:
        """Its balances as `users/balances` gives them."""
        return [
            {
                "asset": symbol,
                "assetname": CURRENCIES[symbol].name,
                "balance": plain(wallet.total),
                "locked": plain(wallet.locked),
                "free": plain(wallet.free),
                "orderFund": plain(wallet.locked),
                "requestFund": "0",
                "precision": CURRENCIES[symbol].precision,
                "timestamp": time_ms,
            }
            for symbol, wallet in self.wallets.items()
        ]


class Accounts:
    """All accounts, by user number and by key."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._by_id: dict[int, Account] = {}
        self._by_key: dict[str, Account] = {}
        self._by_socket_key: dict[str, Account] = {}
        for account in accounts:
            self.add(account)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_id.values())

    def add(self, account: Account) -> None:
        self._by_id[account.id] = account
        self._by_key[account.keys.public_key] = account
        self._by_socket_key[account.keys.socket_public_key] = account

    def get(self, account_id: int) -> Account:
        return self._by_id[account_id]

    def of_key(self, public_key: str) -> Account | None:
        """The account of a REST key."""
        return self._by_key.get(public_key)

    def of_socket_key(self, public_key: str) -> Account | None:
        """The account of a WebSocket key."""
        return self._by_socket_key.get(public_key)
