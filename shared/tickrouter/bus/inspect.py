"""Looking at Redis without changing it: sizes, newest entries, and whether the server is fit for its work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.keys import AccountKeys, MarketKeys
from tickrouter.bus.subscribe import Entry, EntryId, parse_id, read_before
from tickrouter.errors import StorageError

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a Redis server says of itself; None where it does not say (managed servers hide their configuration).

    Attributes:
        appendonly: True if it writes an append-only file.
        appendfsync: `always`, `everysec` or `no`.
        eviction: its `maxmemory-policy`.
        used: bytes of memory in use.
        limit: bytes of memory that it may use, 0 for no limit.
    """

    version: str
    appendonly: bool | None
    appendfsync: str | None
    eviction: str | None
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class StreamSize:
    """Length of a stream, how many entries were ever added (None if unknown), and its newest id."""

    length: int
    added: int | None
    last: EntryId | None


@dataclass(frozen=True, slots=True)
class AccountSize:
    """How much is in an account's keys.

    Attributes:
        queued: commands not yet admitted.
        open: orders not final, or final with fills pending.
        work: commands other than place under way.
        events: entries of the event stream.
        fills: entries of the fill stream.
        dead: commands that could not be read.
        halt: `run`, `halt:<who>:<why>`, or None before the first start.
        routed: True while a router holds the lease.
    """

    queued: int
    open: int
    work: int
    events: int
    fills: int
    dead: int
    halt: str | None
    routed: bool


def server_facts(redis: Redis) -> ServerFacts:
    """Ask the server.

    Raises:
        StorageError: it does not answer, or refuses INFO.
    """
    try:
        info = redis.info()
        try:
            settings = redis.config_get("appendonly", "appendfsync", "maxmemory-policy")
        except ResponseError:
            settings = {}
    except RedisError as error:
        raise StorageError(f"Redis does not answer: {error}") from error
    known = {_text(key): _text(value) for key, value in settings.items()}
    aof = info.get("aof_enabled")
    return ServerFacts(
        version=str(info.get("valkey_version") or info.get("redis_version") or "?"),
        appendonly=bool(aof) if aof is not None else None,
        appendfsync=known.get("appendfsync"),
        eviction=known.get("maxmemory-policy") or info.get("maxmemory_policy"),
        used=int(info.get("used_memory", 0)),
        limit=int(info.get("maxmemory", 0)),
    )


def life_of(redis: Redis) -> tuple[str, bool]:
    """The server's run id, new with each of its starts, and whether it loses nothing that it ever acknowledged.

    That is so for a server that syncs each write to its disk and was never a replica. One that hides its configuration
    may lose something.

    Raises:
        StorageError: Redis does not answer.
    """
    facts = server_facts(redis)
    with storage_errors("server"):
        info: Any = redis.info()
    promoted = info.get("role") != "master" or set(str(info.get("master_replid2", "0"))) != {"0"}
    return str(info["run_id"]), bool(facts.appendonly and facts.appendfsync == "always" and not promoted)


def stream_size(redis: Redis, key: str) -> StreamSize:
    """How long a stream is; a stream that does not exist has length 0.

    Raises:
        StorageError: Redis does not answer.
    """
    try:
        info = redis.xinfo_stream(key)
    except ResponseError:
        return StreamSize(0, 0, None)
    except RedisError as error:
        raise StorageError(f"Redis does not answer: {error}") from error
    added = info.get("entries-added")
    return StreamSize(
        int(info["length"]),
        int(added) if added is not None else None,
        parse_id("last-generated-id", _text(info["last-generated-id"])),
    )


def market_sizes(redis: Redis, contracts: Iterable[str], kinds: Iterable[str]) -> dict[tuple[str, str], StreamSize]:
    """Sizes by (contract, kind).

    Raises:
        StorageError: Redis does not answer.
    """
    names = [(contract, kind) for contract in contracts for kind in kinds]
    return {
        (contract, kind): stream_size(redis, MarketKeys(contract).stream(kind))
        for contract, kind in dict.fromkeys(names)
    }


def entry_ids(redis: Redis, key: str, *, since_ms: int, limit: int) -> list[EntryId]:
    """Ids of the newest entries that are not older than `since_ms`, at most `limit`, in rising order.

    Raises:
        StorageError: Redis does not answer.
    """
    ids: list[EntryId] = []
    while len(ids) < limit:
        page = read_before(redis, key, ids[-1] if ids else None, count=min(_PAGE, limit - len(ids)))
        new = [entry.id for entry in page if entry.id[0] >= since_ms]
        ids += new
        if len(new) < _PAGE:
            break
    return ids[::-1]


def account_size(redis: Redis, account: str) -> AccountSize:
    """How much is in an account's keys.

    Raises:
        StorageError: Redis does not answer.
    """
    keys = AccountKeys(account)
    with storage_errors("size of an account"):
        pipe = redis.pipeline(transaction=False)
        pipe.xlen(keys.orders)
        pipe.scard(keys.open)
        pipe.hlen(keys.work)
        pipe.xlen(keys.events)
        pipe.xlen(keys.fills)
        pipe.xlen(keys.dead)
        pipe.get(keys.halt)
        pipe.exists(keys.lease)
        queued, open_, work, events, fills, dead, halt, lease = pipe.execute()
    return AccountSize(queued, open_, work, events, fills, dead, _text(halt) if halt is not None else None, bool(lease))


def open_orders(redis: Redis, account: str) -> list[str]:
    """Client ids of the orders that are not final, or final with fills pending.

    Raises:
        StorageError: Redis does not answer.
    """
    try:
        return sorted(_text(oid) for oid in redis.smembers(AccountKeys(account).open))
    except RedisError as error:
        raise StorageError(f"Redis does not answer: {error}") from error


def events_about(redis: Redis, account: str, client_oid: str) -> list[Entry]:
    """Entries of the event stream that name an order, newest first, of those that Redis still holds.

    Raises:
        StorageError: Redis does not answer.
    """
    found: list[Entry] = []
    before: EntryId | None = None
    while page := read_before(redis, AccountKeys(account).events, before, count=_PAGE):
        found += [entry for entry in page if client_oid.encode() in entry.data]
        before = page[-1].id
    return found


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
