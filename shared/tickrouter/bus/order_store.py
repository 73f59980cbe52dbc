"""Orders in the journal, for whoever reads them: anybody may, only the router writes."""

from __future__ import annotations

from typing import Any

from tickrouter.bus import order_hash
from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import AccountKeys
from tickrouter.core.recovery import Findings
from tickrouter.model.order import Order

KEPT_AFTER_FINAL_MS = 7 * 24 * 3600 * 1000
"""How long the hash of a finished order stays once it is copied."""


@storage_errors("order")
def read_order(redis: Redis, account: str, client_oid: str) -> Order | None:
    """An order from the journal, or None where there is none (any more)."""
    return order_hash.from_hash(_hash(redis, account, client_oid))


@storage_errors("order")
def read_history(redis: Redis, account: str, client_oid: str) -> list[str]:
    """What is written behind each step of an order: time in ns, status, what was said; empty where there is none."""
    return order_hash.history(_hash(redis, account, client_oid))


@storage_errors("order")
def read_findings(redis: Redis, account: str, client_oid: str) -> Findings | None:
    """What the passes over an order in doubt found; None if none was made, or the order is not there (any more)."""
    return order_hash.findings_of(_hash(redis, account, client_oid))


@storage_errors("order")
def let_expire(redis: Redis, order: Order) -> None:
    """Let a finished order's hash go in 7 days: only when it is copied, which the caller has seen to."""
    redis.pexpire(AccountKeys(str(order.account)).order(order.client_oid), KEPT_AFTER_FINAL_MS)


def _hash(redis: Any, account: str, client_oid: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = redis.hgetall(AccountKeys(account).order(client_oid))
    return found
