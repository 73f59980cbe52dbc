"""The last snapshot of an account's balances: field = currency, value = msgpack map with money as text."""

from __future__ import annotations

from tickrouter.bus.codec import pack_map
from tickrouter.model.account import Balance
from tickrouter.model.money import plain


def fields_of(balances: tuple[Balance, ...]) -> list[str | bytes]:
    """Currencies and their maps, one behind the other."""
    return [part for balance in balances for part in (balance.currency, _packed(balance))]


def _packed(balance: Balance) -> bytes:
    amounts = {name: plain(getattr(balance, name)) for name in ("total", "free", "locked")}
    return pack_map({**amounts, "time": balance.time})
