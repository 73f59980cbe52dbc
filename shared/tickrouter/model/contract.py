"""Contract names: `<venue>/<base>.<quote>` for spot, with `.perp` behind for perpetuals, in lower case."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from tickrouter.errors import InvalidContract

Product = Literal["spot", "perp"]

_PART = re.compile(r"[a-z0-9_]+\Z")
_QUOTES = ("usdt", "usdc", "busd", "fdusd", "try", "eur", "usd", "cny", "btc", "eth")
_BT_API_PRODUCTS: dict[str, Product] = {"spot": "spot", "swap": "perp", "futures": "perp", "perp": "perp"}
_FORMS = "venue/base.quote, venue/base.quote.perp, base.quote:xtc.venue, or VENUE___SPOT with a symbol"


@dataclass(frozen=True, slots=True, order=True)
class Contract:
    """What is traded, and where.

    Attributes:
        venue: name of the venue's card, e.g. `btcturk`.
        base: currency bought or sold, e.g. `btc`.
        quote: currency that prices are in, e.g. `try`.
        product: `spot` or `perp`.
    """

    venue: str
    base: str
    quote: str
    product: Product = "spot"
    text: str = field(init=False, repr=False, compare=False)
    """The name as it is written everywhere."""

    def __post_init__(self) -> None:
        for name in ("venue", "base", "quote"):
            part = getattr(self, name)
            if not _PART.match(part):
                raise InvalidContract("contract", f"{name} {part!r} is not made of a-z, 0-9 and _")
        tail = ".perp" if self.product == "perp" else ""
        object.__setattr__(self, "text", f"{self.venue}/{self.base}.{self.quote}{tail}")

    def __str__(self) -> str:
        return self.text

    @property
    def symbol(self) -> str:
        """Base and quote in capitals without a mark between, as most venues write it: `BTCTRY`."""
        return f"{self.base}{self.quote}".upper()

    @classmethod
    def parse(cls, text: str, symbol: str | None = None) -> Contract:
        """Read any accepted form.

        Args:
            text: `btcturk/btc.try`, `btcc/btc.usdt.perp`, `btc.try:xtc.btcturk` (Btp), or with `symbol` a venue
                (`btcturk`) or a bt_api exchange name (`BTCTURK___SPOT`).
            symbol: the venue's own symbol: `BTCTRY`, `BTC_TRY`, `BTC-TRY`, `BTC/TRY`.

        Raises:
            InvalidContract: the text is none of these; the message lists the forms.
        """
        if not isinstance(text, str) or len(text) > 100:
            raise InvalidContract("contract", f"not a short text; allowed: {_FORMS}")
        return _parsed(text, symbol)

    @classmethod
    def _from_btp(cls, text: str) -> Contract:
        pair, _, place = text.partition(":")
        kind, dot, venue = place.partition(".")
        parts = pair.split(".")
        if not dot or kind not in ("xtc", "swap", "perp") or len(parts) != 2:
            raise InvalidContract("contract", f"{text!r} is not base.quote:xtc.venue")
        return cls(venue, parts[0], parts[1], "spot" if kind == "xtc" else "perp")

    @classmethod
    def _from_symbol(cls, place: str, symbol: str) -> Contract:
        venue, mark, kind = place.partition("___")
        product = _BT_API_PRODUCTS.get(kind) if mark else "spot"
        if product is None:
            raise InvalidContract("contract", f"{place!r}: after ___ stands one of {', '.join(_BT_API_PRODUCTS)}")
        lowered = symbol.strip().lower()
        for separator in "_-/.":
            base, found, quote = lowered.partition(separator)
            if found:
                return cls(venue, base, quote, product)
        for quote in _QUOTES:
            if lowered.endswith(quote) and len(lowered) > len(quote):
                return cls(venue, lowered.removesuffix(quote), quote, product)
        raise InvalidContract("contract", f"{symbol!r}: no known quote currency at its end; write it as BASE-QUOTE")


@lru_cache(maxsize=4096)
def _parsed(text: str, symbol: str | None) -> Contract:
    lowered = text.strip().lower()
    if symbol is not None:
        return Contract._from_symbol(lowered, symbol)
    if ":" in lowered:
        return Contract._from_btp(lowered)
    venue, slash, pair = lowered.partition("/")
    parts = pair.split(".")
    if slash and len(parts) == 2:
        return Contract(venue, parts[0], parts[1])
    if slash and len(parts) == 3 and parts[2] == "perp":
        return Contract(venue, parts[0], parts[1], "perp")
    raise InvalidContract("contract", f"{text!r} is not one of: {_FORMS}")
