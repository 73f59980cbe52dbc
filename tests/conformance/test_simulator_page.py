"""Every call of docs/simulator.md works as it is written there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.simulator.faults import KINDS
from tests.simulation import Simulation, start_simulator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"
CALLS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("curl ")]


def parts(call: str) -> tuple[str, str, dict[str, object] | None]:
    """Method, path and body of a curl line."""
    words = shlex.split(call)[1:]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
    address = next(word for word in words if word.startswith("localhost:8001/"))
    return method, address.removeprefix("localhost:8001"), body


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """A venue that only this page's calls play with."""
    with start_simulator(tmp_path_factory.mktemp("page")) as simulation:
        yield simulation


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_taken(played: Simulation, call: str) -> None:
    method, path, body = parts(call)
    answer = played.call(method, path, body)
    assert "error" not in answer


def test_the_page_shows_every_kind_of_fault() -> None:
    shown = {str(body["kind"]) for _method, path, body in map(parts, CALLS) if path == "/fault" and body is not None}
    assert shown == set(KINDS)


def test_a_fault_of_the_page_waits_with_its_options(venue: Simulation) -> None:
    call = next(call for call in CALLS if "late_answer" in call)
    venue.call(*parts(call))
    (fault,) = venue.faults()
    assert (fault["kind"], fault["endpoint"], fault["delay_ms"]) == ("late_answer", "POST /api/v1/order", 3000)
