"""The measuring script, on recordings whose figures are known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import measure_flow
from services.simulator.markets.bursts import Bursts
from services.simulator.markets.recording import Printed, Recording
from services.simulator.markets.shape import PROBABILITIES, Kernel
from tests.recordings import diff, snapshot, top, trade, write

SECOND = 1_000_000_000


def test_kernels_of_a_known_process_are_found_again() -> None:
    known = (Kernel(0.4, 5000.0), Kernel(0.2, 80.0), Kernel(0.2, 1.0))
    bursts = Bursts(Random(8), 20.0, known)
    background, found = measure_flow.kernels_of([bursts.next() for _ in range(40_000)])
    assert background == pytest.approx(20.0, rel=0.25)
    for measured, true in zip(found, known, strict=True):
        assert measured.children == pytest.approx(true.children, abs=0.06)
        assert measured.decay == pytest.approx(true.decay, rel=0.35)


def test_trades_of_one_moment_and_side_are_one_taker() -> None:
    def printed(time_ms: int, taker: str, amount: str) -> Printed:
        return Printed(time_ms, "X", 1, measure_flow.Decimal(1), measure_flow.Decimal(amount), taker, time_ms)

    trades = [printed(1, "buy", "1"), printed(1, "buy", "2"), printed(1, "sell", "4"), printed(2, "sell", "8")]
    takers = measure_flow.Takers.of(trades)
    assert takers.sizes == [3.0, 4.0, 8.0]
    assert takers.buys == [True, False, False]


def made(folder: Path) -> Recording:
    """A spread of one tick that opens upwards each second, twice followed and once taken back; 600 seconds."""
    draw = Random(1).uniform
    lines: list[tuple[int, object]] = []
    lines.append((0, snapshot(0, [["50.00", "1.0"]], [["150.00", "1.0"]])))
    price, update = 100.0, 1
    for second in range(600):
        at = second * SECOND
        follows = second % 3 != 2

        def quote(after: float, bid: float, ask: float, size: float = 1.0, at: int = at) -> None:
            nonlocal update
            update += 1
            lines.append(
                (at + int(after * SECOND), top(update, (f"{bid:.2f}", f"{size:.3f}"), (f"{ask:.2f}", "1.000")))
            )

        quote(0.0, price, price + 0.01)
        quote(0.3, price, price + 0.01, 1.5)
        quote(0.5, price, price + 0.03)
        lines.append((at + SECOND // 2, trade(second, f"{price + 0.01:.2f}", f"{draw(0.1, 2):.3f}", second)))
        end = price + 0.02 if follows else price
        quote(0.75, end, end + 0.01)
        price = end
        far = f"{price - 0.15:.2f}"
        lines.append((at + SECOND // 4, diff(second + 1, second + 1, second, [[far, "2.0"]], [])))
        lines.append((at + SECOND * 3 // 4, diff(second + 1, second + 1, second, [[far, "0.0"]], [])))
    return Recording.open(write(folder / "made.gz", sorted(lines, key=lambda line: line[0])))


def test_what_the_best_prices_do_is_measured(tmp_path: Path) -> None:
    recording = made(tmp_path)
    flow = measure_flow.Flow.read(recording)
    touch = measure_flow.Touch(flow, 0.01)
    assert len(touch.opening) == 600
    assert touch.up.all()
    assert np.mean(touch.follows()) == pytest.approx(2 / 3)
    assert touch.spells() == pytest.approx(np.full(600, 0.25))
    assert np.abs(touch.moved()[touch.follows()]) == pytest.approx(np.full(400, 0.02 / touch.mid[0] * 1e4), rel=0.1)
    assert touch.swept(flow.trades).all()
    assert touch.narrow_share() == pytest.approx(0.75, abs=0.01)
    assert set(np.round(touch.changes(), 3)) == {0.5}


def test_levels_are_measured_by_distance(tmp_path: Path) -> None:
    recording = made(tmp_path)
    flow = measure_flow.Flow.read(recording)
    depth = measure_flow.Depth.of(flow, measure_flow.Touch(flow, 0.01))
    band = measure_flow.REACHES.index(20.0)
    assert depth.lives[band] == pytest.approx([0.5] * 600)
    assert set(depth.sizes[band]) == {2.0}
    assert (depth.appeared, depth.ended) == (600, 600)


def test_quantiles_are_those_of_the_values() -> None:
    table = measure_flow.quantiles(range(1, 10_001))
    assert table.values == pytest.approx([probability * 10_000 for probability in PROBABILITIES], rel=0.01)
    assert all(one < other for one, other in pairwise(table.values))


def test_without_recorded_files_it_says_what_it_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        measure_flow.main([str(tmp_path)])
    assert "name their folder, or set TICKROUTER_REFERENCE" in capsys.readouterr().err
