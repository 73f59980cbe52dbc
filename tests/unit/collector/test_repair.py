"""What Redis alone has is handed on, and the ledger's last words only where MongoDB bears them out."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.collector.repair import Repair
from services.collector.takeover import Takeover, claim_fields, claims_in
from tickrouter.bus.codec import pack_record
from tickrouter.bus.publish import Entry
from tickrouter.core.entry_ids import EntryId
from tickrouter.history.sink import Row
from tickrouter.model.coverage import Claim, Opening
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"
SESSION = 1 << 40


def entry(number: int, session: int = 1) -> Entry:
    trade = Trade(number, 1.0, 1.0, "b", str(number), C)
    return Entry("trade", (number, session * SESSION + number), pack_record(trade))


def claim(first: int, last: int, session: int = 1) -> Claim:
    ids = (first, session * SESSION + first), (last, session * SESSION + last)
    return Claim(1, C, "trade", session, "one", "live", first, last, "connected", *ids, last - first + 1, True)


class Stores:
    """A stream and what is written to MongoDB."""

    def __init__(self, stream: Sequence[Entry], feed: Sequence[Entry] = ()) -> None:
        self.streams = {"trade": list(stream), "feed": list(feed)}
        self.written: list[EntryId] = []

    def read(self, contract: str, kind: str, after: EntryId, count: int) -> list[Entry]:
        return [one for one in self.streams[kind] if one.id > after][:count]

    def write(self, rows: Sequence[Row]) -> None:
        self.written += [row.id for row in rows if row.id is not None]


def repair(stores: Stores, stored: int | None, told: Claim, end: int = 9) -> Repair:
    takeover = Takeover({"trade": (end, SESSION + end)}, {"trade": told})
    known = {} if stored is None else {"trade": (stored, SESSION + stored)}
    return Repair(Opening(100, C, 2, ("trade",)), takeover, known)


def test_what_lies_behind_mongodb_is_written_and_bears_out_the_last_word() -> None:
    stores = Stores([entry(number) for number in range(1, 10)])
    made = repair(stores, 4, claim(1, 8))
    assert made.hand_on(stores.read, stores.write, lambda: False)
    assert stores.written == [(number, SESSION + number) for number in range(5, 10)]
    assert made.borne_out() == [claim(1, 8)]
    assert made.ends() == {"trade": (9, SESSION + 9)}


def test_entries_of_the_new_session_are_not_touched_and_end_the_wait() -> None:
    stores = Stores([entry(5), entry(10, 2)])
    made = repair(stores, 4, claim(1, 5))
    assert not made.hand_on(stores.read, stores.write, lambda: False)
    stores.streams["feed"] = [entry(11, 2)]
    assert made.hand_on(stores.read, stores.write, lambda: False)
    assert stores.written == [(5, SESSION + 5)]
    assert made.borne_out() == [claim(1, 5)]


def test_a_stream_that_mongodb_knows_nothing_of_gives_its_last_session_alone() -> None:
    stores = Stores([entry(number, 0) for number in range(1, 4)] + [entry(number) for number in range(4, 10)])
    made = repair(stores, None, claim(4, 9))
    assert made.hand_on(stores.read, stores.write, lambda: False)
    assert stores.written[0] == (4, SESSION + 4)
    assert made.borne_out() == [claim(4, 9)]


def test_no_time_is_not_done() -> None:
    stores = Stores([entry(5)])
    made = repair(stores, 4, claim(1, 5), end=5)
    assert not made.hand_on(stores.read, stores.write, lambda: True)
    assert stores.written == []


@given(st.sets(st.integers(1, 12)), st.integers(0, 12), st.integers(1, 12), st.integers(0, 11))
def test_a_last_word_is_passed_on_only_where_every_entry_it_counts_is_stored(
    in_stream: set[int], stored: int, first: int, more: int
) -> None:
    told = claim(first, min(first + more, 12))
    stores = Stores([entry(number) for number in sorted(in_stream)], [entry(20, 2)])
    made = repair(stores, stored, told, end=12)
    assert made.hand_on(stores.read, stores.write, lambda: False)
    in_mongo = {number for number, _ in stores.written} | set(range(1, stored + 1))
    assert stores.written == [(number, SESSION + number) for number in sorted(in_stream) if number > stored]
    counted = set(range(first, min(first + more, 12) + 1))
    if made.borne_out():
        assert counted <= in_mongo
    # Where nothing is lacking up to the last entry, the word stands.
    is_whole = in_mongo == set(range(1, max(in_mongo, default=0) + 1))
    assert made.borne_out() or not (stored and is_whole and counted <= in_mongo)


def test_claims_stand_in_redis_as_text_and_what_cannot_be_read_is_left_out() -> None:
    fields = claim_fields({"trade": claim(1, 5)})
    assert claims_in({**fields, "claim:tick": "{", "claim:book": "[]", "alive": "5"}) == {"trade": claim(1, 5)}
