"""Writing one contract's market streams: one Lua call a batch, under a lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import hiredis
import msgspec
from redis.exceptions import NoScriptError, RedisError, ResponseError

from tickrouter.bus.codec import pack_record
from tickrouter.bus.connection import Redis
from tickrouter.bus.direct import Call, Direct
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.lease import Lease
from tickrouter.bus.scripts import Script
from tickrouter.bus.subscribe import read_after
from tickrouter.core.entry_ids import EntryId, text_of
from tickrouter.errors import LeaseLost, RedisForgot, StorageError, StreamConflict
from tickrouter.model.record import Record

_PUBLISH = Script("publish")
ALIVE = "alive"
"""Field of `through:{contract}`: the writer's last sign of life, ns."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One record on its way: kind, id, and the msgpack of its short list."""

    kind: str
    id: EntryId
    data: bytes


class Row(Protocol):
    """A record of a batch, not packed yet; without an id it has no place in a stream, and is passed over."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> EntryId | None: ...
    @property
    def record(self) -> Record: ...


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a batch.

    Attributes:
        stored: entries that stand in their streams, those that stood there before included.
        repeated: those of them that stood there before.
        conflict: why the entry behind them was refused, or None where all are stored. The rest was not tried.
    """

    stored: int
    repeated: int
    conflict: StreamConflict | None = None


