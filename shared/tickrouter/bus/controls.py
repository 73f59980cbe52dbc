"""What operators and strategies tell a running router beside the queue: halt, risk rules, signs of life."""

from __future__ import annotations

from typing import Any

from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import AccountKeys

RUN = "run"
"""Value of the halt key while orders may leave."""


@storage_errors("halt")
def set_halt(redis: Redis, account: str, who: str, why: str) -> None:
    """No new order leaves from here on; cancels do.

    Raises:
        StorageError: Redis did not answer.
    """
    redis.set(AccountKeys(account).halt, f"halt:{who.replace(':', ' ')}:{why}")


@storage_errors("halt")
def resume(redis: Redis, account: str) -> None:
    """Orders may leave again.

    Raises:
        StorageError: Redis did not answer.
    """
    redis.set(AccountKeys(account).halt, RUN)


@storage_errors("halt")
def read_halt(redis: Redis, account: str) -> str:
    """`run`, or `halt:<who>:<why>`; a missing key counts as halted.

    Raises:
        StorageError: Redis did not answer.
    """
    value: Any = redis.get(AccountKeys(account).halt)
    return value.decode() if value is not None else "halt:nobody:no word of an operator in Redis"


@storage_errors("risk rules")
def set_risk(redis: Redis, account: str, rule: str, text: str) -> None:
    """Set a rule over the configuration's; the caller has checked it. An empty text lifts the limit.

    Raises:
        StorageError: Redis did not answer.
    """
    redis.hset(AccountKeys(account).risk, rule, text)


@storage_errors("risk rules")
def unset_risk(redis: Redis, account: str, rule: str) -> None:
    """Let the configuration's word count again.

    Raises:
        StorageError: Redis did not answer.
    """
    redis.hdel(AccountKeys(account).risk, rule)


@storage_errors("risk rules")
def read_risk(redis: Redis, account: str) -> dict[str, str]:
    """Rules set over the configuration's.

    Raises:
        StorageError: Redis did not answer.
    """
    raw: Any = redis.hgetall(AccountKeys(account).risk)
    return {rule.decode(): text.decode() for rule, text in raw.items()}


@storage_errors("sign of life")
def show_alive(redis: Redis, account: str, strategy: str, seconds: float) -> None:
    """The strategy is alive for so long.

    Raises:
        StorageError: Redis did not answer.
    """
    redis.set(AccountKeys(account).alive(strategy), 1, px=max(1, int(seconds * 1000)))


@storage_errors("sign of life")
def is_alive(redis: Redis, account: str, strategy: str) -> bool:
    """True while the strategy's last sign of life holds.

    Raises:
        StorageError: Redis did not answer.
    """
    return bool(redis.exists(AccountKeys(account).alive(strategy)))


@storage_errors("outbox")
def outbox_length(redis: Redis, account: str) -> int:
    """Events in Redis: those that MongoDB has not got, and the last ones that it has.

    Raises:
        StorageError: Redis did not answer.
    """
    return int(redis.xlen(AccountKeys(account).events))
