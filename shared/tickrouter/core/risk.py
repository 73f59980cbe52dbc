"""What is looked at before an order is admitted; each denial is a row of the table in docs/orders.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tickrouter.model.command import Command
from tickrouter.model.event import Reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do at most.

    Attributes:
        contracts: canonical names that may be traded; none means none.
        max_notional: largest value of one order, by quote currency; a currency that is not named has no limit.
    """

    contracts: frozenset[str]
    max_notional: Mapping[str, Decimal] = field(default_factory=dict)


def needs_price(command: Command, limits: Limits) -> bool:
    """True if the order's value is known only with the market's last price."""
    return (
        command.contract is not None
        and command.contract.quote in limits.max_notional
        and command.quote_amount is None
        and command.price is None
    )


def too_old(age_ms: int, ttl_ms: int) -> Reason | None:
    """The denial of a place older than its ttl."""
    if age_ms <= ttl_ms:
        return None
    return Reason("age", f"{age_ms} ms old, more than its ttl of {ttl_ms} ms")


def beyond_limits(command: Command, limits: Limits, last_price: Decimal | None) -> Reason | None:
    """The denial of a place that the account may not do.

    Args:
        command: a place.
        limits: the account's.
        last_price: of the last tick, where `needs_price` says so; None where there is none.
    """
    contract = command.contract
    if contract is None:
        return Reason("contract", "a place names its contract")
    if str(contract) not in limits.contracts:
        allowed = ", ".join(sorted(limits.contracts)) or "none"
        return Reason("risk_contract", f"{contract} is not among the account's risk.contracts: {allowed}")
    largest = limits.max_notional.get(contract.quote)
    if largest is None:
        return None
    notional = _notional(command, last_price)
    if notional is None:
        text = f"no tick of {contract} to value the order by; record it, or take {contract.quote} out of max_notional"
        return Reason("risk_price", text)
    if notional > largest:
        return Reason("risk_notional", f"value {notional:f} {contract.quote} is above {largest:f}")
    return None


def _notional(command: Command, last_price: Decimal | None) -> Decimal | None:
    if command.quote_amount is not None:
        return command.quote_amount
    price = command.price if command.price is not None else last_price
    return None if price is None or command.amount is None else price * command.amount