class Publisher:
    """The only writer of a contract's streams, as long as it holds the lease."""

    def __init__(
        self,
        redis: Redis,
        contract: str,
        limits: Mapping[str, int],
        *,
        lease_ms: int = 2000,
        prefix: str = "",
        quick: Redis | None = None,
    ) -> None:
        """Set up; nothing is sent.

        Args:
            redis: a client that retries nothing by itself.
            contract: canonical name.
            limits: entries kept, by kind; only these kinds can be written.
            lease_ms: how long the lease holds without a write or a renewal.
            prefix: sets a replay apart from the live data.
            quick: a client for `publish_together`, with a short timeout; None takes the other one.
        """
        self.contract = contract
        self._redis = redis
        self._way = _way(redis)
        self._quick = _way(quick) if quick is not None else self._way
        self._keys = MarketKeys(contract, prefix)
        self._lease = Lease(redis, self._keys.lease, lease_ms)
        self._kinds = {kind: b"%d" % number for number, kind in enumerate(limits, 1)}
        self._packed_kinds = {kind: b"$%d\r\n%b\r\n" % (len(text), text) for kind, text in self._kinds.items()}
        self._stream_keys = [self._keys.stream(kind) for kind in limits]
        self._stream_args: list[Any] = [value for item in limits.items() for value in item]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can be written."""
        return tuple(self._kinds)

    def acquire(self) -> bool:
        """Take the lease if nobody holds it.

        Raises:
            StorageError: Redis did not answer.
        """
        try:
            _PUBLISH.load(self._redis)
            return self._lease.acquire()
        except RedisError as error:
            raise StorageError(f"Redis: lease of {self.contract}: {error}") from error

    def release(self) -> None:
        """Give the lease up, if it is still ours.

        Raises:
            StorageError: Redis did not answer.
        """
        try:
            self._lease.release()
        except RedisError as error:
            raise StorageError(f"Redis: lease of {self.contract}: {error}") from error

    def last_ids(self) -> dict[str, EntryId]:
        """The highest id that each stream ever held; kinds without a stream are left out.

        Raises:
            StorageError: Redis did not answer.
        """
        found: dict[str, EntryId] = {}
        for kind, key in zip(self._kinds, self._stream_keys, strict=True):
            try:
                raw = self._redis.xinfo_stream(key)["last-generated-id"]
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise StorageError(f"Redis: {key}: {error}") from error
                continue
            except RedisError as error:
                raise StorageError(f"Redis: {key}: {error}") from error
            ms, _, n = (raw.decode() if isinstance(raw, bytes) else str(raw)).partition("-")
            found[kind] = int(ms), int(n)
        return found

    def told(self) -> dict[str, str]:
        """The fields of `through:{contract}`, as the collector that wrote last left them.

        Raises:
            StorageError: Redis did not answer.
        """
        try:
            found: Any = self._redis.hgetall(self._keys.through)
        except RedisError as error:
            raise StorageError(f"Redis: {self._keys.through}: {error}") from error
        return {name.decode(): value.decode(errors="replace") for name, value in found.items()}

    def read_after(self, kind: str, after: EntryId, count: int) -> list[Entry]:
        """What stands in a stream behind an id, in order, at most `count` entries.

        Raises:
            StorageError: Redis did not answer.
        """
        found = read_after(self._redis, self._keys.stream(kind), after, count=count)
        return [Entry(kind, entry.id, entry.data) for entry in found]

    def publish(self, entries: Sequence[Entry], through: Mapping[str, str] | None = None) -> Published:
        """Write a batch in order and renew the lease; an empty batch renews it alone.

        Args:
            entries: of this contract, in the order of their ids within each kind.
            through: other sinks' fields for `through:{contract}`, e.g. `mongo:tick` to an id.

        Raises:
            LeaseLost: another's token, or none, is in the lease; nothing was written.
            RedisForgot: the server does not know the script: it was restarted or replaced; nothing was written.
            StorageError: Redis did not answer (the batch may or may not be stored; sending it again is harmless),
                or refused an entry.
        """
        try:
            answer = self._way.call(*self.call(entries, through or {}))
        except RedisError as error:
            raise StorageError(f"Redis: streams of {self.contract}: {error}") from error
        done = self.outcome(answer, lambda: entries)
        if isinstance(done, StorageError):
            raise done
        return done

    def call(self, entries: Sequence[Entry], through: Mapping[str, str]) -> Call:
        """What is to be sent for entries of this contract."""
        args = self._arguments(through)
        for entry in entries:
            args += (self._kinds[entry.kind], text_of(entry.id), entry.data)
        return _PUBLISH, [self._keys.lease, self._keys.through, *self._stream_keys], args

    def packed(self, rows: Sequence[Row], through: Mapping[str, str]) -> bytes:
        """The same as bytes on the wire: its entries are written here, for a packer looks at each part of them anew."""
        pieces: list[bytes] = []
        # What stands before n is the same for records of one kind that came together.
        stem, stem_kind, stem_ms, lowest, beyond = b"", "", -1, 0, 0
        for row in rows:
            if (entry_id := row.id) is None:
                continue
            (ms, n), data, kind = entry_id, pack_record(row.record), row.kind
            if kind != stem_kind or ms != stem_ms or not lowest <= n < beyond:
                digits = len(str(n))
                stem_kind, stem_ms, lowest, beyond = kind, ms, 10 ** (digits - 1) if n else 0, 10**digits
                stem = b"%b$%d\r\n%d-" % (self._packed_kinds[kind], len(str(ms)) + 1 + digits, ms)
            pieces.append(b"%b%d\r\n$%d\r\n%b\r\n" % (stem, n, len(data), data))
        keys = (self._keys.lease, self._keys.through, *self._stream_keys)
        parts: Any = ("EVALSHA", _PUBLISH.digest, len(keys), *keys, *self._arguments(through))
        head: bytes = hiredis.pack_command(parts)
        return b"".join((b"*%d\r\n" % (len(parts) + 3 * len(pieces)), head[head.index(b"\n") + 1 :], *pieces))

    def unpacked(self, packed: bytes) -> list[Entry]:
        """The entries of a packed command."""
        reader = hiredis.Reader()
        reader.feed(packed)
        parts: Any = reader.gets()
        fields = 3 + int(parts[2]) + 2
        at = fields + 1 + 2 * int(parts[fields]) + len(self._stream_args)
        kinds = {number: kind for kind, number in self._kinds.items()}
        entries = []
        for kind, entry_id, data in zip(parts[at::3], parts[at + 1 :: 3], parts[at + 2 :: 3], strict=True):
            ms, _, n = entry_id.partition(b"-")
            entries.append(Entry(kinds[kind], (int(ms), int(n)), data))
        return entries

    def _arguments(self, through: Mapping[str, str]) -> list[Any]:
        """All that stands before the entries."""
        args: list[Any] = [self._lease.token, self._lease.milliseconds, len(through)]
        for item in through.items():
            args += item
        return args + self._stream_args

    def outcome(self, answer: Any, entries: Callable[[], Sequence[Entry]]) -> Published | StorageError:
        """What the answer to a call says; its entries are asked for where one was refused."""
        if isinstance(answer, RedisError):
            return StorageError(f"Redis: streams of {self.contract}: {answer}")
        outcome, stored, repeated, text = answer[0], int(answer[1]), int(answer[2]), answer[3].decode(errors="replace")
        done = stored + repeated
        if outcome == b"DONE":
            return Published(done, repeated)
        if outcome == b"LEASE":
            return LeaseLost(f"lease of {self.contract} is not ours any more")
        entry = entries()[done]
        refused = f"{self.contract}: {entry.kind} {text_of(entry.id)}"
        if outcome == b"CONFLICT":
            return Published(done, repeated, StreamConflict(f"{refused} was refused, and {text}"))
        return StorageError(f"Redis refused {refused}: {text}")

    @property
    def quick(self) -> Direct:
        """The way of `publish_together`."""
        return self._quick

    @property
    def patient(self) -> Direct:
        """The way of all else."""
        return self._way

    def load(self) -> None:
        """Make the server know the script again, after `RedisForgot`.

        Raises:
            StorageError: Redis did not answer.
        """
        try:
            _PUBLISH.load(self._redis)
        except RedisError as error:
            raise StorageError(f"Redis: {error}") from error


@dataclass(frozen=True)
class Batch:
    """A contract's publisher, rows for it, and fields of other sinks."""

    publisher: Publisher
    rows: Sequence[Row]
    through: Mapping[str, str]

    @cached_property
    def packed(self) -> bytes:
        """The whole call as bytes on the wire, under the lease of the moment when it is first asked for: all that has
        to be kept of the rows to write them again."""
        return self.publisher.packed(self.rows, self.through)

    def entries(self) -> list[Entry]:
        """The rows as entries."""
        return self.publisher.unpacked(self.packed)


