"""The last snapshot of an account's balances: field = currency, value = msgpack map with money as text."""

from __future__ import annotations

from typing import Any

from tickrouter.bus.codec import pack_map
from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import AccountKeys
from tickrouter.model.account import Balance
from tickrouter.model.money import plain


@storage_errors("balances")
def write_balances(redis: Redis, account: str, balances: tuple[Balance, ...]) -> None:
    """Replace the snapshot.

    Raises:
        StorageError: Redis did not answer.
    """
    fields: dict[Any, Any] = {
        balance.currency: pack_map(
            {
                "total": plain(balance.total),
                "free": plain(balance.free),
                "locked": plain(balance.locked),
                "time": balance.time,
            }
        )
        for balance in balances
    }
    if fields:
        redis.hset(AccountKeys(account).balance, mapping=fields)
