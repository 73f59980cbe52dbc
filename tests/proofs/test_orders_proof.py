"""The proofs that every test run makes: all single kills without a fault, and a seeded sample of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import uvloop

from tests.proofs import forgets, limits, matrix
from tests.proofs.cell import Cell, Result
from tests.proofs.matrix import Lanes, Store
from tests.proofs.twins import TWINS

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]

SEED = 1
SAMPLE = {"singles": 30, "stops": 10, "forgets": 12, "pairs": 16}
COLUMNS = {"singles": matrix.singles, "stops": matrix.stops, "forgets": matrix.forgets}
START = (
    "redis:SET",
    "redis:XGROUP CREATE",
    "redis:epoch",
    "redis:mark",
    "http:GET server/time",
    "http:GET server/exchangeinfo",
    "http:GET socket",
    "socket:991",
    "socket:sent",
    "socket:114",
)
"""Messages that come before any command is read."""
AT_ONCE = 4
"""Cells that try to catch a twin before others are tried."""
BY_ITSELF = "fence by counter"
"""The twin that is tried when nothing else runs: it gives itself away only while its first lease holds."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Results of this run alone. What the tests ask for is done here side by side: most of a run is waiting."""
    made = Store.open(tmp_path_factory.mktemp("proofs"), fresh=True)
    run(made, matrix.clean_cells())
    cells = [*without_fault(made), *(cell for column in COLUMNS for cell in sampled(made, column))]
    twins = matrix.twins(made.traces, SEED)
    cells += [cell for name, tries in twins.items() if name != BY_ITSELF for cell in tries[:AT_ONCE]]
    run(made, cells)
    yield made


def sampled(store: Store, column: str) -> list[Cell]:
    """The seeded sample of a column; of what Redis forgets, some of each way."""
    cells = COLUMNS[column](store.traces)
    if column != "forgets":
        return matrix.sample(cells, SAMPLE[column], SEED)
    ways = [[cell for cell in cells if cell.column == way] for way in forgets.COLUMNS]
    return [cell for way in ways for cell in matrix.sample(way, SAMPLE[column] // len(ways), SEED)]


def without_fault(store: Store) -> list[Cell]:
    """All single kills without a fault, but those that differ in nothing."""
    return [cell for cell in matrix.singles(store.traces) if cell.fault == "none" and differs(cell)]


def differs(cell: Cell) -> bool:
    """False for what a router does the same way whatever it is to do: its start, and its questions to Redis and
    MongoDB; and for half a command, which is none to Redis. All of these are there where it places orders."""
    (point,) = cell.points
    half = point.phase == "middle" and point.name.startswith("redis:")
    speaks = point.name in matrix.WRITERS or point.name.startswith(matrix.VENUE)
    return cell.kind == "place" or (speaks and not half and point.name not in START)


def run(store: Store, cells: Sequence[Cell]) -> list[Result]:
    return uvloop.run(Lanes(store).run(cells))


def holds(results: Sequence[Result]) -> None:
    """Nothing is wrong in any of the runs."""
    assert results
    wrong = [f"{result.cell.key}: {'; '.join(result.wrong)}" for result in results if result.wrong]
    assert wrong == []


def test_every_fault_without_a_kill_breaks_nothing(store: Store) -> None:
    holds(run(store, matrix.clean_cells()))


def test_a_kill_at_any_message_breaks_nothing(store: Store) -> None:
    cells = without_fault(store)
    results = run(store, cells)
    holds(results)
    assert sum(result.reached for result in results) > 0.9 * len(cells)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_sample_of_kills_stops_and_losses_under_faults(store: Store, column: str) -> None:
    results = run(store, sampled(store, column))
    holds(results)
    if column == "forgets":
        assert {result.cell.column for result in results} == set(forgets.COLUMNS)


def test_a_sample_of_second_kills_during_recovery(store: Store) -> None:
    cells = matrix.pairs(store.results.values())
    results = run(store, matrix.sample(cells, SAMPLE["pairs"], SEED))
    holds(results)
    assert any(result.reached for result in results)


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_router_is_caught(store: Store, twin: str) -> None:
    cells = matrix.twins(store.traces, SEED)[twin]
    while cells and not any(result.convicts for result in run(store, cells[:AT_ONCE])):
        cells = cells[AT_ONCE:]
    assert cells


def test_four_routers_meet_no_refusal_and_waste_nothing() -> None:
    assert uvloop.run(limits.prove_limits(12.0, SEED)).wrong() == []


def test_results_of_other_code_are_not_taken(tmp_path: Path) -> None:
    cell = Cell("singles", "place")
    store = Store.open(tmp_path)
    store.add(Result(cell, (), True, 0.1))
    assert set(Store.open(tmp_path).results) == {cell.key}
    (tmp_path / "code").write_text("of other code")
    assert Store.open(tmp_path).results == {}
