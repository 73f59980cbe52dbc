"""Answers say what they lack; whoever asks for a whole one gets it or an error. Bars in every form."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.publishing import TIME, CollectorPen
from tickrouter import Client, InvalidValue
from tickrouter.core.entry_ids import EntryIds
from tickrouter.errors import HistoryGap
from tickrouter.history.bar_store import BarStore
from tickrouter.history.bars import resample
from tickrouter.history.coverage import CoverageWriter
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.bar import Bar
from tickrouter.model.coverage import Claim
from tickrouter.model.trade import Trade

MS = 1_000_000
SECOND = 1000 * MS
MINUTE = 60 * SECOND


def claim(db: Any, contract: str, kind: str, start: int, end: int) -> None:
    """The ledger says that all of that time was recorded."""
    told = Claim(end, contract, kind, 1, f"{start}", "live", start, end, "recorded")
    CoverageWriter(db).tell([told])


def traded(db: Any, contract: str) -> list[Trade]:
    """Five minutes of trades, the first four of which are made into bars."""
    ids, rows = EntryIds(1), []
    for number in range(100):
        at = TIME + number * 3 * SECOND
        one = Trade(at, 100.0 + number % 9, 0.5, "b", str(number + 1), contract, "live", at)
        rows.append(Row("trade", ids.next(at), one))
    writer = MarketWriter(db)
    writer.write(rows)
    writer.tell_through({(contract, "trade"): rows[-1].id})
    while BarStore(db, contract).advance():
        pass
    assert 0 < db.bars.count_documents({"period": "1m"}) < 5
    return [row.record for row in rows if isinstance(row.record, Trade)]


def test_the_state_at_a_moment_is_told_where_nothing_lacks_since(
    client: Client, db: Any, collector: CollectorPen, contract: str
) -> None:
    ticks = collector.record(3, redis=False)
    collector.store(1, 3)
    claim(db, contract, "tick", TIME, TIME + SECOND)
    assert client.as_of(contract, TIME + SECOND, complete=True) == ticks[-1]
    later = TIME + 3 * SECOND
    assert client.as_of(contract, later) == ticks[-1]
    with pytest.raises(HistoryGap, match=r"unknown from 2026-08-01 12:00:01.*not written down yet"):
        client.as_of(contract, later, complete=True)
    assert client.as_of(contract, TIME - 1) is None
    with pytest.raises(HistoryGap):
        client.as_of(contract, TIME - 1, complete=True)


def test_what_nobody_has_spoken_of_is_not_whole(client: Client, db: Any, contract: str) -> None:
    """Without an end an answer goes as far as collectors have spoken: where none has, nothing is sure."""
    with pytest.raises(HistoryGap, match="nothing was recorded from 2026-08-01 12:00:00"):
        list(client.history(contract, TIME, complete=True))
    with pytest.raises(HistoryGap):
        client.bars(contract, "1m", TIME, complete=True).to_numpy()
    claim(db, contract, "tick", TIME, TIME + SECOND)
    assert list(client.history(contract, TIME, complete=True)) == []
    with pytest.raises(HistoryGap):
        list(client.history(contract, TIME + 2 * SECOND, complete=True))
    assert list(client.history(contract, TIME, TIME, complete=True)) == []


def test_bars_are_as_whole_as_their_trades(client: Client, db: Any, contract: str) -> None:
    traded(db, contract)
    claim(db, contract, "trade", TIME, TIME + 2 * MINUTE)
    claim(db, contract, "trade", TIME + 3 * MINUTE, TIME + 5 * MINUTE)
    assert len(list(client.bars(contract, "1m", TIME, TIME + 2 * MINUTE, complete=True))) == 2
    lacking = client.bars(contract, "1m", TIME, TIME + 5 * MINUTE, complete=True)
    with pytest.raises(HistoryGap, match="bar: missing from 2026-08-01 12:02"):
        list(lacking)
    with pytest.raises(HistoryGap):
        lacking.to_numpy()
    states = [(one.state, one.end - one.start) for one in client.bars(contract, "1m", TIME, TIME + 5 * MINUTE).coverage]
    assert states == [("live", 2 * MINUTE), ("missing", MINUTE), ("live", 2 * MINUTE)]


def test_stored_bars_are_whole_only_as_far_as_they_are_made(db: Any, contract: str) -> None:
    """`client.bars` makes the others of their trades; whoever reads what is stored lacks them."""
    traded(db, contract)
    claim(db, contract, "trade", TIME, TIME + 5 * MINUTE)
    made = db.archive.find_one({"_id": f"{contract}#bars"})["time"]
    assert TIME < made < TIME + 5 * MINUTE
    assert list(History[Bar](db, "bar", contract, TIME, made, period="1m", complete=True))
    later: History[Bar] = History(db, "bar", contract, TIME, TIME + 5 * MINUTE, period="1m", complete=True)
    with pytest.raises(HistoryGap, match="bars are not made yet"):
        list(later)
    assert [(one.state, one.end) for one in later.coverage] == [("live", made), ("unknown", TIME + 5 * MINUTE)]
    assert History[Bar](db, "bar", contract, TIME).coverage[-1].end == made


@pytest.mark.parametrize("period", ["1s", "1m", "5m", "1h"])
def test_bars_of_one_period_in_every_form(client: Client, db: Any, contract: str, period: str) -> None:
    right = resample(traded(db, contract), period)
    bars = client.bars(contract, period, TIME)
    assert list(bars) == list(bars) == right
    arrays = bars.to_numpy()
    assert arrays["time"].tolist() == [bar.time for bar in right]
    assert arrays["trades"].tolist() == [bar.trades for bar in right]
    frame = bars.to_pandas()
    assert frame["close"].tolist() == [bar.close for bar in right]
    assert bars.to_arrow()["volume"].to_pylist() == [bar.volume for bar in right]
    polars = bars.to_polars()
    assert isinstance(polars, pl.DataFrame)
    assert polars["amount"].to_list() == [bar.amount for bar in right]
    assert len(client.bars(contract, period, TIME + 3600 * SECOND).to_pandas()) == 0


def test_a_period_that_is_none_is_refused_at_once(client: Client, contract: str) -> None:
    with pytest.raises(InvalidValue, match="period"):
        client.bars(contract, "7m", 0)
