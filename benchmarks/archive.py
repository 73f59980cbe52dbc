"""Archived chunks through mongod, against Parquet on disk and ArcticDB on LMDB, on the same ticks in the same rounds.

The top of book (5 columns) is the recorded one where TICKROUTER_REFERENCE names it, else a random walk; the deep
ticks (23 columns) are a random walk. Bytes count `ms` and `n` in. ArcticDB reads with threads of its own.

What is compared is the same on both sides: all rows, the same columns, one array a column in memory (ours by
`to_numpy`, ArcticDB's as the arrays of its frame), the median of as many readings one after the other, each a new
call. The very first reading of the data in a process stands beside it.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks import peers
from benchmarks.report import Figure, ratios
from tickrouter.history.archive import Archive
from tickrouter.history.chunk_reader import ChunkReader
from tickrouter.history.chunks import CELLS, ROWS, cells
from tickrouter.history.columns import Array, Column, Columns, empty_column
from tickrouter.history.connection import connect, database, ensure_indexes
from tickrouter.history.queries import History

CONTRACT = "btcturk/btc.usdt"
TOP = ("bid1", "bid1_size", "ask1", "ask1_size")
DEEP = (
    *(f"{side}{k}{part}" for k in range(1, 6) for side in ("bid", "ask") for part in ("", "_size")),
    "price",
    "volume",
)
TIMES = 6
"""Copies of the recorded span, one behind the other: some hundred thousand ticks."""
DEEP_ROWS = 200_000
TRIES = 5
"""Of each reading in a round."""
START = 1_785_585_600_000_000_000
DAY = 86_400_000_000_000
MINUTE = 60_000_000_000
_RECORDED = "data/binance_spot_btcusdt_20240808-09.raw.gz"
_SEED = 20260801
# Arctic's TickStore needs a Python that is gone: what it reached at 23 columns on the machine of the first figures.
_TICKSTORE = {"write": 0.18e6, "read": 2.4e6, "bytes": 43.0}


@dataclass(frozen=True)
class Ticks:
    """Columns to store, `time` first."""

    label: str
    columns: dict[str, Array]

    @property
    def rows(self) -> int:
        return len(self.columns["time"])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name != "time")

    def chunks(self) -> list[Columns]:
        """The rows as whole tick records, in chunks as the packer fills them."""
        length = min(ROWS, CELLS // cells(sum(name.endswith("_size") for name in self.columns)))
        return [self._part(slice(start, start + length)) for start in range(0, self.rows, length)]

    def _part(self, chosen: slice) -> Columns:
        times = self.columns["time"][chosen]
        rows, levels = len(times), sum(name.startswith("bid") for name in self.columns) // 2
        columns = {name: empty_column(name, rows) for name in ("exchange_time", "price", "volume", "amount")}
        columns |= {name: Column(values[chosen]) for name, values in self.columns.items()}
        columns |= {name: Column(np.full(rows, levels)) for name in ("bid_count", "ask_count")}
        columns["ms"] = Column(times // 1_000_000)
        columns["n"] = Column((3 << 40) + 1 + np.arange(self.rows)[chosen])
        columns["flags"] = Column(np.zeros(rows, np.int64))
        columns["source"] = Column(np.full(rows, "book", object))
        return Columns("tick", CONTRACT, rows, columns)


def measure(mongo_url: str, rounds: int) -> Iterator[Figure]:
    """Bytes a tick, ticks a second written and read, and the first row of a minute out of a day."""
    for ticks in (_top(), _deep()):
        runs: dict[str, list[float]] = defaultdict(list)
        for number in range(rounds + 1):
            found = _round(mongo_url, ticks)
            if number:
                for name, value in found.items():
                    runs[name].append(value)
        yield from _figures(ticks.label, {name: tuple(values) for name, values in runs.items()})


def _figures(label: str, runs: dict[str, tuple[float, ...]]) -> Iterator[Figure]:
    is_top = label == "top"
    bound = {
        "bytes": 8.5 if is_top else 0.7 * _TICKSTORE["bytes"],
        "write": None if is_top else 3 * _TICKSTORE["write"],
        "read": 10e6 if is_top else 1.4 * _TICKSTORE["read"],
    }
    made = {}
    for name, unit in (("bytes", "B"), *((name, "1/s") for name in ("write", "read", "to_numpy", "first_to_numpy"))):
        better = "lower" if name == "bytes" else "higher"
        made[name] = Figure(f"archive.{label}.{name}", unit, better, runs[name], bound.get(name))
        yield made[name]
    yield Figure(f"archive.{label}.first_row", "ms", "lower", runs["first_row"], 20.0)
    for peer in ("parquet", "arcticdb"):
        for name, ours in (("write", "write"), ("read", "to_numpy"), ("first_read", "first_to_numpy")):
            if f"{peer}_{name}" not in runs:
                continue
            theirs = Figure(f"archive.{label}.{peer}_{name}", "1/s", "higher", runs[f"{peer}_{name}"])
            floor = None
            if peer == "arcticdb" and name != "write":
                floor = 0.6 if is_top else 0.9
            yield theirs
            yield ratios(f"archive.{label}.{name}_against_{peer}", made[ours], theirs, "higher", floor)


def _round(mongo_url: str, ticks: Ticks) -> dict[str, float]:
    found = _ours(mongo_url, ticks)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found |= {f"parquet_{name}": ticks.rows / spent for name, spent in _parquet(ticks, Path(folder)).items()}
        found |= {f"arcticdb_{name}": ticks.rows / spent for name, spent in _arcticdb(ticks, Path(folder)).items()}
    return found


def _ours(mongo_url: str, ticks: Ticks) -> dict[str, float]:
    name = f"bench_{uuid.uuid4().hex[:8]}"
    chunks, wanted = ticks.chunks(), {"time", *ticks.names}
    with connect(mongo_url) as client:
        db = database(client, name)
        ensure_indexes(db)
        archive = Archive(db, "tick", CONTRACT)
        write = _seconds(lambda: [archive.write(chunk) for chunk in chunks])
        reader = ChunkReader(db, "tick", CONTRACT)
        one = _best(lambda: _rows(reader.loading(reader.by_time(0, None), wanted, decoders=1)))
        spent_whole = _each(lambda: History(db, "tick", CONTRACT, 0, None, ticks.names).to_numpy())
        sizes = db.chunks.aggregate(
            [{"$project": {"top": {"$binarySize": "$top"}, "depth": {"$binarySize": "$depth"}}}]
        )
        total = sum(size["top"] + (size["depth"] or 0) for size in sizes)
        middle = int(ticks.columns["time"][ticks.rows // 2])
        first = _best(lambda: next(iter(History(db, "tick", CONTRACT, middle, middle + MINUTE))))
        client.drop_database(name)
    found = {"bytes": total / ticks.rows, "first_row": first * 1000}
    spent = {"write": write, "read": one, "to_numpy": median(spent_whole), "first_to_numpy": spent_whole[0]}
    return found | {name: ticks.rows / seconds for name, seconds in spent.items()}


def _parquet(ticks: Ticks, folder: Path) -> dict[str, float]:
    table, file = pa.table(ticks.columns), folder / "ticks.parquet"
    write = _seconds(lambda: parquet.write_table(table, file, compression="zstd"))

    def read() -> None:
        for column in parquet.read_table(file, use_threads=False).columns:
            column.to_numpy()

    return {"write": write, "read": _best(read)}


def _arcticdb(ticks: Ticks, folder: Path) -> dict[str, float]:
    np.savez(folder / "columns.npz", **ticks.columns)
    python = peers.python(peers.ARCHIVE_FOLDER, peers.ARCHIVE_PACKAGES)
    command = [
        python,
        Path(__file__).with_name("archive_arctic.py"),
        folder / "columns.npz",
        folder / "lmdb",
        str(TRIES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return spent


def _rows(batches: Iterable[Columns | None]) -> int:
    """How many rows there are; each batch is let go when the next one comes."""
    return sum(batch.rows for batch in batches if batch is not None)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _each(act: Callable[[], object]) -> list[float]:
    """Seconds of some tries, one after the other."""
    return [_seconds(act) for _ in range(TRIES)]


def _best(act: Callable[[], object]) -> float:
    """The shortest of some tries: reading takes some hundredths of a second, and others work on this machine too."""
    return min(_each(act))


def _top() -> Ticks:
    """The recorded top of book several times over, or a walk like it."""
    folder = os.environ.get("TICKROUTER_REFERENCE")
    if folder is None:
        return Ticks("top", _walk(73_174 * TIMES, 1, (9e6, 1e6)))
    rows = []
    with gzip.open(Path(folder) / _RECORDED, "rt", encoding="utf-8") as lines:
        for line in lines:
            if "@bookTicker" in line:
                stamp, _, message = line.partition(" ")
                data = json.loads(message)["data"]
                rows.append((int(stamp), *(float(data[name]) for name in "bBaA")))
    times = np.array([row[0] for row in rows])
    span = int(times[-1] - times[0]) + 1_000_000
    found = {"time": np.concatenate([times + copy * span for copy in range(TIMES)])}
    for place, name in enumerate(TOP, 1):
        found[name] = np.tile([row[place] for row in rows], TIMES)
    return Ticks("top", found)


def _deep() -> Ticks:
    """A walk over a day, five levels a side, with the last price and the volume of 24 hours."""
    found = _walk(DEEP_ROWS, 5, (DAY / DEEP_ROWS, DAY / DEEP_ROWS / 3))
    chance = np.random.default_rng(_SEED)
    found["price"] = np.where(chance.random(DEEP_ROWS) < 0.5, found["bid1"], found["ask1"])
    found["volume"] = np.round(1000 + np.cumsum(chance.random(DEEP_ROWS) - 0.5) / 100, 5)
    return Ticks("deep", {"time": found["time"], **{name: found[name] for name in DEEP}})


def _walk(rows: int, levels: int, step: tuple[float, float]) -> dict[str, Array]:
    chance = np.random.default_rng(_SEED)
    found = {"time": START + np.cumsum(np.abs(chance.normal(*step, rows)).astype(np.int64) + 1)}
    middle = 6_500_000 + np.cumsum(chance.integers(-3, 4, rows) * (chance.random(rows) < 0.2))
    for level in range(levels):
        for side, sign in (("bid", -1), ("ask", 1)):
            found[f"{side}{level + 1}"] = (middle + sign * (level + 1)) / 100
            changed = np.where(chance.random(rows) < 0.3, np.arange(rows), 0)
            sizes = chance.integers(1, 10**6, rows) / 1e5
            found[f"{side}{level + 1}_size"] = sizes[np.maximum.accumulate(changed)]
    return found
