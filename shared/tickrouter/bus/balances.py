"""Balances in Redis: the last snapshot, and the totals that are agreed on. Currency to msgpack map, money as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.core.balances import Base
from tickrouter.model.account import Balance
from tickrouter.model.money import plain


def fields_of(balances: tuple[Balance, ...]) -> list[str | bytes]:
    """Currencies and their maps, one behind the other."""
    return [part for balance in balances for part in (balance.currency, _packed(balance))]


def agreed_fields(bases: Mapping[str, Base], epoch: int) -> list[str | bytes]:
    """Currencies and what is agreed on in this epoch, one behind the other."""
    return [
        part
        for currency, base in bases.items()
        for part in (currency, pack_map({"total": plain(base.total), "epoch": epoch, "fill_seq": base.fill_seq}))
    ]


def agreed_of(raw: Mapping[bytes, bytes], epoch: int) -> dict[str, Base]:
    """What is agreed on in this epoch: the numbers of another say nothing here."""
    found = {currency.decode(): unpack_map(data) for currency, data in raw.items()}
    return {
        currency: Base(Decimal(fields["total"]), fields["fill_seq"])
        for currency, fields in found.items()
        if fields["epoch"] == epoch
    }


def _packed(balance: Balance) -> bytes:
    amounts = {name: plain(getattr(balance, name)) for name in ("total", "free", "locked")}
    return pack_map({**amounts, "time": balance.time})