def publish_together(batches: Sequence[Batch], *, is_quick: bool = True) -> list[Published | StorageError]:
    """Write batches of different contracts of one server in one write: what became of each.

    Args:
        batches: a contract's own each.
        is_quick: with the short timeout.

    Raises:
        RedisForgot: as `Publisher.publish`; nothing was written.
        StorageError: not every answer came; any of them may be stored, and sending them again is harmless.
    """
    way = batches[0].publisher.quick if is_quick else batches[0].publisher.patient
    try:
        if way.is_whole:
            answers = way.exchange(b"".join([batch.packed for batch in batches]), len(batches))
        else:
            answers = way.call_all(*[batch.publisher.call(batch.entries(), batch.through) for batch in batches])
    except RedisError as error:
        contracts = ", ".join(batch.publisher.contract for batch in batches)
        raise StorageError(f"Redis: streams of {contracts}: {error}") from error
    if any(isinstance(answer, NoScriptError) for answer in answers):
        raise RedisForgot("the server does not know our scripts: it was restarted or replaced")
    return [batch.publisher.outcome(answer, batch.entries) for batch, answer in zip(batches, answers, strict=True)]


_ways: WeakKeyDictionary[Redis, Direct] = WeakKeyDictionary()


def _way(redis: Redis) -> Direct:
    """The one of a client: a hundred publishers share a thread's connection, they do not take a hundred."""
    return _ways.setdefault(redis, Direct(redis))
