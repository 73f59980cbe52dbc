"""The recorder's proof in short: a sample of kills, stops and bad moments of servers, and every broken twin."""

from __future__ import annotations

import pytest
import uvloop

from tests.proofs.recorder import matrix
from tests.proofs.recorder.__main__ import LANES, VENUE, caught
from tests.proofs.recorder.run import Case, Outcome, run_all, run_case
from tests.proofs.world import world

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]

SEED = 1


def test_a_sample_of_kills_and_bad_moments_loses_nothing_in_silence_and_twins_are_caught() -> None:
    async def prove() -> tuple[list[Outcome], dict[str, list[Outcome]]]:
        async with world(**VENUE) as place:
            clean = await run_case(place, Case())
            cases = [
                *matrix.sample(matrix.kills(clean.trace), 8, SEED),
                *matrix.sample(matrix.stops(clean.trace), 2, SEED),
                *matrix.sample(matrix.troubles(), 3, SEED),
                *matrix.sample(matrix.pairs(), 1, SEED),
            ]
            outcomes = [clean, *await run_all(place, cases, LANES, lambda _: None)]
            return outcomes, {name: await caught(place, twin) for name, twin in matrix.twins().items()}

    outcomes, twins = uvloop.run(prove())
    assert [f"{one.case}: {'; '.join(one.verdict.wrong)}" for one in outcomes if one.verdict.wrong] == []
    assert sum(one.verdict.sent for one in outcomes) > 1000
    assert sum(one.verdict.excused for one in outcomes) > 0
    assert {name: bool(found[-1].verdict.wrong) for name, found in twins.items()} == dict.fromkeys(twins, True)
