"""Which adapter speaks for a venue: the name in its card to the class."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tickrouter.errors import ConfigError
from tickrouter.model.contract import Contract
from tickrouter.venues.base import MarketAdapter
from tickrouter.venues.btcturk.market import BtcturkMarket
from tickrouter.venues.btcturk.signing import Signer
from tickrouter.venues.btcturk.trading import BtcturkTrading
from tickrouter.venues.card import Card
from tickrouter.venues.trading import TradingAdapter

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


def trading_adapter(card: Card, *, key: tuple[str, str], socket_key: tuple[str, str] | None = None) -> TradingAdapter:
    """The adapter of a venue's private calls, for one account.

    Args:
        card: the venue's card.
        key: public and private key for REST.
        socket_key: the same for the private socket, where the account has one.

    Raises:
        ConfigError: no such adapter, or one that cannot do what the card promises, or a malformed key.
    """
    if card.adapter not in _TRADING:
        raise ConfigError(f"card {card.name}: adapter: no {card.adapter!r}; there are: {', '.join(sorted(_TRADING))}")
    for promise in _UNUSED:
        if getattr(card.capabilities, promise):
            # What the router would do is the same all the same: nobody is to rely on anything else.
            raise ConfigError(
                f"card {card.name}: capabilities.{promise}: the adapter {card.adapter} makes no use of it"
            )
    return _TRADING[card.adapter](card, key, socket_key)


def _btcturk_trading(card: Card, key: tuple[str, str], socket_key: tuple[str, str] | None) -> TradingAdapter:
    return BtcturkTrading(card, Signer(*key), Signer(*socket_key) if socket_key else None)


_UNUSED = ("native_amend", "client_id_lookup", "repeated_id_refused")
"""What no adapter can make use of yet: an amend is a cancel and a place, an order is looked for in listings only, and
none is sent again."""
_TRADING = {"btcturk": _btcturk_trading}
