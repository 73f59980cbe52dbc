"""What a venue says an account holds, against what its executions come to."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.balances import Base, Comparison, Difference, moves
from tickrouter.model.account import Balance
from tickrouter.model.contract import Contract
from tickrouter.model.fill import Fill

CONTRACT = Contract("btcturk", "btc", "try")
SETTLE = 10


def fill(amount: int, seq: int, fee: str = "1") -> Fill:
    return Fill(str(seq), Decimal(100), Decimal(amount), Decimal(fee), "try", "taker", 0, seq)


def held(btc: Decimal, tl: Decimal) -> tuple[Balance, ...]:
    zero = Decimal(0)
    return Balance("btc", btc, btc, zero, 0), Balance("try", tl, tl, zero, 0)


def test_what_an_execution_moves() -> None:
    assert moves(CONTRACT, "b", fill(2, 1)) == {"btc": Decimal(2), "try": Decimal(-201)}
    assert moves(CONTRACT, "s", fill(2, 1)) == {"btc": Decimal(-2), "try": Decimal(199)}


def test_a_figure_is_agreed_on_when_it_has_stood_for_a_while() -> None:
    comparison = Comparison(SETTLE)
    assert comparison.read(held(Decimal(1), Decimal(2)), 0, 0) == ([], {})
    assert comparison.is_unsettled
    assert comparison.read(held(Decimal(1), Decimal(3)), 0, 9) == ([], {})
    differences, bases = comparison.read(held(Decimal(1), Decimal(3)), 0, 10)
    assert (differences, bases) == ([], {"btc": Base(Decimal(1), 0)})
    assert comparison.read(held(Decimal(1), Decimal(3)), 4, 20) == ([], {"try": Base(Decimal(3), 4)})
    assert not comparison.is_unsettled


def test_a_difference_is_told_once_with_both_figures() -> None:
    comparison = Comparison(SETTLE, {"btc": Base(Decimal(1), 0), "try": Base(Decimal(1000), 0)})
    comparison.executed(CONTRACT, "b", [fill(2, 1)], 0)
    taken = held(Decimal("2.5"), Decimal(799))
    assert comparison.read(taken, 1, 5) == ([], {})
    differences, bases = comparison.read(taken, 1, 15)
    assert differences == [Difference("btc", Decimal(3), Decimal("2.5"), 1)]
    assert bases == {"btc": Base(Decimal("2.5"), 1), "try": Base(Decimal(799), 1)}
    assert str(differences[0]) == (
        "balance of btc: expected 3 (the last figure agreed on and 1 fills since); venue: 2.5"
    )
    assert comparison.read(taken, 1, 30) == ([], {})


def test_rounding_of_fees_is_no_difference() -> None:
    comparison = Comparison(SETTLE, {"try": Base(Decimal(1000), 0)})
    comparison.executed(CONTRACT, "s", [fill(1, 1, "0.100000004")], 0)
    for now in (0, 20):
        differences, _ = comparison.read(held(Decimal(0), Decimal("1099.89999999")), 1, now)
    assert differences == []


def test_what_was_published_while_nobody_compared_counts_from_its_number_on() -> None:
    comparison = Comparison(SETTLE, {"btc": Base(Decimal(10), 2)})
    for seq in (1, 2, 3):
        comparison.missed(CONTRACT, "b", fill(1, seq))
    for now in (0, 20):
        differences, bases = comparison.read(held(Decimal(11), Decimal(5)), 3, now)
    assert differences == []
    assert bases["btc"] == Base(Decimal(11), 3)


@given(
    st.lists(
        st.tuples(st.integers(-3, 3).filter(bool), st.integers(0, 12), st.integers(0, SETTLE - 1), st.booleans()),
        max_size=20,
    ),
    st.lists(st.integers(1, 9), min_size=30, max_size=60),
)
def test_nothing_is_told_while_the_venue_and_the_journal_have_the_same_executions(
    executions: list[tuple[int, int, int, bool]], pauses: list[int]
) -> None:
    """Each is in the venue's figure and in the journal at times that differ by less than a figure has to stand."""
    at_venue: list[tuple[int, Fill, str]] = []
    journaled: list[tuple[int, Fill, str]] = []
    now = 0
    for number, (amount, pause, lag, journal_first) in enumerate(executions, 1):
        now += pause
        one = (fill(abs(amount), number), "b" if amount > 0 else "s")
        at_venue.append((now + (lag if journal_first else 0), *one))
        journaled.append((now + (0 if journal_first else lag), *one))
    comparison = Comparison(SETTLE, {"btc": Base(Decimal(100), 0), "try": Base(Decimal(100_000), 0)})
    journaled.sort(key=lambda row: row[0])
    now = told = 0
    for pause in [*pauses, SETTLE, SETTLE, SETTLE + 200, SETTLE + 200]:
        now += pause
        while told < len(journaled) and journaled[told][0] <= now:
            at, one, side = journaled[told]
            comparison.executed(CONTRACT, side, [one], at)
            told += 1
        total = {"btc": Decimal(100), "try": Decimal(100_000)}
        for at, one, side in at_venue:
            if at <= now:
                for currency, moved in moves(CONTRACT, side, one).items():
                    total[currency] += moved
        differences, _ = comparison.read(held(total["btc"], total["try"]), told, now)
        assert differences == []
    # What comes from elsewhere is told, however busy it was.
    strange = held(total["btc"] + 1, total["try"])
    found = [comparison.read(strange, told, now + later)[0] for later in (500, 500 + SETTLE, 600)]
    assert [len(one) for one in found] == [0, 1, 0]
