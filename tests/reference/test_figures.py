"""The committed figures of the generated market are those of the recorded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import measure_flow
from services.simulator.markets import figures
from services.simulator.markets.recording import Recording

pytestmark = pytest.mark.reference

COMMITTED = {
    "BTCUSDT": (figures.BTCUSDT, figures.BTCUSDT_SEEN),
    "ETHUSDT": (figures.ETHUSDT, figures.ETHUSDT_SEEN),
}


def test_measuring_again_gives_the_file_as_it_is(reference: Path) -> None:
    paths = measure_flow.recordings_in(reference)
    results = {}
    for path in paths:
        recording = Recording.open(path)
        results[recording.symbol] = measure_flow.measure(recording)
    assert results == COMMITTED
    text = measure_flow.figures_source(results, [path.name for path in paths])
    assert text == Path(figures.__file__).read_text(encoding="utf-8")
