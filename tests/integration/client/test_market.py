"""Ticks and history through the client, over real servers."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.publishing import TIME, CollectorPen
from tests.waiting import until
from tickrouter import Client, Feed, InvalidValue, StorageError, Tick
from tickrouter.history import queries

MS = 1_000_000


def prices(records: Any) -> list[float | str]:
    return [record.price if isinstance(record, Tick) else record.state for record in records]


def test_one_tape_from_history_into_the_stream(client: Client, collector: CollectorPen, contract: str) -> None:
    collector.record(30)
    collector.store(1, 22, through=20)
    collector.trim(15)
    assert prices(client.ticks(contract, since=0, block=0.1)) == list(range(1, 31))
    assert prices(client.ticks(contract, since=TIME + 18 * MS, block=0.1)) == list(range(18, 31))
    assert prices(client.ticks(contract, since=TIME + 27 * MS, block=0.1)) == list(range(27, 31))
    assert prices(client.ticks(contract, block=0.1)) == []


def test_the_tape_goes_on_while_a_collector_writes(client: Client, collector: CollectorPen, contract: str) -> None:
    collector.record(10)
    collector.store(1, 10, through=10)
    seen: list[float | str] = []

    def read() -> None:
        seen.extend(prices(client.ticks(contract, since="2026-08-01T12:00:00Z", block=1.0)))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        collector.record(5)
    reader.join(20)
    assert seen == list(range(1, 111))


def test_a_stream_trimmed_past_history_shows_a_gap(client: Client, collector: CollectorPen, contract: str) -> None:
    collector.record(30)
    collector.store(1, 10, through=10)
    collector.trim(12)
    played = list(client.ticks(contract, since=0, block=0.1))
    gap = played[10]
    assert isinstance(gap, Feed)
    assert (gap.state, gap.contract, gap.kind) == ("gap", contract, "tick")
    assert gap.cause.startswith("8 entries between ")
    assert (gap.since, gap.time) == (TIME + 10 * MS, TIME + 19 * MS)
    assert prices(played) == [*range(1, 11), "gap", *range(19, 31)]


def test_a_stream_that_begins_where_history_ends_is_no_gap(
    client: Client, collector: CollectorPen, contract: str
) -> None:
    collector.record(30)
    collector.store(1, 20)  # and MongoDB has not told yet how far it is
    collector.trim(10)
    assert prices(client.ticks(contract, since=TIME + 21 * MS, block=0.1)) == list(range(21, 31))
    assert prices(client.ticks(contract, since=TIME + 15 * MS, block=0.1)) == list(range(15, 31))
    collector.trim(9)
    assert prices(client.ticks(contract, since=TIME + 15 * MS, block=0.1))[6] == "gap"


def test_a_reader_overtaken_by_trimming_goes_on_from_history(
    client: Client, collector: CollectorPen, contract: str
) -> None:
    collector.record(10)
    tape = client.ticks(contract, since=0, block=0.2)
    first = [next(tape) for _ in range(10)]
    collector.record(20)
    collector.store(1, 28, through=28)
    collector.trim(4)
    assert prices([*first, *tape]) == list(range(1, 31))


def test_a_new_session_of_the_collector_is_no_gap(
    client: Client, collector: CollectorPen, contract: str, redis: Any, db: Any
) -> None:
    collector.record(3)
    later = CollectorPen(redis, db, contract, session=2)
    later.rows = list(collector.rows)
    later.record(3)
    assert prices(client.ticks(contract, since=0, block=0.1)) == [1, 2, 3, 4, 5, 6]


def test_closing_ends_an_iterator_that_waits(client: Client, contract: str) -> None:
    done = threading.Event()

    def read() -> None:
        list(client.ticks(contract))
        done.set()

    threading.Thread(target=read, daemon=True).start()
    client.close()
    until(done.is_set, 5)
    assert done.is_set()


def test_the_last_tick_comes_from_either_store(client: Client, collector: CollectorPen, contract: str) -> None:
    assert client.last_tick(contract) is None
    ticks = collector.record(3)
    assert client.last_tick(contract) == ticks[-1]
    collector.store(1, 3)
    collector.redis.delete(collector.key)
    assert client.last_tick(contract) == ticks[-1]


def test_history_is_by_time_without_its_end(client: Client, collector: CollectorPen, contract: str) -> None:
    collector.record(10, redis=False)
    collector.store(1, 10)
    history = client.history(contract, TIME + 3 * MS, TIME + 8 * MS)
    assert [tick.price for tick in history] == [3, 4, 5, 6, 7]
    assert [tick.price for tick in history] == [3, 4, 5, 6, 7]
    assert list(client.history(contract, 0)) == [row.record for row in collector.rows]


@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_history_in_pages_of_any_size(
    client: Client, collector: CollectorPen, contract: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE", page)
    collector.record(4, redis=False)
    moment = collector.rows[-1].record.time
    # several records of one moment, more than a page holds
    for number in (5, 6, 7):
        row = collector.rows[3]
        fresh = type(row.record)(moment, float(number), None, (), (), contract, "trade")
        collector.rows.append(row._replace(id=collector.ids.next(moment), record=fresh))
    collector.record(3, redis=False)
    collector.writer.write(collector.rows[::-1])
    assert [tick.price for tick in client.history(contract, 0)] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    collector.writer.tell_through({(contract, "tick"): collector.rows[-1].id})
    assert prices(client.ticks(contract, since=0, block=0)) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_frame_in_one_call(client: Client, collector: CollectorPen, contract: str) -> None:
    collector.record(3, redis=False)
    collector.store(1, 3)
    frame = client.history(contract, "2026-08-01").to_pandas()
    assert list(frame.columns) == [
        "price",
        "bid1",
        "bid1_size",
        "ask1",
        "ask1_size",
        "volume",
        "amount",
        "exchange_time",
    ]
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index.name == "time"
    assert frame["bid1"].tolist() == [1.0, 2.0, 3.0]
    assert frame["ask1"].isna().all()
    assert frame["exchange_time"].tolist() == [TIME + number * MS - 5 for number in (1, 2, 3)]
    chosen = client.history(contract, "2026-08-01", columns=["bid1_size", "n", "source"])
    assert list(chosen.to_pandas().columns) == ["bid1_size", "n", "source"]
    assert next(chosen.rows()) == {"time": TIME + MS, "bid1_size": 1.0, "n": (1 << 40) + 1, "source": "trade"}


def test_an_empty_frame_has_its_columns(client: Client, contract: str) -> None:
    frame = client.history(contract, "2026-08-01", kind="trades").to_pandas()
    assert list(frame.columns) == ["price", "size", "side", "trade_id", "exchange_time"]
    assert len(frame) == 0


def test_wrong_questions_are_answered_with_what_is_allowed(client: Client, contract: str) -> None:
    with pytest.raises(InvalidValue, match="'bid' is not one of time, price"):
        client.history(contract, 0, columns=["bid"])
    with pytest.raises(InvalidValue, match="contract"):
        client.ticks("btcturk")
    with pytest.raises(InvalidValue, match="not in nanoseconds"):
        client.ticks(contract, since=1_785_585_600)
    with pytest.raises(InvalidValue, match="is not one of ticks, trades, books"):
        client.history(contract, 0, kind="quotes")
    with pytest.raises(InvalidValue, match="end: 2026-08-01 is before 2026-08-02"):
        client.history(contract, "2026-08-02", "2026-08-01")
    with pytest.raises(InvalidValue, match="is before"):
        client.bars(contract, "1m", "2026-08-02", "2026-08-01")


def test_a_mongodb_that_is_not_there_is_a_storage_error(redis_url: str, contract: str) -> None:
    with Client(redis_url=redis_url, mongo_url="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100") as client:
        assert list(client.ticks(contract, block=0)) == []
        with pytest.raises(StorageError, match="MongoDB"):
            next(client.ticks(contract, since=0))
        with pytest.raises(StorageError, match="MongoDB"):
            list(client.history(contract, 0))
