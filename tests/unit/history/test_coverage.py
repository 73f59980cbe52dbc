"""The ledger on a real server: claims, sessions, the proof by ids, the audit, and what history says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tickrouter.core.entry_ids import SESSION_BITS
from tickrouter.errors import HistoryGap
from tickrouter.history.audit import audit
from tickrouter.history.connection import connect, database
from tickrouter.history.coverage import CoverageWriter, coverage
from tickrouter.history.proof import Proof, proof
from tickrouter.history.queries import History
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.coverage import Claim, Note, Opening, State
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
SECOND = 1_000_000_000


@pytest.fixture
def db(mongo_url: str, unique: str) -> Iterator[Any]:
    client = connect(mongo_url)
    CoverageWriter(database(client, unique)).prepare()
    yield database(client, unique)
    client.drop_database(unique)
    client.close()


def entry(k: int, session: int = 1) -> tuple[int, int]:
    return k, (session << SESSION_BITS) + k


def claim(
    name: str,
    start: int,
    end: int,
    state: State = "live",
    *,
    ks: tuple[int, int] | None = None,
    told: int = 0,
    is_open: bool = False,
    note: Note = "",
    session: int = 1,
) -> Claim:
    first, last = (entry(ks[0], session), entry(ks[1], session)) if ks else (None, None)
    count = ks[1] - ks[0] + 1 if ks else 0
    return Claim(told, C, "trade", session, name, state, start, end, state, first, last, count, is_open, note)


def states(db: Any, start: int, end: int) -> list[tuple[int, int, str]]:
    return [(one.start, one.end, one.state) for one in coverage(db, C, "trade", start, end)]


def store(db: Any, *numbers: int, step: int = 1) -> None:
    rows = [Row("trade", entry(k), Trade(k * step, 1.0, 1.0, "b", str(k), C)) for k in numbers]
    MarketWriter(db).write(rows)


def test_a_claim_told_again_only_grows_and_stays_closed(db: Any) -> None:
    writer = CoverageWriter(db)
    for one in (
        claim("a", 0, 5, ks=(1, 2), is_open=True),
        claim("a", 0, 9, ks=(1, 4)),
        claim("a", 0, 7, ks=(1, 3), is_open=True),
    ):
        writer.tell([one])
    (found,) = db.coverage.find()
    assert Claim.from_dict(found) == claim("a", 0, 9, ks=(1, 4))
    assert states(db, 0, 12) == [(0, 9, "live"), (9, 12, "unknown")]
    assert coverage(db, C, "bar", 0) == coverage(db, C, "trade", 0, 9)


def test_a_session_claims_what_lies_between_and_may_say_it_twice(db: Any) -> None:
    writer = CoverageWriter(db)
    opening = Opening(20 * SECOND, C, 2, ("trade", "tick"), 6 * SECOND)
    writer.open_session(opening)
    assert states(db, 0, 5) == [(0, 5, "missing")]
    writer.tell([claim("a", 0, 5 * SECOND, is_open=True)])
    for _ in range(2):
        writer.open_session(opening)
        assert states(db, 0, 20 * SECOND) == [
            (0, 5 * SECOND, "live"),
            (5 * SECOND, 6 * SECOND, "unknown"),
            (6 * SECOND, 20 * SECOND, "missing"),
        ]
    assert db.coverage.count_documents({"is_open": True}) == 0


def test_without_a_sign_of_life_a_collector_may_have_lived_as_long_as_its_lease(db: Any) -> None:
    writer = CoverageWriter(db)
    writer.tell([claim("a", 0, 5 * SECOND, is_open=True)])
    writer.open_session(Opening(20 * SECOND, C, 2, ("trade",)))
    assert states(db, 0, 20 * SECOND)[1] == (5 * SECOND, 7 * SECOND, "unknown")


def test_history_carries_its_coverage_and_can_be_told_to_read_no_holes(db: Any) -> None:
    CoverageWriter(db).tell([claim("a", 0, 5), claim("b", 5, 8, "missing"), claim("c", 8, 20)])
    store(db, 1, 2, 9)
    found: History[Trade] = History(db, "trade", C, 0, 20)
    assert [one.state for one in found.coverage] == ["live", "missing", "live"]
    assert [trade.trade_id for trade in found] == ["1", "2", "9"]
    with pytest.raises(HistoryGap, match="missing from 1970-01-01"):
        list(History(db, "trade", C, 0, 20, complete=True))
    assert len(list(History(db, "trade", C, 0, 5, complete=True))) == 2


def test_ids_prove_a_hole_closed_only_where_none_is_lacking(db: Any) -> None:
    assert proof(db, C, 5, 8) is None
    store(db, 1, 2, 9)
    assert proof(db, C, 5, 8) is None
    late = [Row("trade", None, Trade(50, 1.0, 1.0, "b", str(k), C, "backfill")) for k in range(3, 9)]
    MarketWriter(db).write(late[:-1])
    assert proof(db, C, 5, 8) is None
    MarketWriter(db).write(late[-1:])
    assert proof(db, C, 5, 8) == Proof(2, 9, 6)
    assert proof(db, C, 2, 2) == Proof(1, 2, 0)


def test_an_audit_counts_every_entry(db: Any) -> None:
    CoverageWriter(db).tell([claim("a", 0, 9, ks=(1, 5))])
    store(db, *range(1, 6))
    found = audit(db, C, "trade", 0, 9)
    assert (found.claimed, found.documents, found.excused, found.problems) == (5, 5, 0, ())


def test_an_audit_fails_on_what_the_ledger_does_not_explain(db: Any) -> None:
    writer = CoverageWriter(db)
    writer.tell([claim("a", 0, 9, ks=(1, 6))])
    store(db, 1, 2, 5, 6, 8)
    lacking, stranger = audit(db, C, "trade", 0, 9).problems
    assert "lacks 2 of 6 entries: session 1: 3-4" in lacking
    assert stranger == "1 entries are stored that no claim speaks of: session 1: 8"
    writer.tell([claim("lost", 3, 4, "missing", ks=(3, 3), told=1)])
    writer.tell([claim("double", 4, 5, ks=(4, 4), told=1, note="double"), claim("dead", 8, 9, "unknown", told=1)])
    found = audit(db, C, "trade", 0, 9)
    assert (found.problems, found.excused, found.documents) == ((), 2, 4)


def test_what_the_stream_alone_lacks_excuses_no_document(db: Any) -> None:
    CoverageWriter(db).tell([claim("a", 0, 9, ks=(1, 2)), claim("redis", 2, 3, "missing", ks=(2, 2), note="redis")])
    store(db, 1)
    assert len(audit(db, C, "trade", 0, 9).problems) == 1
    assert states(db, 0, 9) == [(0, 9, "live")]


def test_an_entry_id_that_two_documents_have_is_a_problem(db: Any) -> None:
    CoverageWriter(db).tell([claim("a", 0, 9, ks=(1, 1))])
    store(db, 1)
    MarketWriter(db).write([Row("trade", entry(1), Trade(1, 1.0, 1.0, "b", "other", C))])
    assert audit(db, C, "trade", 0, 9).problems == ("1 documents have an entry id that another has too",)
