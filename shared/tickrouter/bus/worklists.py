"""What a router finds in Redis: the queue, the work lists of the journal, and what Redis knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hiredis
from redis.exceptions import RedisError

from tickrouter.bus.balances import agreed_of
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis, node_of, storage_errors
from tickrouter.bus.direct import Direct
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.order_store import read_order
from tickrouter.core.balances import Base
from tickrouter.model.event import Event
from tickrouter.model.order import Order

GROUP = "router"
"""Consumer group and consumer of the queue: a new holder of the lease reads what the last one claimed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the queue."""

    id: str
    data: bytes | None

    @property
    def ms(self) -> int:
        """When Redis took it, ms since 1970 UTC."""
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Meta:
    """What Redis knows of itself and of the account; epoch 0 where it knows nothing.

    `opened_ms` is when the epoch opened, 0 for the first. What is in the queue from before `known_from_ms` may have
    been admitted and sent by a Redis that forgot it. `taken_up` is the last epoch in which the orders that were open
    at its opening have been taken up.
    """

    epoch: int
    rev: int
    seq: int
    run_id: str
    opened_ms: int
    known_from_ms: int
    taken_up: int


class WorkLists:
    """Reads for one account. Every method raises StorageError where Redis does not answer."""

    def __init__(self, redis: Redis, account: str) -> None:
        self._redis: Any = redis
        self._direct = Direct(redis)
        self.account = account
        self.keys = AccountKeys(account)

    @storage_errors("meta")
    def meta(self) -> Meta:
        """What Redis holds."""
        raw = self._redis.hgetall(self.keys.meta)
        text = {key.decode(): value.decode() for key, value in raw.items()}
        names = ("epoch", "rev", "seq", "opened", "known_from", "taken_up")
        epoch, rev, seq, opened_ms, known_from_ms, taken_up = (int(text.get(name, 0)) for name in names)
        return Meta(epoch, rev, seq, text.get("run_id", ""), opened_ms, known_from_ms, taken_up)

    @storage_errors("run id")
    def run_id(self) -> str:
        """The server's own random name, new with each of its starts."""
        return str(node_of(self._redis, self.keys.meta).info("server")["run_id"])

    @storage_errors("server")
    def known_from_ms(self, now_ms: int) -> int:
        """Since when nobody can have admitted from this server's queue before the epoch that is about to open.

        That is the server's start: whoever routed since would have opened the epoch. A replica that took over has
        seen its former primary's admissions at times we do not know, so for it it is now.
        """
        found = node_of(self._redis, self.keys.meta).info()
        promoted = set(str(found.get("master_replid2", "0"))) != {"0"}
        if promoted or found.get("role") != "master":
            return now_ms
        # Both count whole seconds: it started before the end of that second.
        second = int(found["server_time_usec"]) // 1_000_000 - int(found["uptime_in_seconds"])
        return min(now_ms, (second + 1) * 1000)

    @storage_errors("claim")
    def claim(self, *, pending: bool, count: int = 100, block_ms: int | None = None) -> list[Entry]:
        """Entries of the queue: those claimed before and not admitted, or new ones."""
        start = "0" if pending else ">"
        if not self._direct.is_whole:
            found = self._redis.xreadgroup(GROUP, GROUP, {self.keys.orders: start}, count=count, block=block_ms)
            entries = found[0][1] if found else []
            return [Entry(entry_id.decode(), (fields or {}).get(b"d")) for entry_id, fields in entries]
        block: tuple[str | int, ...] = () if block_ms is None else ("BLOCK", block_ms)
        parts: Any = ("XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", count, *block, "STREAMS", self.keys.orders, start)
        (answer,) = self._direct.exchange(hiredis.pack_command(parts), 1)
        if isinstance(answer, RedisError):
            raise answer
        if not answer:
            return []
        # The newer protocol answers with a map, the older one with a list of pairs.
        ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
        return [Entry(entry_id.decode(), _field_d(fields)) for entry_id, fields in entries]

    @storage_errors("open orders")
    def open_orders(self) -> list[Order]:
        """Every order that is not done."""
        ids = sorted(oid.decode() for oid in self._redis.smembers(self.keys.open))
        found = [read_order(self._redis, self.account, oid) for oid in ids]
        return [order for order in found if order is not None]

    @storage_errors("work")
    def work(self) -> dict[str, bytes]:
        """Commands other than place that have no outcome yet, by id."""
        return {key.decode(): value for key, value in self._redis.hgetall(self.keys.work).items()}

    @storage_errors("watched")
    def watched(self, now: int) -> list[str]:
        """Client ids of NeverPlaced orders that are still looked for at `now`, ns."""
        return [oid.decode() for oid in self._redis.zrangebyscore(self.keys.watch, now // 1_000_000, "+inf")]

    @storage_errors("fill number")
    def fill_seq(self) -> int:
        """Number of the last fill published in this epoch."""
        return int(self._redis.hget(self.keys.meta, "fill_seq") or 0)

    @storage_errors("agreed balances")
    def agreed(self, epoch: int) -> dict[str, Base]:
        """Totals on which venue and journal agreed in this epoch, by currency."""
        return agreed_of(self._redis.hgetall(self.keys.agreed), epoch)

    @storage_errors("fills")
    def fills_after(self, epoch: int, seq: int) -> list[Event] | None:
        """Fills of this epoch behind a number; None if the stream begins later than that."""
        rows = self._redis.xrange(self.keys.fills, f"{epoch}-{seq + 1}", "+")
        events = [Event.from_wire(unpack_map(fields[b"d"])) for _, fields in rows]
        numbers = [event.fill.seq for event in events if event.fill is not None]
        return events if not numbers or numbers[0] == seq + 1 else None

    @storage_errors("client oid")
    def client_oid(self, exchange_oid: str) -> str | None:
        """The client id that an exchange id belongs to."""
        found = self._redis.hget(self.keys.xoid, exchange_oid)
        return found.decode() if found else None


def _field_d(fields: list[bytes] | None) -> bytes | None:
    """The value of field `d` in an entry's flat list; None where it has none, or was deleted meanwhile."""
    found = fields or []
    return dict(zip(found[::2], found[1::2], strict=False)).get(b"d")
