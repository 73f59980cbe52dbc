"""A collector's memory while neither Redis nor MongoDB is there."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from benchmarks.feeder import Feeder, packed
from benchmarks.frames import frame, walk
from services.stack.servers import free_port, redis_server
from tests.collecting import Collecting, collecting
from tests.waiting import until

CONTRACT = "btcturk/btc.usdt"
TICKS = 10 * 60 * 5_000
"""Ten minutes at 5,000 a second: what counts is how many wait, so they come as fast as they are taken."""
BLOCK = 10_000
"""Different tickers, sent again and again; each is news after the one before."""
MEGABYTES = 200


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("ticks", "spill_mb"), [(TICKS, 1024), (TICKS // 5, 5)])
def test_ten_minutes_of_ticks_without_servers_take_little_memory(
    tmp_path: Path, mongo_url: str, unique: str, ticks: int, spill_mb: int
) -> None:
    """The second time the disk's part is full long before the end, and the oldest ticks are given up."""
    away = redis_server(tmp_path / "redis")
    block = packed([frame("btcturk", "ticker", message) for message in walk("ticker", BLOCK)])
    recorder = {"spill_mb": spill_mb, "backfill": False}
    with (
        Feeder() as feeder,
        collecting(tmp_path / "collector", away, mongo_url, unique, feeder.url, [CONTRACT], recorder=recorder) as room,
    ):
        file = room.folder / "tickrouter.yaml"
        config = yaml.safe_load(file.read_text())
        config["servers"]["mongo_url"] = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0"
        file.write_text(yaml.safe_dump(config))
        process = room.start()
        feeder.accept(60)
        until(lambda: "recording begins without Redis" in room.log, 30)
        highest = 0
        for _ in range(ticks // BLOCK):
            feeder.send_now(block)
            highest = max(highest, megabytes(process.pid))
        until(lambda: received(room) >= ticks, 60)
        highest = max(highest, megabytes(process.pid))
        accounts = room.state()["sinks"]
        for sink in ("redis", "mongo"):
            account = accounts[sink]["tick"]
            kept = account["queued"] + account["spilled"]
            assert account["received"] == kept + account["given_up"] == ticks
            assert (account["given_up"] == 0) == (ticks == TICKS)
            assert kept
        assert highest < MEGABYTES
        ending = threading.Thread(target=feeder.hang_up)
        ending.start()
        assert room.end() == 0
        ending.join()


def received(room: Collecting) -> int:
    """Ticks that both sinks were given."""
    sinks = room.state().get("sinks", {})
    return min((int(kinds.get("tick", {}).get("received", 0)) for kinds in sinks.values()), default=0)


def megabytes(pid: int) -> int:
    """Resident memory of a process."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return int(said) // 1000
