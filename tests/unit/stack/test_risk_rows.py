"""Risk rules side by side: configured, set while running, in force."""

from __future__ import annotations

from services.stack.commands.risk import Row, rows
from tickrouter.config import Risk

RISK = Risk(contracts=("btcturk/btc.try",), max_notional={"try": "1000", "usdt": "50"}, max_open_orders=5)


def by_rule(overlay: dict[str, str]) -> dict[str, Row]:
    return {row.rule: row for row in rows(RISK, overlay)}


def test_without_an_overlay_the_configuration_counts() -> None:
    found = by_rule({})
    assert found["contracts"] == Row("contracts", "btcturk/btc.try", None, "btcturk/btc.try")
    assert found["max_notional:try"] == Row("max_notional:try", "1000", None, "1000")
    assert found["max_open_orders"] == Row("max_open_orders", "5", None, "5")
    assert found["price_band"] == Row("price_band", None, None, None)


def test_what_is_set_counts_and_an_empty_text_lifts_a_limit() -> None:
    found = by_rule({"max_notional:try": "", "max_position:btc": "0.5", "price_band": "0.1", "contracts": ""})
    assert found["max_notional:try"] == Row("max_notional:try", "1000", "", None)
    assert found["max_notional:usdt"].in_force == "50"
    assert found["max_position:btc"] == Row("max_position:btc", None, "0.5", "0.5")
    assert found["price_band"].in_force == "0.1"
    assert found["contracts"].in_force == "none"


def test_what_the_router_does_not_take_is_said_and_changes_nothing() -> None:
    found = by_rule({"max_open_orders": "many", "speed": "1"})
    assert (found["max_open_orders"].in_force, found["max_open_orders"].wrong) == ("5", "'many' is no number")
    assert "no such rule" in str(found["speed"].wrong)
