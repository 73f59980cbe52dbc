"""The generated flow by itself: reproducible, sound, and like what was measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from math import log
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.markets import figures, flow
from services.simulator.markets.flow import Action, Cancel, Flow, Place
from services.simulator.markets.generated import SHAPES
from services.simulator.markets.shape import Seen, Shape

SECONDS = 150
SAMPLE = 0.001


def played(shape: Shape, seed: str, cuts: Sequence[float], rate: float = 1.0) -> list[Action]:
    made = Flow(shape, seed, rate)
    return made.start() + [action for cut in cuts for action in made.until(cut)]


@dataclass
class Sample:
    """A flow looked at each millisecond."""

    seconds: float
    tops: list[tuple[Decimal | int, ...]] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)

    @property
    def mids(self) -> list[float]:
        return [float(bid + ask) / 2 for bid, _, ask, _ in self.tops]

    def volatility(self, seconds: float) -> float:
        """Standard deviation of the change of the mid price, basis points."""
        mids = self.mids[:: int(seconds / SAMPLE)]
        return pstdev(log(later / earlier) * 1e4 for earlier, later in itertools.pairwise(mids))


@cache
def sample(pair: str) -> Sample:
    made, found = Flow(SHAPES[pair], f"seen/{pair}"), Sample(SECONDS)
    made.start()
    bids, asks = made.shelves
    for step in range(1, int(SECONDS / SAMPLE) + 1):
        found.actions += made.until(step * SAMPLE)
        found.tops.append((bids.best, bids.lots(bids.best), -asks.best, asks.lots(asks.best)))
        found.depth.append(min(len(bids), len(asks)))
    return found


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 3), max_size=20))
def test_the_same_seed_gives_the_same_actions_however_time_is_cut(cuts: list[float]) -> None:
    shape = figures.BTCUSDT
    assert played(shape, "a", [*sorted(cuts), 3.0]) == played(shape, "a", [3.0])


def test_another_seed_gives_other_actions() -> None:
    assert played(figures.BTCUSDT, "a", [1.0]) != played(figures.BTCUSDT, "b", [1.0])


def test_nothing_is_told_twice() -> None:
    made = Flow(figures.ETHUSDT, "a")
    made.start()
    assert made.until(2.0)
    assert made.until(2.0) == []


def test_a_higher_rate_plays_the_same_quicker() -> None:
    slow, quick = played(figures.BTCUSDT, "a", [4.0]), played(figures.BTCUSDT, "a", [1.0], rate=4.0)
    assert [_what(action) for action in slow] == [_what(action) for action in quick]
    assert max(action.at for action in slow) > 3000
    assert max(action.at for action in quick) < 1001


def _what(action: Action) -> tuple[object, ...]:
    if isinstance(action, Cancel):
        return (action.order,)
    return (action.order, action.side, action.method, action.price, action.amount)


@pytest.mark.parametrize("pair", SHAPES)
def test_orders_are_sound(pair: str) -> None:
    shape = SHAPES[pair]
    placed: dict[int, Place] = {}
    cancelled: set[int] = set()
    before = 0
    for action in played(shape, "sound", [20.0]):
        assert action.at >= before
        before = action.at
        if isinstance(action, Place):
            assert action.order not in placed
            placed[action.order] = action
            assert action.amount > 0
            assert -action.amount.as_tuple().exponent <= shape.amount_scale
            assert (action.price is None) == (action.method == "market")
            if action.price is not None:
                assert 0.9 < float(action.price) / shape.mid < 1.1
                assert -action.price.as_tuple().exponent <= shape.price_scale
        else:
            assert placed[action.order].method == "limit"
            assert action.order not in cancelled
            cancelled.add(action.order)
    assert len(placed) > 2500
    assert len(cancelled) > 1000


@pytest.mark.parametrize("pair", SHAPES)
def test_the_book_is_never_crossed_and_stays_deep(pair: str) -> None:
    found = sample(pair)
    assert all(bid < ask for bid, _, ask, _ in found.tops)
    assert min(found.depth) >= 100


SEEN = [("BTCUSDT", figures.BTCUSDT_SEEN), ("ETHUSDT", figures.ETHUSDT_SEEN)]


@pytest.mark.parametrize(("pair", "seen"), SEEN)
def test_the_spread_is_open_as_long_as_measured(pair: str, seen: Seen) -> None:
    assert fmean(ask - bid == 1 for bid, _, ask, _ in sample(pair).tops) == pytest.approx(seen.narrow, abs=0.004)


@pytest.mark.parametrize(("pair", "seen"), SEEN)
def test_the_price_moves_as_much_as_measured(pair: str, seen: Seen) -> None:
    assert sample(pair).volatility(1.0) == pytest.approx(seen.volatility[0], rel=0.5)
    assert sample(pair).volatility(10.0) == pytest.approx(seen.volatility[1], rel=0.6)


@pytest.mark.parametrize(("pair", "seen"), SEEN)
def test_the_best_prices_change_about_as_often_as_measured(pair: str, seen: Seen) -> None:
    tops = sample(pair).tops
    changes = sum(one != other for one, other in itertools.pairwise(tops)) / SECONDS
    assert changes == pytest.approx(seen.busy, rel=0.25)


@pytest.mark.parametrize(("pair", "seen"), SEEN)
def test_takers_come_about_as_often_as_measured(pair: str, seen: Seen) -> None:
    shape = SHAPES[pair]
    actions = sample(pair).actions
    takers = sum(isinstance(action, Place) and action.method == "market" for action in actions) / SECONDS
    sweeps = shape.opens * shape.open_sweeps * shape.update_rate
    assert takers + sweeps == pytest.approx(seen.takers, rel=0.35)


@pytest.mark.parametrize(("pair", "seen"), SEEN)
def test_levels_change_about_as_often_as_measured(pair: str, seen: Seen) -> None:
    assert len(sample(pair).actions) / SECONDS == pytest.approx(seen.level_changes, rel=0.35)


def test_updates_come_in_bursts() -> None:
    """Counts in 100 ms vary far more than those of independent events, whose variance is their mean."""
    tops = sample("BTCUSDT").tops
    changed = [one != other for one, other in itertools.pairwise(tops)]
    counts = [sum(changed[at : at + 100]) for at in range(0, len(changed), 100)]
    assert pstdev(counts) ** 2 / fmean(counts) > 3


def test_the_price_comes_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pull made strong, the price stays far nearer to its home than without."""

    def strayed(home: float) -> float:
        monkeypatch.setattr(flow, "HOME", home)
        made = Flow(figures.BTCUSDT, "home")
        made.start()
        away = []
        for second in range(1, 240):
            made.until(second)
            away.append(abs(log(float(made.mid) / figures.BTCUSDT.mid)) * 1e4)
        return fmean(away)

    assert strayed(1e-4) < 0.5 * strayed(1e9)
