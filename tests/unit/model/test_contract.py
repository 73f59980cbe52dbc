"""Contract names and their aliases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import CONTRACTS, JUNK
from tickrouter.errors import InvalidContract
from tickrouter.model.contract import Contract

BTC_TRY = Contract("btcturk", "btc", "try")
PERP = Contract("btcc", "btc", "usdt", "perp")


@pytest.mark.parametrize(
    ("text", "symbol", "expected"),
    [
        ("btcturk/btc.try", None, BTC_TRY),
        (" BTCTURK/BTC.TRY ", None, BTC_TRY),
        ("btc.try:xtc.btcturk", None, BTC_TRY),
        ("BTCTURK___SPOT", "BTCTRY", BTC_TRY),
        ("BTCTURK___SPOT", "BTC-TRY", BTC_TRY),
        ("btcturk", "BTC_TRY", BTC_TRY),
        ("btcturk", "BTC/TRY", BTC_TRY),
        ("btcturk", "btctry", BTC_TRY),
        ("btcc/btc.usdt.perp", None, PERP),
        ("btc.usdt:swap.btcc", None, PERP),
        ("BTCC___SWAP", "BTCUSDT", PERP),
        ("BTCC___FUTURES", "BTC_USDT", PERP),
    ],
)
def test_every_accepted_form_names_the_same_contract(text: str, symbol: str | None, expected: Contract) -> None:
    assert Contract.parse(text, symbol) == expected


@given(CONTRACTS)
def test_the_canonical_name_reads_back(contract: Contract) -> None:
    assert Contract.parse(str(contract)) == contract


@given(CONTRACTS)
def test_the_old_btp_form_reads_back(contract: Contract) -> None:
    kind = "xtc" if contract.product == "spot" else "swap"
    assert Contract.parse(f"{contract.base}.{contract.quote}:{kind}.{contract.venue}") == contract


@given(CONTRACTS.filter(lambda contract: "_" not in contract.base + contract.quote + contract.venue))
def test_the_bt_api_form_reads_back(contract: Contract) -> None:
    place = f"{contract.venue}___{'spot' if contract.product == 'spot' else 'swap'}".upper()
    symbol = f"{contract.base}-{contract.quote}".upper()
    assert Contract.parse(place, symbol) == contract


@pytest.mark.parametrize(
    "text",
    ["", "btc.try", "btcturk/btc", "btcturk/btc.try.spot", "btcturk/btc.try/x", "btc.try:xtc", "a:b:c", "x" * 101],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidContract):
        Contract.parse(text)


def test_a_symbol_without_a_known_quote_says_what_to_do() -> None:
    with pytest.raises(InvalidContract, match="write it as BASE-QUOTE"):
        Contract.parse("btcturk", "BTCXYZ")


@given(JUNK, st.none() | st.text(max_size=12))
def test_junk_raises_nothing_but_invalid_contract(junk: object, symbol: str | None) -> None:
    try:
        parsed = Contract.parse(junk, symbol)
    except InvalidContract:
        return
    assert Contract.parse(str(parsed)) == parsed
