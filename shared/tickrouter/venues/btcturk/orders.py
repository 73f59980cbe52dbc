"""BTCTurk's orders, executions, balances and symbols as values (BTCTurk reference, sections 1.4, 1.5 and 4.4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tickrouter.core.facts import VenueFill, VenueOrder, VenueState
from tickrouter.errors import AmbiguousError, InvalidValue
from tickrouter.model.account import Balance
from tickrouter.model.contract import Contract
from tickrouter.model.fill import Fill
from tickrouter.model.money import MAX_PLACES
from tickrouter.venues.btcturk.answers import VENUE, number
from tickrouter.venues.trading import Symbol

MS = 1_000_000
"""Nanoseconds in a millisecond."""

_METHODS = {"limit": "limit", "market": "market", "stoplimit": "stop_limit", "stopmarket": "stop_market"}
_STATES = {
    "untouched": VenueState.OPEN,
    "partial": VenueState.OPEN,
    "canceled": VenueState.CANCELED,
    "closed": VenueState.CLOSED,
}


def order_of(row: Any) -> VenueOrder:
    """One order object of openOrders, allOrders or order/{id}.

    What is filled is `amount` less `leftAmount`; `quantity` is neither, and `price` is not the average.

    Raises:
        AmbiguousError: not an order object.
    """
    try:
        state = _STATES.get(str(row["status"]).lower())
        method = method_of(str(row["method"]))
        amount, left = number(row["amount"]), number(row["leftAmount"])
        price = number(row["price"])
        return VenueOrder(
            exchange_oid=str(row["id"]),
            client_oid=str(row.get("orderClientId") or ""),
            contract=contract_of(str(row["pairSymbolNormalized"])),
            side=side_of(row["type"]),
            type=method,
            price=price if method in ("limit", "stop_limit") else None,
            amount=amount,
            filled=max(amount - left, Decimal(0)),
            state=state if state is not None else VenueState.OPEN,
            time=int(row.get("time") or row.get("updateTime") or 0) * MS,
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidValue) as error:
        raise unreadable("order", error) from error


def execution_of(row: Any) -> VenueFill:
    """One row of the trade transactions, or the inner object of a 423.

    Amounts of sales, fees and taxes come negative; `preciseAmount` is the exact one, `amount` is cut.

    Raises:
        AmbiguousError: not such a row.
    """
    try:
        precise = row.get("preciseAmount")
        quote = str(row["denominatorSymbol"])
        return VenueFill(
            exchange_oid=str(row["orderId"]),
            client_oid=str(row.get("orderClientId") or ""),
            contract=contract_of(f"{row['numeratorSymbol']}_{quote}"),
            side=side_of(row["orderType"]),
            fill=Fill(
                trade_id=str(row["id"]),
                price=number(row["price"]),
                amount=abs(number(row["amount"] if precise is None else precise)),
                fee=abs(number(row["fee"])) + abs(number(row.get("tax") or 0)),
                fee_currency=quote.lower(),
                liquidity="unknown",
                time=int(row["timestamp"]) * MS,
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidValue) as error:
        raise unreadable("execution", error) from error


def balance_of(row: Any, now: int) -> Balance:
    """One row of users/balances.

    Raises:
        AmbiguousError: not such a row.
    """
    try:
        total, free, locked = (number(row[name]) for name in ("balance", "free", "locked"))
        return Balance(str(row["asset"]).lower(), total, free, locked, now)
    except (KeyError, TypeError) as error:
        raise unreadable("balance", error) from error


def symbol_of(row: Any) -> Symbol:
    """One symbol of exchangeinfo. Prices are whole numbers where `hasFraction` is false (#176, #339).

    Raises:
        AmbiguousError: not a symbol.
    """
    try:
        least = next((number(entry["minExchangeValue"]) for entry in row["filters"] if "minExchangeValue" in entry), 0)
        return Symbol(
            contract=contract_of(str(row["nameNormalized"])),
            price_places=_places(row["denominatorScale"]) if row.get("hasFraction") else 0,
            amount_places=_places(row["numeratorScale"]),
            min_notional=Decimal(least),
            trading=row.get("status") == "TRADING",
            order_types=frozenset(method_of(str(name)) for name in row["orderMethods"]),
        )
    except (KeyError, TypeError, ValueError, InvalidValue) as error:
        raise unreadable("symbol", error) from error


def contract_of(normalized: str) -> Contract:
    """`BTC_TRY` to a contract.

    Raises:
        InvalidContract: another form.
    """
    return Contract.parse(VENUE, normalized)


def method_of(text: str) -> str:
    """The order type, whichever way the venue writes it; its own word where it is none of ours."""
    word = text.lower().replace("_", "")
    return _METHODS.get(word, word)


def side_of(text: Any) -> str:
    """`buy` or `sell` to `b` or `s`."""
    return {"buy": "b", "sell": "s"}[str(text).lower()]


def unreadable(what: str, error: Exception) -> AmbiguousError:
    """The error for a row that is not what it should be."""
    return AmbiguousError(VENUE, "unreadable", f"{what}: {type(error).__name__}: {error}")


def _places(value: Any) -> int:
    """Decimals that a number may have: no more than any of ours has."""
    return min(max(int(value), 0), MAX_PLACES)
