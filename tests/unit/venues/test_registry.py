"""Which adapter a card gets, and what no adapter is asked for."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from tickrouter.errors import ConfigError
from tickrouter.venues.card import load_card
from tickrouter.venues.registry import trading_adapter

CARD = load_card(Path(__file__).parents[3] / "configs/venues/btcturk.yaml")
KEY = ("public", b64encode(b"secret").decode())


def test_a_card_gets_the_adapter_that_it_names() -> None:
    assert trading_adapter(CARD, key=KEY).server_time().endpoint == "GET /api/v2/server/time"
    with pytest.raises(ConfigError, match="there are: btcturk"):
        trading_adapter(CARD.model_copy(update={"adapter": "nobody"}), key=KEY)


@pytest.mark.parametrize("promise", ["native_amend", "client_id_lookup", "repeated_id_refused"])
def test_a_card_that_promises_what_its_adapter_makes_no_use_of_is_refused(promise: str) -> None:
    promised = CARD.capabilities.model_copy(update={promise: True})
    with pytest.raises(ConfigError, match=promise):
        trading_adapter(CARD.model_copy(update={"capabilities": promised}), key=KEY)
