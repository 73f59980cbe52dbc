"""Reading streams from a point on: market records, events, fills."""

from __future__ import annotations

from typing import Any, NamedTuple

from redis.exceptions import RedisError

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.order_store import read_order
from tickrouter.errors import InvalidValue, StorageError, Unreadable
from tickrouter.model.account import Account, Balance
from tickrouter.model.fields import int64
from tickrouter.model.money import decimal_of
from tickrouter.model.order import Order

EntryId = tuple[int, int]
"""An entry id as two numbers: (ms, n) in a market stream, (epoch, seq) in events and fills."""

START: EntryId = (0, 0)
"""Before every entry."""


class Entry(NamedTuple):
    """One stream entry: its id, and the bytes of its field `d` (empty where it has none)."""

    id: EntryId
    data: bytes


def id_text(entry_id: EntryId) -> str:
    """`(1, 57)` as Redis writes it: `1-57`."""
    return f"{entry_id[0]}-{entry_id[1]}"


def parse_id(field: str, text: str) -> EntryId:
    """Read `<number>-<number>`.

    Raises:
        InvalidValue: another form, or a number beyond 64 bits.
    """
    first, dash, second = text.partition("-") if isinstance(text, str) else ("", "", "")
    if not dash or not all(part.isascii() and part.isdigit() for part in (first, second)):
        raise InvalidValue(field, f"{text!r} is not <epoch>-<seq>, e.g. '1-57'; '0-0' stands before everything")
    entry_id = (int(first), int(second))
    if max(entry_id) >= 1 << 64:
        raise InvalidValue(field, f"{text!r}: a number of an entry id has at most 64 bits")
    return entry_id


def read_after(
    redis: Redis, key: str, after: EntryId, *, count: int = 1000, block_ms: int | None = None
) -> list[Entry]:
    """The next entries of a stream, in order; empty if there are none.

    Args:
        redis: where the stream is.
        key: the stream.
        after: id of the last entry already read.
        count: most entries at once.
        block_ms: how long to wait for one, in ms; None does not wait. Has to be below the connection's timeout.

    Raises:
        StorageError: Redis did not answer.
    """
    try:
        answer: Any = redis.xread({key: id_text(after)}, count=count, block=block_ms)
    except RedisError as error:
        raise StorageError(f"Redis: reading {key}: {error}") from error
    return entries_of(answer[0][1]) if answer else []


def read_before(redis: Redis, key: str, before: EntryId | None = None, *, count: int = 1000) -> list[Entry]:
    """The entries before a point (None: the stream's end), newest first.

    Raises:
        StorageError: Redis did not answer.
    """
    limit = "+" if before is None else f"({id_text(before)}"
    try:
        return entries_of(redis.xrevrange(key, limit, "-", count=count))
    except RedisError as error:
        raise StorageError(f"Redis: reading {key}: {error}") from error


def first_entry(redis: Redis, key: str) -> Entry | None:
    """The oldest entry that the stream still holds.

    Raises:
        StorageError: Redis did not answer.
    """
    try:
        found = entries_of(redis.xrange(key, "-", "+", count=1))
    except RedisError as error:
        raise StorageError(f"Redis: reading {key}: {error}") from error
    return found[0] if found else None


def last_entry(redis: Redis, key: str) -> Entry | None:
    """The newest entry, or None if the stream is empty.

    Raises:
        StorageError: Redis did not answer.
    """
    found = read_before(redis, key, count=1)
    return found[0] if found else None


def read_balances(redis: Redis, account: Account) -> dict[str, Balance]:
    """The account's last snapshot by currency, in lower case; empty before the router has read one.

    Raises:
        StorageError: Redis did not answer.
        Unreadable: a value is no msgpack map.
        InvalidValue: a number in it is none.
    """
    key = AccountKeys(str(account)).balance
    try:
        snapshot: Any = redis.hgetall(key)
    except RedisError as error:
        raise StorageError(f"Redis: reading {key}: {error}") from error
    return {currency.decode(): balance_of(currency.decode(), data) for currency, data in sorted(snapshot.items())}


def find_order(redis: Redis, account: Account, client_oid: str) -> Order | None:
    """An order as the journal has it, or None where it has none (any more).

    Raises:
        StorageError: Redis did not answer.
        Unreadable: the hash holds something else.
    """
    try:
        return read_order(redis, str(account), client_oid)
    except RedisError as error:
        raise StorageError(f"Redis: reading the order {client_oid}: {error}") from error
    except (InvalidValue, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the journal of the order {client_oid}: {error!r}") from error


def is_queued(redis: Redis, account: Account, client_oid: str) -> bool:
    """True if a command that names this client id still stands in the queue, for a router to admit.

    Raises:
        StorageError: Redis did not answer.
    """
    key, position = AccountKeys(str(account)).orders, START
    while entries := _read_range(redis, key, position):
        if any(client_oid.encode() in entry.data for entry in entries):
            return True
        position = entries[-1].id
    return False


def _read_range(redis: Redis, key: str, after: EntryId) -> list[Entry]:
    try:
        return entries_of(redis.xrange(key, f"({id_text(after)}", "+", count=1000))
    except RedisError as error:
        raise StorageError(f"Redis: reading {key}: {error}") from error


def balance_of(currency: str, data: bytes) -> Balance:
    """One value of the balance hash.

    Raises:
        Unreadable: no msgpack map.
        InvalidValue: a number in it is none.
    """
    fields = unpack_map(data)
    total, free, locked = (decimal_of(f"balance.{name}", fields.get(name)) for name in ("total", "free", "locked"))
    return Balance(currency, total, free, locked, int64("balance.time", fields.get("time")))


def entries_of(rows: Any) -> list[Entry]:
    """Rows as the Redis client hands them out, as entries."""
    return [Entry(_id_of(entry_id), (fields or {}).get(b"d", b"")) for entry_id, fields in rows]


def _id_of(raw: bytes) -> EntryId:
    first, _, second = raw.partition(b"-")
    return int(first), int(second)
