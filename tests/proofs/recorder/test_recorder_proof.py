"""The recorder's proof in short: a sample of kills, stops and bad moments of servers, every broken twin, and books."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import uvloop

from tests.proofs.recorder import books, matrix
from tests.proofs.recorder.archiving import Packing
from tests.proofs.recorder.prove import (
    REFERENCE,
    USUAL,
    USUAL_LANES,
    columns,
    outcome_of,
    prove_books,
    twin_line,
    twins,
)
from tests.proofs.recorder.run import Case, Outcome
from tests.proofs.report import Line
from tests.proofs.world import world

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]

SEED = 1
SAMPLE = {"kills": 5, "stops": 1, "troubles": 2, "pairs": 1, "mongod's disk": 2, "archiver": 3}


def test_a_sample_of_kills_and_bad_moments_loses_nothing_in_silence_and_twins_are_caught() -> None:
    async def prove() -> tuple[list[Outcome], list[Line]]:
        async with world(**USUAL) as place:
            clean, packed = await asyncio.gather(outcome_of(place, Case()), outcome_of(place, Packing()))
            found = columns(clean, packed)
            cases = [case for name, count in SAMPLE.items() for case in matrix.sample(found[name], count, SEED)]
            turn = asyncio.Semaphore(USUAL_LANES)

            async def one(case: Case | Packing) -> Outcome:
                async with turn:
                    return await outcome_of(place, case)

            outcomes = [clean, packed, *await asyncio.gather(*(one(case) for case in cases))]
            lines = await asyncio.gather(*(twin_line(place, name, own) for name, own in twins(packed).items()))
            return outcomes, lines

    outcomes, caught = uvloop.run(prove())
    assert [f"{one.case}: {'; '.join(one.verdict.wrong)}" for one in outcomes if one.verdict.wrong] == []
    assert sum(one.verdict.sent for one in outcomes) > 1000
    assert sum(one.verdict.excused for one in outcomes) > 0
    assert [line.name for line in caught if not line.holds] == []
    assert len(caught) == 5


def test_no_wrong_book_is_recorded_as_good_and_the_twin_is_caught() -> None:
    lines = prove_books(lambda _: None, flows=2, seconds=15.0)
    assert [line.name for line in lines if not line.holds] == []


@pytest.mark.reference
def test_no_wrong_book_out_of_the_recorded_span() -> None:
    found = books.recorded(Path(os.environ[REFERENCE]), 2)
    assert (found.wrong, found.good > 1000, found.disturbed > 50) == ([], True, True)
