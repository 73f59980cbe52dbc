"""`tickrouter replay`: the past as if it were live."""

from __future__ import annotations

import heapq
import threading
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.keys import replay_prefix
from tickrouter.bus.publish import Publisher
from tickrouter.clock import SystemClock
from tickrouter.config import Config
from tickrouter.history.bars import PERIODS
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database
from tickrouter.model.contract import Contract
from tickrouter.model.moment import nanoseconds
from tickrouter.tape.replay import LEASE_MS, Replay, recorded

from .common import ConfigOption, errors, out, reachable
from .tail import clock as shown

BARS_KEPT = 100_000


class ReplayKind(StrEnum):
    """What can be published again."""

    TICK = "tick"
    TRADE = "trade"
    BOOK = "book"
    BAR = "bar"


def replay(
    start: Annotated[str, typer.Option("--from", help="First time, ISO, UTC unless it names a zone.")],
    end: Annotated[str | None, typer.Option("--to", help="First time that is left out.", show_default="now")] = None,
    contracts: Annotated[
        list[str] | None, typer.Argument(help="e.g. btcturk/btc.try; without one, all that are recorded.")
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0.0, help="How many times faster than it was; 0 for as fast as can be.")
    ] = 1.0,
    prefix: Annotated[str, typer.Option("--prefix", help="Of the streams: replay:tick:{contract}.")] = "replay",
    kind: Annotated[
        list[ReplayKind] | None, typer.Option("--kind", "-k", help="Which records; may be given again.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Publish stored records anew, with their spacing, for a Client(prefix="replay") to follow. Ctrl-C ends it."""
    settings = reachable(config)
    mark = replay_prefix(prefix)
    names = [str(Contract.parse(name)) for name in contracts or settings.record.contracts]
    kinds = [name for chosen in kind or list(ReplayKind) for name in _streams(chosen)]
    first = nanoseconds("--from", start)
    last = SystemClock().now() if end is None else nanoseconds("--to", end)
    if not names or last <= first:
        raise typer.BadParameter("no contract is recorded" if not names else f"{end or 'now'} is not after {start}")
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} records"))
    with connect_mongo(settings.mongo_url) as client, connect_redis(settings.redis_url) as redis:
        db = database(client, settings.servers.mongo_database)
        publishers = {name: _publisher(redis, name, kinds, settings, mark) for name in names}
        playing = Replay(publishers, SystemClock(), speed)
        playing.open()
        done = 0
        try:
            records = heapq.merge(
                *(recorded(db, name, kinds, first, last) for name in names), key=lambda due: (due.at, due.contract)
            )
            with Progress(*columns, TimeRemainingColumn(), console=errors) as progress:
                task = progress.add_task(shown(first), total=last - first, rows=0)
                for state in playing.play(records, first, threading.Event()):
                    done = state.records
                    progress.update(task, completed=state.at - first, rows=done, description=shown(state.at))
                progress.update(task, completed=last - first)
        finally:
            playing.close()
            out.print(f"{done:,} records of {', '.join(names)} published under {mark}", soft_wrap=True)


def _streams(kind: ReplayKind) -> list[str]:
    return [f"bar:{period}" for period in PERIODS] if kind is ReplayKind.BAR else [kind.value]


def _publisher(redis: Any, contract: str, kinds: list[str], settings: Config, mark: str) -> Publisher:
    kept = settings.streams.model_dump()
    limits = {name: kept.get(name, BARS_KEPT) for name in (*kinds, "feed")}
    return Publisher(redis, contract, limits, lease_ms=LEASE_MS, prefix=mark)
