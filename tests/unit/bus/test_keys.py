"""Key names: as docs/wire.md lists them, and one cluster slot for what a script touches."""

from __future__ import annotations

import re

from hypothesis import given

from tests.strategies import CONTRACTS, OIDS
from tickrouter.bus.keys import AccountKeys, MarketKeys, permit

ACCOUNT = AccountKeys("btcturk/main")
MARKET = MarketKeys("btcturk/btc.try")


def tag(key: str) -> str:
    """What Redis Cluster hashes: the first {...}."""
    match = re.search(r"\{(.+?)\}", key)
    assert match is not None
    return match[1]


def test_market_keys() -> None:
    assert [MARKET.stream(kind) for kind in ("tick", "trade", "book", "feed", "bar:1m")] == [
        "tick:{btcturk/btc.try}",
        "trade:{btcturk/btc.try}",
        "book:{btcturk/btc.try}",
        "feed:{btcturk/btc.try}",
        "bar:{btcturk/btc.try}:1m",
    ]
    assert (MARKET.through, MARKET.lease) == ("through:{btcturk/btc.try}", "lease:{btcturk/btc.try}")


def test_a_prefix_sets_a_replay_apart() -> None:
    replay = MarketKeys("btcturk/btc.try", "replay:")
    assert replay.stream("tick") == "replay:tick:{btcturk/btc.try}"
    assert replay.through == "replay:through:{btcturk/btc.try}"


def test_every_key_of_an_account_has_its_name_and_tag() -> None:
    names = ["orders", "events", "fills", "open", "work", "watch", "xoid", "meta", "seen", "balance", "position"]
    names += ["dead", "lease", "halt", "risk"]
    assert [getattr(ACCOUNT, name) for name in names] == [f"{name}:{{btcturk/main}}" for name in names]
    assert ACCOUNT.alive("grid") == "alive:{btcturk/main}:grid"


@given(OIDS)
def test_an_order_shares_its_accounts_slot(client_oid: str) -> None:
    key = ACCOUNT.order(client_oid)
    assert key == f"order:{{btcturk/main}}:{client_oid}"
    assert tag(key) == tag(ACCOUNT.events)


@given(CONTRACTS, CONTRACTS)
def test_streams_of_one_contract_share_a_slot_and_no_key_with_another(one: object, other: object) -> None:
    keys = {MarketKeys(str(one)).stream(kind) for kind in ("tick", "trade", "book", "feed")}
    assert {tag(key) for key in keys} == {str(one)}
    assert one == other or not keys & {MarketKeys(str(other)).stream("tick")}


def test_permits_of_a_venue_share_a_slot() -> None:
    assert permit("btcturk", "place_second", "main") == "permit:{btcturk}:place_second:main"
