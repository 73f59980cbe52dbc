from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.markets.figures import BTCUSDT, ETHUSDT
from services.simulator.markets.shape import PROBABILITIES, Kernel, Quantiles, Shape

TABLE = Quantiles(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


@pytest.mark.parametrize(("probability", "value"), [*zip(PROBABILITIES, TABLE.values, strict=True)])
def test_a_table_gives_its_own_values(probability: float, value: float) -> None:
    assert TABLE.at(probability) == pytest.approx(value)


def test_between_two_values_the_scale_is_logarithmic() -> None:
    assert TABLE.at(0.55) == pytest.approx((64 * 128) ** 0.5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_values_rise_with_the_probability_and_stay_in_the_table(one: float, other: float) -> None:
    low, high = TABLE.at(min(one, other)), TABLE.at(max(one, other))
    assert 1 <= low <= high * (1 + 1e-12) <= 8192 * (1 + 1e-9)


def test_equal_tables_are_equal() -> None:
    assert Quantiles(*TABLE.values) == TABLE
    assert hash(Quantiles(*TABLE.values)) == hash(TABLE)
    assert Quantiles(*range(1, 15)) != TABLE


def test_the_update_rate_counts_what_updates_call() -> None:
    shape = replace(BTCUSDT, background=10.0, kernels=(Kernel(0.5, 100.0), Kernel(0.25, 1.0)))
    assert shape.update_rate == pytest.approx(40.0)


@pytest.mark.parametrize("shape", [BTCUSDT, ETHUSDT])
def test_measured_flow_does_not_explode(shape: Shape) -> None:
    assert sum(kernel.children for kernel in shape.kernels) < 1
