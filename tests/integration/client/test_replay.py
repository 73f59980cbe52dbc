"""Replay: a strategy runs on the past with its live code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.publishing import TIME, CollectorPen
from tests.simulation import ROOT
from tests.waiting import until
from tickrouter import Client, Feed, InvalidValue, StorageError, Tick
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import MarketKeys, replay_prefix
from tickrouter.bus.publish import Publisher
from tickrouter.config import Config
from tickrouter.core.entry_ids import EntryIds
from tickrouter.history.archive import Archive
from tickrouter.history.bar_store import BarStore
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.sink import Row
from tickrouter.model.coverage import Claim
from tickrouter.model.trade import Trade
from tickrouter.tape.replay import Progress, Replay, recorded

MS = 1_000_000
SECOND = 1000 * MS
KINDS = ("tick", "trade", "book", "bar:1s")


class Hand:
    """A clock that stands still until somebody waits."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> int:
        return TIME + int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds


class Waits(threading.Event):
    """Waiting moves the clock."""

    def __init__(self, clock: Hand) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.seconds += timeout or 0.0
        return self.is_set()


@pytest.fixture
def follower(redis_url: str, mongo_url: str, unique: str) -> Any:
    """A client of the replay, the rest as the other one's."""
    named = {"redis_url": redis_url, "mongo_url": mongo_url, "mongo_database": unique}
    with Client(Config(), account=f"btcturk/{unique}", prefix="replay", **named) as one:
        yield one


def publisher(redis: Redis, contract: str) -> Publisher:
    return Publisher(redis, contract, {**dict.fromkeys(KINDS, 10_000), "feed": 1000}, prefix=replay_prefix("replay"))


def played(redis: Redis, db: Any, contract: str, end: int, *, speed: float = 0.0) -> tuple[list[Progress], list[float]]:
    """Replay what is stored before `end`; how far it said to be, and at which second."""
    clock = Hand()
    replay = Replay({contract: publisher(redis, contract)}, clock, speed)
    replay.open()
    said, seconds = [], []
    for state in replay.play(recorded(db, contract, KINDS, TIME, end), TIME, Waits(clock)):
        said.append(state)
        seconds.append(clock.seconds - 100.0)
    replay.close()
    return said, seconds


def covered(db: Any, contract: str, start: int, end: int) -> None:
    """The ledger says that everything of a time was recorded."""
    writer = CoverageWriter(db)
    for kind in ("tick", "trade", "book"):
        writer.tell([Claim(end, contract, kind, 1, f"{start}", "live", start, end, "recorded", is_open=False)])


def test_a_strategy_reads_the_past_as_it_reads_what_is_live(
    redis: Redis, db: Any, client: Client, follower: Client, collector: CollectorPen, contract: str
) -> None:
    ticks = collector.record(40, redis=False)
    collector.store(1, 40, through=40)
    covered(db, contract, TIME, TIME + SECOND)
    Archive(db, "tick", contract).pack(TIME + 20 * MS, TIME + 20 * MS)  # some of them are archived, some are not
    said, _ = played(redis, db, contract, TIME + SECOND)
    assert said[-1].records == 40
    assert list(follower.ticks(contract, since=TIME, block=0.1)) == ticks
    assert list(follower.ticks(contract, since=TIME + 30 * MS, block=0.1)) == ticks[29:]
    assert follower.last_tick(contract) == ticks[-1]
    assert list(client.ticks(contract, block=0.1)) == []  # the live streams know nothing of it


def test_records_keep_their_spacing_and_speed_divides_it(
    redis: Redis, db: Any, collector: CollectorPen, contract: str
) -> None:
    collector.record(30, redis=False)
    collector.rows = [
        Row(row.kind, row.id, Tick(TIME + n**2 * SECOND, float(n), None, (), (), contract, "trade"))
        for n, row in enumerate(collector.rows)
    ]
    collector.store(1, 30, through=30)
    covered(db, contract, TIME, TIME + 900 * SECOND)
    said, seconds = played(redis, db, contract, TIME + 900 * SECOND, speed=10.0)
    assert [state.at for state in said] == [TIME + n**2 * SECOND for n in range(30)]
    assert seconds == pytest.approx([n**2 / 10 for n in range(30)], abs=1e-6)


