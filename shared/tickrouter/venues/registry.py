"""Which adapter speaks for a venue: the name in its card to the class."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tickrouter.errors import ConfigError
from tickrouter.model.contract import Contract
from tickrouter.venues.base import MarketAdapter
from tickrouter.venues.btcturk.market import BtcturkMarket
from tickrouter.venues.card import Card

_MARKET: dict[str, Callable[[Card, Iterable[Contract]], MarketAdapter]] = {"btcturk": BtcturkMarket}


def market_adapter(card: Card, contracts: Iterable[Contract]) -> MarketAdapter:
    """The adapter of a venue's public feed.

    Args:
        card: the venue's card.
        contracts: what will be recorded; frames of others are passed over.

    Raises:
        ConfigError: the card names an adapter that does not exist.
    """
    if card.adapter not in _MARKET:
        raise ConfigError(f"card {card.name}: adapter: no {card.adapter!r}; there are: {', '.join(sorted(_MARKET))}")
    return _MARKET[card.adapter](card, contracts)
