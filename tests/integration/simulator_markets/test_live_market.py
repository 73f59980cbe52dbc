"""The live market against a second simulated venue: a process that mirrors a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.recordings import diff, snapshot, trade, write
from tests.simulation import Simulation, start_simulator
from tests.waiting import until

MS = 1_000_000
HOUR = 3_600_000 * MS


def burst(folder: Path) -> Path:
    """A recording of two busy seconds, with its end an hour later: so that the venue's book then stands still."""
    lines: list[tuple[int, object]] = [
        (0, diff(1, 1, 0, [["99.00", "1.00"]], [])),
        (
            1 * MS,
            snapshot(
                1,
                [[f"{100 - at / 100:.2f}", f"{at + 1}.5"] for at in range(250)],
                [[f"{100.05 + at / 100:.2f}", f"{at + 1}.25"] for at in range(250)],
            ),
        ),
    ]
    for at in range(2, 1000):
        bid, ask = f"{100 - at % 240 / 100:.2f}", f"{100.05 + at % 230 / 100:.2f}"
        amount = f"{at % 7}.00" if at % 240 else "1.00"
        lines.append((at * 2 * MS, diff(at, at, at * 2, [[bid, amount]], [[ask, f"{at % 5 + 1}.00"]])))
        if at % 5 == 0:
            lines.append((at * 2 * MS + 1, trade(at, bid, f"0.{at % 9 + 1}0", at * 2, sold=at % 2 == 0)))
    lines.append((HOUR, trade(5_000, "100.00", "1.00", 2_100)))
    return write(folder / "burst.raw.gz", lines)


def printed(venue: Simulation, pair: str) -> list[tuple[Any, ...]]:
    """Trades of a pair without their ids, which are each venue's own."""
    return [
        tuple(row[key] for key in sorted(row) if key not in ("id", "tid", "I", "pair")) for row in venue.trades(pair)
    ]


def sides(venue: Simulation, pair: str) -> tuple[Any, Any]:
    book = venue.published_book(pair)
    return book["bids"], book["asks"]


def test_books_and_trades_are_those_of_the_other_venue(tmp_path: Path) -> None:
    market = str(burst(tmp_path))
    options = {"record_frames": True, "book_interval_ms": 100.0}
    with (
        start_simulator(tmp_path / "far", market=market, hold_market=True, **options) as far,
        start_simulator(tmp_path / "near", market="live", live_host=far.socket, **options) as near,
    ):
        until(lambda: far.counts()["sockets"] >= 1)
        far.start_market()
        until(lambda: len(far.trades("BTCUSDT")) == 199, 20)
        until(lambda: sides(near, "BTCUSDT") == sides(far, "BTCUSDT"), 20)
        until(lambda: printed(near, "BTCUSDT") == printed(far, "BTCUSDT"))
        assert len(sides(near, "BTCUSDT")[0]) > 150
        until(lambda: len(near.trades("BTCTRY")) >= 20, 20)
        mirrored, original = printed(near, "BTCTRY"), printed(far, "BTCTRY")
        assert mirrored == original[: len(mirrored)]


def test_it_comes_back_when_the_other_venue_does(tmp_path: Path) -> None:
    with (
        start_simulator(tmp_path / "far") as far,
        start_simulator(tmp_path / "near", market="live", live_host=far.socket) as near,
    ):
        far.book("ETHUSDT", [("10.00", "1")], [("11.00", "2")])
        until(lambda: sides(near, "ETHUSDT") == ([["10", "1"]], [["11", "2"]]))
        far.kill()
        until(lambda: sides(near, "ETHUSDT") == ([], []))
        far.restart()
        far.book("ETHUSDT", [("20.00", "1")], [("21.00", "2")])
        far.trade("ETHUSDT", "20.50", "0.7", "buy")
        until(lambda: sides(near, "ETHUSDT") == ([["20", "1"]], [["21", "2"]]), 20)
        until(lambda: [row["price"] for row in near.trades("ETHUSDT")] == ["20.5"])
