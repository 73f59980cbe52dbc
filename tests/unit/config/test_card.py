"""Venue cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tickrouter.errors import ConfigError
from tickrouter.venues.card import load_card

CARD = Path(__file__).parents[3] / "configs/venues/btcturk.yaml"


def changed(folder: Path, change: dict[str, Any]) -> Path:
    file = folder / "card.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(CARD.read_text()) | change))
    return file


def test_btcturks_card_holds_its_documented_limits() -> None:
    card = load_card(CARD)
    limits = {(rule.endpoint, rule.interval): rule.limit for rule in card.rules}
    # BTCTurk's documentation: 300 a minute and 10 a second, POST and DELETE apart.
    assert limits["POST /api/v1/order", 60] == limits["DELETE /api/v1/order", 60] == 300
    assert limits["POST /api/v1/order", 1] == limits["DELETE /api/v1/order", 1] == 10
    assert not card.capabilities.repeated_id_refused
    assert not card.capabilities.native_amend


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in load_card(CARD).rules]
    assert len(names) == len(set(names))


def test_only_part_of_a_window_is_used() -> None:
    assert all(rule.usable <= rule.limit for rule in load_card(CARD).rules)
    assert {rule.usable for rule in load_card(CARD).rules if rule.name == "place_second"} == {8}


def test_other_hosts_leave_the_rest_alone() -> None:
    card = load_card(CARD)
    other = card.with_hosts({"public": "http://127.0.0.1:1"})
    assert other.hosts.public == "http://127.0.0.1:1"
    assert other.hosts.socket == card.hosts.socket
    assert other.limits == card.limits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"products": ["moon"]}, "products.0: input should be 'spot' or 'perp'; found 'moon'"),
        ({"limits": [{"name": "x", "limit": 0, "interval": 1, "endpoint": "*"}]}, "limits.0.limit: "),
        ({"colour": "red"}, "colour: no such key here; found 'red'"),
        ({"errors": {"SOME_WORDS": "unheard_of"}}, "errors.SOME_WORDS: "),
        ({"hosts": {"public": "x"}}, "hosts.private: missing, but needed"),
    ],
)
def test_errors_name_file_key_and_what_was_found(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    file = changed(tmp_path, change)
    with pytest.raises(ConfigError) as caught:
        load_card(file)
    assert f"{file}: {words}" in str(caught.value)


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_card(changed(tmp_path, {"colour": "r" * 500}))
    assert len(str(caught.value)) < 250
