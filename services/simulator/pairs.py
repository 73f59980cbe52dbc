"""The venue's pairs and currencies: ids, scales and limits, as `exchangeinfo` states them.

BTCTRY is as in the capture of 2026 (BTCTurk reference, section 1.4): whole prices only. The two USDT pairs carry two
decimals here, so that recorded prices of other venues fit; their ids and limits are this simulator's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ORDER_METHODS = ("MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT")


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency: its number, name and decimal places."""

    id: int
    symbol: str
    name: str
    precision: int
    kind: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair. `base` is BTCTurk's numerator, `quote` its denominator.

    Attributes:
        amount_scale: most decimal places of a base amount.
        price_scale: most decimal places of a price, if `has_fraction`; else prices are whole numbers.
        min_value: least price times amount, in quote currency.
        reference_price: bounds of limit prices are a tenth and ten times the market's, or this one's at first.
    """

    id: int
    base: str
    quote: str
    amount_scale: int
    price_scale: int
    has_fraction: bool
    tick_size: str
    min_value: Decimal
    reference_price: Decimal
    display_format: str
    order: int

    @property
    def name(self) -> str:
        return self.base + self.quote

    @property
    def normalized(self) -> str:
        return f"{self.base}_{self.quote}"

    @property
    def price_places(self) -> int:
        """Decimal places that a price may really have (#176, #339)."""
        return self.price_scale if self.has_fraction else 0

    def price_bounds(self, mark: Decimal | None) -> tuple[Decimal, Decimal]:
        """Lowest and highest limit price; both move with the market."""
        price = mark or self.reference_price
        return price / 10, price * 10

    def row(self, mark: Decimal | None) -> dict[str, Any]:
        """Its entry in `exchangeinfo`."""
        lowest, highest = self.price_bounds(mark)
        return {
            "id": self.id,
            "name": self.name,
            "nameNormalized": self.normalized,
            "status": "TRADING",
            "numerator": self.base,
            "denominator": self.quote,
            "numeratorScale": self.amount_scale,
            "denominatorScale": self.price_scale,
            "hasFraction": self.has_fraction,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": "0.0000000000001",
                    "maxPrice": "10000000",
                    "tickSize": self.tick_size,
                    "minExchangeValue": str(self.min_value),
                    "minAmount": None,
                    "maxAmount": None,
                }
            ],
            "orderMethods": list(ORDER_METHODS),
            "displayFormat": self.display_format,
            "commissionFromNumerator": False,
            "order": self.order,
            "priceRounding": False,
            "isNew": False,
            "marketPriceWarningThresholdPercentage": 0.25,
            "maximumOrderAmount": None,
            "maximumLimitOrderPrice": float(highest),
            "minimumLimitOrderPrice": float(lowest),
        }


CURRENCIES: dict[str, Currency] = {
    currency.symbol: currency
    for currency in (
        Currency(1, "TRY", "Türk Lirası", 2, "FIAT"),
        Currency(2, "BTC", "Bitcoin", 8, "CRYPTO"),
        Currency(3, "ETH", "Ethereum", 8, "CRYPTO"),
        Currency(10, "USDT", "Tether", 8, "CRYPTO"),
    )
}

PAIRS: dict[str, Pair] = {
    pair.name: pair
    for pair in (
        Pair(1, "BTC", "TRY", 8, 0, False, "10", Decimal("99.91"), Decimal(3_700_000), "#,###", 1000),
        Pair(19, "BTC", "USDT", 8, 2, True, "0.01", Decimal("9.91"), Decimal(61_000), "#,##0.00", 2000),
        Pair(20, "ETH", "USDT", 8, 2, True, "0.01", Decimal("9.91"), Decimal(2_680), "#,##0.00", 2001),
    )
}


def find_pair(symbol: str) -> Pair | None:
    """The pair called `BTCTRY` or `BTC_TRY`, in any case of letters; None if there is none."""
    return PAIRS.get(symbol.upper().replace("_", ""))


def currency_row(currency: Currency) -> dict[str, Any]:
    """A currency's entry in `exchangeinfo`."""
    crypto = currency.kind == "CRYPTO"
    return {
        "id": currency.id,
        "symbol": currency.symbol,
        "minWithdrawal": 0.001 if crypto else 10.0,
        "minDeposit": 0.0001 if crypto else 10.0,
        "precision": currency.precision,
        "address": {"minLen": 26 if crypto else None, "maxLen": 64 if crypto else None},
        "currencyType": currency.kind,
        "tag": {"enable": False, "name": None, "minLen": None, "maxLen": None},
        "color": "#4a4a4a",
        "name": currency.name,
        "isAddressRenewable": False,
        "getAutoAddressDisabled": False,
        "isPartialWithdrawalEnabled": crypto,
        "isNew": False,
    }


def exchange_info(server_time_ms: int, marks: dict[str, Decimal | None]) -> dict[str, Any]:
    """The `data` of `exchangeinfo`; `marks` says what each pair is worth."""
    blocks: Sequence[dict[str, Any]] = [
        {"currencySymbol": symbol, "withdrawalDisabled": False, "depositDisabled": False} for symbol in CURRENCIES
    ]
    return {
        "timeZone": "UTC",
        "serverTime": server_time_ms,
        "symbols": [pair.row(marks.get(pair.name)) for pair in PAIRS.values()],
        "currencies": [currency_row(currency) for currency in CURRENCIES.values()],
        "currencyOperationBlocks": blocks,
    }
