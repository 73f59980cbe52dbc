"""Writing market streams, on a real server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickrouter.bus.connection import Redis, connect
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.publish import Batch, Entry, Published, Publisher, publish_together
from tickrouter.errors import LeaseLost, RedisForgot, StorageError, StreamConflict

LIMITS = {"tick": 1000, "trade": 1000}


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return connect(redis_url)


@pytest.fixture
def contract(unique: str) -> str:
    return f"btcturk/{unique}.try"


@pytest.fixture
def publisher(redis: Redis, contract: str) -> Publisher:
    made = Publisher(redis, contract, LIMITS)
    assert made.acquire()
    return made


def entries(*numbers: int, kind: str = "tick", data: bytes = b"x") -> list[Entry]:
    return [Entry(kind, (1, number), data + str(number).encode()) for number in numbers]


@dataclass(frozen=True)
class _Row:
    """Stands for a record whose msgpack is `data`."""

    kind: str
    id: tuple[int, int] | None
    record: Any

    @classmethod
    def of(cls, entry: Entry) -> _Row:
        return cls(entry.kind, entry.id, msgspec.Raw(entry.data))


def batch(publisher: Publisher, entries: Sequence[Entry], through: dict[str, str] | None = None) -> Batch:
    return Batch(publisher, [_Row.of(entry) for entry in entries], through or {})


def stored(redis: Redis, contract: str, kind: str = "tick") -> list[tuple[bytes, bytes]]:
    return [(entry, fields[b"d"]) for entry, fields in redis.xrange(MarketKeys(contract).stream(kind))]


def test_a_batch_goes_into_its_streams_in_order(redis: Redis, contract: str, publisher: Publisher) -> None:
    found = [*entries(1, 2), *entries(7, kind="trade"), *entries(3)]
    assert publisher.publish(found, {"mongo:tick": "1-1"}) == Published(4, 0)
    assert stored(redis, contract) == [(b"1-1", b"x1"), (b"1-2", b"x2"), (b"1-3", b"x3")]
    assert stored(redis, contract, "trade") == [(b"1-7", b"x7")]
    assert redis.hgetall(MarketKeys(contract).through) == {
        b"redis:tick": b"1-3",
        b"redis:trade": b"1-7",
        b"mongo:tick": b"1-1",
    }
    assert publisher.last_ids() == {"tick": (1, 3), "trade": (1, 7)}
    assert publisher.read_after("tick", (1, 1), 10) == entries(2, 3)
    assert publisher.read_after("trade", (1, 7), 10) == []


def test_the_same_batch_again_is_success_and_stores_nothing_twice(
    redis: Redis, contract: str, publisher: Publisher
) -> None:
    publisher.publish(entries(1, 2))
    assert publisher.publish(entries(1, 2, 3)) == Published(3, 2)
    assert [entry for entry, _ in stored(redis, contract)] == [b"1-1", b"1-2", b"1-3"]


def test_other_bytes_under_an_id_are_a_conflict(redis: Redis, contract: str, publisher: Publisher) -> None:
    publisher.publish(entries(1, 2))
    done = publisher.publish([*entries(1), *entries(2, data=b"y"), *entries(3)])
    assert (done.stored, done.repeated) == (1, 1)
    assert isinstance(done.conflict, StreamConflict)
    assert str(done.conflict) == f"{contract}: tick 1-2 was refused, and other bytes stand there"
    assert [data for _, data in stored(redis, contract)] == [b"x1", b"x2"]


def test_a_refused_id_with_nothing_under_it_is_a_conflict(contract: str, publisher: Publisher) -> None:
    publisher.publish(entries(1, 3))
    done = publisher.publish(entries(2))
    assert str(done.conflict) == f"{contract}: tick 1-2 was refused, and nothing stands there"


def test_an_error_stops_the_batch_there(redis: Redis, contract: str, publisher: Publisher) -> None:
    redis.set(MarketKeys(contract).stream("trade"), "no stream")
    with pytest.raises(StorageError, match="trade 1-7: WRONGTYPE"):
        publisher.publish([*entries(1), *entries(7, kind="trade"), *entries(2)])
    assert [entry for entry, _ in stored(redis, contract)] == [b"1-1"]


def test_only_the_holder_of_the_lease_writes(redis: Redis, contract: str, publisher: Publisher) -> None:
    second = Publisher(redis, contract, LIMITS)
    assert not second.acquire()
    with pytest.raises(LeaseLost):
        second.publish(entries(1))
    publisher.release()
    with pytest.raises(LeaseLost):
        publisher.publish(entries(1))
    assert second.acquire()
    assert second.publish(entries(1)) == Published(1, 0)


def test_writing_renews_the_lease(redis: Redis, contract: str) -> None:
    publisher = Publisher(redis, contract, LIMITS, lease_ms=60_000)
    assert publisher.acquire()
    redis.pexpire(MarketKeys(contract).lease, 5_000)
    publisher.publish([])
    assert redis.pttl(MarketKeys(contract).lease) > 50_000


def test_a_server_that_forgot_the_script_is_noticed(redis: Redis, publisher: Publisher) -> None:
    redis.script_flush()
    with pytest.raises(RedisForgot):
        publisher.publish(entries(1))
    publisher.load()
    assert publisher.publish(entries(1)) == Published(1, 0)


def test_streams_are_trimmed_by_count(redis: Redis, contract: str) -> None:
    publisher = Publisher(redis, contract, {"tick": 100})
    publisher.acquire()
    publisher.publish(entries(*range(1, 1001)))
    assert 100 <= redis.xlen(MarketKeys(contract).stream("tick")) < 300
    assert publisher.last_ids() == {"tick": (1, 1000)}


def test_no_server_is_said() -> None:
    publisher = Publisher(connect("redis://127.0.0.1:1/0"), "btcturk/btc.try", LIMITS)
    for call in (
        publisher.acquire,
        publisher.release,
        publisher.last_ids,
        publisher.load,
        lambda: publisher.publish([]),
    ):
        with pytest.raises(StorageError, match="Redis"):
            call()


ids = st.tuples(st.integers(0, 2**41), st.integers(0, 2**63))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(("tick", "trade")), ids, st.binary())),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_a_batch_is_packed_as_the_driver_would(
    found: list[tuple[str, tuple[int, int], bytes]], through: dict[str, str]
) -> None:
    publisher = Publisher(connect("redis://127.0.0.1:1"), "btcturk/btc.try", LIMITS)
    entries = [Entry(*one) for one in found]
    made = batch(publisher, entries, through)
    script, keys, args = publisher.call(entries, through)
    parts: Any = ("EVALSHA", script.digest, len(keys), *keys, *args)
    assert made.packed == hiredis.pack_command(parts)
    assert made.entries() == entries


def test_what_has_no_id_is_no_entry(publisher: Publisher, redis: Redis, contract: str) -> None:
    rows = [_Row.of(one) for one in entries(1, 2)]
    assert publish_together([Batch(publisher, [_Row("claim", None, None), *rows], {})]) == [Published(2, 0)]
    assert [entry for entry, _ in stored(redis, contract)] == [b"1-1", b"1-2"]


def test_batches_of_several_contracts_go_together_each_with_its_own_outcome(redis: Redis, contract: str) -> None:
    one, other = Publisher(redis, contract, LIMITS), Publisher(redis, f"{contract}.perp", LIMITS)
    assert one.acquire() and not Publisher(redis, contract, LIMITS).acquire()
    done, lost = publish_together([batch(one, entries(1, 2)), batch(other, entries(1))])
    assert done == Published(2, 0) and isinstance(lost, LeaseLost)
    assert other.acquire()
    assert publish_together([batch(one, entries(1, 2)), batch(other, entries(1))]) == [Published(2, 2), Published(1, 0)]
    conflict = batch(one, entries(1, data=b"y"))
    (refused,) = publish_together([conflict])
    assert isinstance(refused, Published) and isinstance(refused.conflict, StreamConflict)
    assert len(stored(redis, contract)) == 2 and len(stored(redis, f"{contract}.perp")) == 1


def test_a_server_that_forgot_the_script_is_noticed_by_batches_too(redis: Redis, publisher: Publisher) -> None:
    redis.script_flush()
    with pytest.raises(RedisForgot):
        publish_together([batch(publisher, entries(1))])
    publisher.load()
    assert publish_together([batch(publisher, entries(1))]) == [Published(1, 0)]


def test_a_hundred_publishers_share_a_threads_connection(redis_url: str, unique: str) -> None:
    redis = connect(redis_url, connections=2)
    publishers = [Publisher(redis, f"btcturk/{unique}{number}.try", LIMITS) for number in range(100)]
    for publisher in publishers:
        assert publisher.acquire()
        assert publisher.publish(entries(1)) == Published(1, 0)
