"""Holes among trades: which of them the venue's ids prove closed."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from services.collector.backfill import Backfiller
from services.collector.pipeline import Pipeline
from services.collector.proven import Proven
from tests.simulation import ROOT
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.permits import Permits
from tickrouter.clock import SystemClock
from tickrouter.config import Recording
from tickrouter.core.coverage import KEY_TAKEN, SIDES_TURNED
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.contract import Contract
from tickrouter.model.coverage import Claim
from tickrouter.model.trade import Trade
from tickrouter.transport.http import HttpClient
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import market_adapter

C = "btcturk/btc.try"
SECOND = 1_000_000_000


def test_ids_close_a_hole_in_which_nothing_came_and_none_in_which_something_wrong_stands(
    db: Any, redis_url: str, unique: str
) -> None:
    clock = SystemClock()
    now = clock.now()
    start = now - 60 * SECOND
    trades = [Trade(start + k * SECOND, 1.0, 1.0, "b", str(k), C) for k in range(1, 40)]
    MarketWriter(db).write([Row("trade", (one.time // 1_000_000, k), one) for k, one in enumerate(trades, 1)])
    holes = [(5, SIDES_TURNED), (15, KEY_TAKEN), (25, "no connection: for the test")]
    claims = [Claim(start, C, "trade", 1, "all", "live", start, now, "connected")]
    for at, cause in holes:
        begin = start + at * SECOND
        claims.append(Claim(begin, C, "trade", 1, str(at), "missing", begin, begin + 2 * SECOND, cause))
    CoverageWriter(db).tell(claims)
    card = load_card(ROOT / "configs/venues/btcturk.yaml")
    pipeline = Pipeline(C, Recording(), card.channels)
    pipeline.wants_trades = False
    found: list[Any] = []
    with closing(connect_redis(redis_url)) as redis:
        permits = Permits(redis, unique, card.rules, account="", ip="here", unused=lambda: True)
        adapter = market_adapter(card, [Contract.parse(C)])
        http = HttpClient("btcturk", connections=1)
        Backfiller(adapter, http, permits, {C: pipeline}, db, found.extend, clock)._look_after(C, pipeline)
    proven = [(one.start - start) // SECOND for one in found if isinstance(one, Proven)]
    assert 25 in proven and not {5, 15} & set(proven)
