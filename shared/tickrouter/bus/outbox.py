"""The event streams as an outbox: read by the archiver's consumer group, trimmed only behind it."""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError

from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.subscribe import Entry, EntryId, entries_of, id_text
from tickrouter.errors import StorageError
from tickrouter.model.account import Account

GROUP = "archiver"
CONSUMER = "archiver"
"""One name for every run: whoever starts next finds what its predecessor took and did not acknowledge."""


class Outbox:
    """The reading side of `events:{<account>}`.

    Every call raises StorageError when Redis does not answer; each may be repeated.
    """

    def __init__(self, redis: Redis, account: Account) -> None:
        self.redis = redis
        self.keys = AccountKeys(str(account))

    def open(self) -> None:
        """Make the consumer group, from the stream's beginning, where it is missing: at the first start, and after
        Redis was wiped."""
        try:
            self.redis.xgroup_create(self.keys.events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise self._failed("making the group", error) from error
        except RedisError as error:
            raise self._failed("making the group", error) from error

    def pending(self, after: EntryId, count: int = 500) -> list[Entry]:
        """Entries after `after` that were taken and not acknowledged, in order.

        One that was trimmed meanwhile comes with empty data.
        """
        return self._read(id_text(after), count, None)

    def fresh(self, count: int = 500, block_ms: int | None = None) -> list[Entry]:
        """Entries that nobody took yet, in order; waits up to `block_ms` for the first."""
        return self._read(">", count, block_ms)

    def acknowledge(self, entries: list[Entry]) -> None:
        """These are stored."""
        if not entries:
            return
        try:
            self.redis.xack(self.keys.events, GROUP, *(id_text(entry.id) for entry in entries))
        except RedisError as error:
            raise self._failed("acknowledging", error) from error

    def trim(self, events: EntryId | None, fills: EntryId | None, keep: int) -> int:
        """Remove what is stored elsewhere, except for the newest.

        Numbers have no hole within an epoch, so `keep` entries before the last stored one begin at its number less
        `keep`; while an epoch is younger than that, what the epochs before it left is kept too.

        Args:
            events: id up to which every event is stored, None for none.
            fills: the same for the stream of fills.
            keep: how many entries to keep at least.

        Returns:
            How many entries went.
        """
        removed = 0
        for key, stored in ((self.keys.events, events), (self.keys.fills, fills)):
            if stored is None or stored[1] <= keep:
                continue
            try:
                removed += int(self.redis.xtrim(key, minid=f"{stored[0]}-{stored[1] - keep + 1}", approximate=False))
            except RedisError as error:
                raise self._failed("trimming", error) from error
        return removed

    def lag(self) -> int | None:
        """How many events are not acknowledged yet; None where Redis cannot tell."""
        try:
            groups: Any = self.redis.xinfo_groups(self.keys.events)
        except ResponseError:
            return None
        except RedisError as error:
            raise self._failed("asking for the lag", error) from error
        for group in groups:
            if group["name"] == GROUP.encode() and group.get("lag") is not None:
                return int(group["lag"]) + int(group["pending"])
        return None

    def _read(self, after: str, count: int, block_ms: int | None) -> list[Entry]:
        try:
            answer: Any = self.redis.xreadgroup(GROUP, CONSUMER, {self.keys.events: after}, count=count, block=block_ms)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise self._failed("reading", error) from error
            self.open()
            return []
        except RedisError as error:
            raise self._failed("reading", error) from error
        return entries_of(answer[0][1]) if answer else []

    def _failed(self, doing: str, error: RedisError) -> StorageError:
        return StorageError(f"Redis: {self.keys.events}: {doing}: {error}")
