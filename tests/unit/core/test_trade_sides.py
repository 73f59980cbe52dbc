"""When the card's sides are right, wrong, or not known yet."""

from __future__ import annotations

import pytest

from tickrouter.core.trade_sides import verdict
from tickrouter.model.trade import Trade

C = "btcturk/btc.try"


@pytest.mark.parametrize(
    ("seen", "told", "expected"),
    [
        ("", "", "open"),
        ("bs", "", "open"),
        ("b", "b", "right"),
        ("b", "s", "open"),
        ("bs", "sb", "open"),
        ("bsb", "sbs", "wrong"),
        ("bsb", "bsb", "right"),
        ("bsb", "bss", "right"),
        ("bsbb", "sbsb", "open"),
    ],
)
def test_only_several_trades_that_all_differ_prove_the_card_wrong(seen: str, told: str, expected: str) -> None:
    trades = [Trade(1, 1.0, 1.0, side, str(number), C) for number, side in enumerate(told)]
    assert verdict({str(number): side for number, side in enumerate(seen)}, [*trades, Trade(1, 1, 1, "b", "x", C)]) == (
        expected
    )