def test_kinds_go_in_the_order_in_which_they_became_known(
    redis: Redis, db: Any, collector: CollectorPen, contract: str
) -> None:
    ids = EntryIds(1)
    trades = []
    for number in range(200):
        at = TIME + number * SECOND
        trade = Trade(at, 100.0 + number, 1.0, "b", str(number + 1), contract, "live", at)
        trades.append(Row("trade", ids.next(at), trade))
    collector.writer.write(trades)
    collector.writer.tell_through({(contract, "trade"): trades[-1].id})
    covered(db, contract, TIME, TIME + 300 * SECOND)
    while BarStore(db, contract).advance():
        pass
    made = [due for due in recorded(db, contract, KINDS, TIME, TIME + 60 * SECOND) if due.kind != "feed"]
    assert [due.at for due in made] == sorted(due.at for due in made)
    assert sum(due.kind == "trade" for due in made) == 60
    bars = [due for due in made if due.kind == "bar:1s"]
    assert bars
    assert all(due.at == due.record.time + SECOND for due in bars)


def test_a_hole_of_the_ledger_is_in_the_feed_of_the_replay(
    redis: Redis, db: Any, collector: CollectorPen, contract: str
) -> None:
    collector.record(10, redis=False)
    collector.store(1, 10, through=10)
    covered(db, contract, TIME, TIME + SECOND)
    covered(db, contract, TIME + 3 * SECOND, TIME + 4 * SECOND)
    feeds = [due.record for due in recorded(db, contract, ("tick",), TIME, TIME + 4 * SECOND) if due.kind == "feed"]
    assert [feed.state for feed in feeds if isinstance(feed, Feed)] == ["gap"]
    assert feeds[0].time == TIME + SECOND


def test_a_second_replay_under_one_prefix_is_refused_and_goes_behind_the_first(
    redis: Redis, db: Any, follower: Client, collector: CollectorPen, contract: str
) -> None:
    collector.record(5, redis=False)
    collector.store(1, 5, through=5)
    covered(db, contract, TIME, TIME + SECOND)
    first = Replay({contract: publisher(redis, contract)}, Hand(), 0.0)
    first.open()
    with pytest.raises(StorageError, match="another replay"):
        Replay({contract: publisher(redis, contract)}, Hand(), 0.0).open()
    first.close()
    for _ in range(2):
        played(redis, db, contract, TIME + SECOND)
    seen = list(follower.ticks(contract, since=TIME, block=0.1))
    assert [record.price for record in seen if isinstance(record, Tick)] == [1.0, 2.0, 3.0, 4.0, 5.0] * 2


@pytest.mark.parametrize("name", ["", "tick", "a b", "UPPER", "x" * 33, "a:b"])
def test_a_prefix_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        replay_prefix(name)


def command(tmp_path: Path, redis_url: str, mongo_url: str, name: str, *arguments: str) -> subprocess.Popen[str]:
    file = tmp_path / "tickrouter.yaml"
    servers = {"redis_url": redis_url, "mongo_url": mongo_url, "mongo_database": name}
    file.write_text(yaml.safe_dump({"data": str(tmp_path / "data"), "servers": servers}))
    clean = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    environment = clean | {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
    line = [sys.executable, "-m", "tickrouter", "replay", "--config", str(file), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_the_command_plays_to_the_end_and_ctrl_c_ends_it_at_once(
    redis: Redis, collector: CollectorPen, contract: str, tmp_path: Path, redis_url: str, mongo_url: str, unique: str
) -> None:
    collector.record(20, redis=False)
    collector.store(1, 20, through=20)
    span = ["--from", "2026-08-01T12:00", "--to", "2026-08-01T12:01", "--kind", "tick", contract]
    whole = command(tmp_path, redis_url, mongo_url, unique, "--speed", "0", "--prefix", "whole", *span)
    said, _ = whole.communicate(timeout=60)
    assert whole.returncode == 0
    assert said == f"21 records of {contract} published under whole:\n"  # with the feed's word on what is not covered
    assert redis.xlen(MarketKeys(contract, "whole:").stream("tick")) == 20

    # Ten seconds from tick to tick: it cannot have ended by itself when the signal comes.
    slow = command(tmp_path, redis_url, mongo_url, unique, "--speed", "0.0001", "--prefix", "slow", *span)
    until(lambda: redis.xlen(MarketKeys(contract, "slow:").stream("tick")) > 0, 30)
    slow.send_signal(signal.SIGINT)
    said, problem = slow.communicate(timeout=10)
    assert slow.returncode == 130
    assert "published under slow:" in said
    assert "Traceback" not in problem
    assert not redis.exists(MarketKeys(contract, "slow:").lease)
