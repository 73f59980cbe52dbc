"""What is looked at before an order is admitted; each denial is a row of the table in docs/orders.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from tickrouter.errors import InvalidContract, InvalidValue
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do at most. What is None or not named has no limit, but for `contracts`.

    Attributes:
        contracts: canonical names that may be traded; none means none.
        max_notional: largest value of one order, by quote currency.
        max_position: most of a base currency that an account may hold after the order.
        price_band: part by which a limit price may be worse than the last tick's: 0.1 is 10 %.
        max_tick_age: seconds; a tick that is older is no price.
        max_open_orders: orders open at once, this one included.
        orders_per_minute: places admitted in any 60 s, this one included.
        duplicate_window: seconds in which an order of the same kind, price and amount is a mistake.
    """

    contracts: frozenset[str]
    max_notional: Mapping[str, Decimal] = field(default_factory=dict)
    max_position: Mapping[str, Decimal] = field(default_factory=dict)
    price_band: Decimal | None = None
    max_tick_age: Decimal | None = None
    max_open_orders: Decimal | None = None
    orders_per_minute: Decimal | None = None
    duplicate_window: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """The market as the last tick shows it; None where there is none."""

    price: Decimal | None
    age: float | None


UNKNOWN = Market(None, None)
"""No tick, or none that a rule asks for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the account has under way.

    Attributes:
        open_orders: not final.
        last_minute: places admitted in the last 60 s.
        twin_age: seconds since the last order of the same kind, price and amount, or None.
        held: of the base currency, what the account holds and what its open buys would add; None where no tick tells
            what one by quote amount would.
    """

    open_orders: int
    last_minute: int
    twin_age: float | None
    held: Decimal | None


_NUMBERS = ("price_band", "max_tick_age", "max_open_orders", "orders_per_minute", "duplicate_window")
_BY_CURRENCY = ("max_notional", "max_position")
RULES = ("contracts", *(f"{name}:<currency>" for name in _BY_CURRENCY), *_NUMBERS)
"""Names of all rules, as `tickrouter risk set` takes them."""


def changed(limits: Limits, rule: str, text: str) -> Limits:
    """The limits with one rule set; an empty text lifts a limit.

    Raises:
        InvalidValue: no such rule, or a value that it cannot have.
    """
    name, _, currency = rule.partition(":")
    if rule == "contracts":
        try:
            names = frozenset(str(Contract.parse(part)) for part in text.replace(",", " ").split())
        except InvalidContract as error:
            raise InvalidValue(rule, error.reason) from error
        return replace(limits, contracts=names)
    if name in _BY_CURRENCY and currency:
        known = {key: value for key, value in getattr(limits, name).items() if key != currency}
        return _set(limits, name, known | ({currency: _number(rule, text)} if text else {}))
    if rule in _NUMBERS:
        return _set(limits, rule, _number(rule, text) if text else None)
    raise InvalidValue(rule, f"no such rule; there are: {', '.join(RULES)}")


def needs_market(command: Command, limits: Limits) -> bool:
    """True if a rule can be applied only with the market's last tick."""
    if limits.price_band is not None or limits.max_tick_age is not None or command.quote_amount is not None:
        return True
    valued = command.contract is not None and command.contract.quote in limits.max_notional
    return valued and command.quote_amount is None and command.price is None


def too_old(age_ms: int, ttl_ms: int) -> Reason | None:
    """The denial of a place older than its ttl."""
    if age_ms <= ttl_ms:
        return None
    return Reason("age", f"{age_ms} ms old, more than its ttl of {ttl_ms} ms")


def beyond_limits(command: Command, limits: Limits, market: Market, load: Load) -> Reason | None:
    """The denial of a place that the account may not do; None if it may."""
    if command.contract is None or command.contract.text not in limits.contracts:
        allowed = ", ".join(sorted(limits.contracts)) or "none"
        text = f"{command.contract} is not among the account's risk.contracts: {allowed}"
        return Reason("risk_contract", text)
    return (
        _stale(command, limits, market)
        or _notional(command, limits, market)
        or _band(command, limits, market)
        or _busy(limits, load)
        or _position(command, limits, load, market)
    )


def _stale(command: Command, limits: Limits, market: Market) -> Reason | None:
    if limits.max_tick_age is None:
        return None
    if market.age is None:
        return Reason("risk_stale", f"no tick of {command.contract}; record it, or lift max_tick_age")
    if market.age > limits.max_tick_age:
        return Reason("risk_stale", f"the last tick is {market.age:.1f} s old, more than {limits.max_tick_age} s")
    return None


def _notional(command: Command, limits: Limits, market: Market) -> Reason | None:
    quote = command.contract.quote if command.contract is not None else ""
    largest = limits.max_notional.get(quote)
    if largest is None:
        return None
    value = _value(command, market)
    if value is None:
        text = f"no tick of {command.contract} to value the order by; record it, or lift max_notional:{quote}"
        return Reason("risk_price", text)
    if value > largest:
        return Reason("risk_notional", f"value {value:f} {quote} is above {largest:f}")
    return None


def _band(command: Command, limits: Limits, market: Market) -> Reason | None:
    """A buy far above, or a sale far below the market is a slip of the finger; the other way it just rests."""
    if limits.price_band is None or command.price is None:
        return None
    if market.price is None:
        return Reason("risk_price", f"no tick of {command.contract} to compare the price with; lift price_band")
    far = market.price * limits.price_band
    worst = market.price + far if command.side == "b" else market.price - far
    if command.price > worst if command.side == "b" else command.price < worst:
        return Reason("risk_band", f"price {command.price:f} is beyond {worst:f}, last price {market.price:f}")
    return None


def _busy(limits: Limits, load: Load) -> Reason | None:
    if limits.max_open_orders is not None and load.open_orders + 1 > limits.max_open_orders:
        return Reason("risk_open_orders", f"{load.open_orders} orders are open, at most {limits.max_open_orders}")
    if limits.orders_per_minute is not None and load.last_minute + 1 > limits.orders_per_minute:
        return Reason("risk_rate", f"{load.last_minute} orders in the last minute, at most {limits.orders_per_minute}")
    if limits.duplicate_window is not None and load.twin_age is not None and load.twin_age < limits.duplicate_window:
        return Reason("risk_duplicate", f"the same order was placed {load.twin_age:.1f} s ago")
    return None


def _position(command: Command, limits: Limits, load: Load, market: Market) -> Reason | None:
    base = command.contract.base if command.contract is not None else ""
    most = limits.max_position.get(base)
    if most is None or command.side != "b":
        return None
    amount = command.amount
    if amount is None and market.price is not None and command.quote_amount is not None:
        amount = command.quote_amount / market.price
    if amount is None or load.held is None:
        return Reason("risk_price", f"no tick of {command.contract} to tell the position; lift max_position:{base}")
    if load.held + amount > most:
        return Reason("risk_position", f"{load.held + amount:f} {base} after the order is above {most:f}")
    return None


def _value(command: Command, market: Market) -> Decimal | None:
    if command.quote_amount is not None:
        return command.quote_amount
    price = command.price if command.price is not None else market.price
    return None if price is None or command.amount is None else price * command.amount


def _number(rule: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise InvalidValue(rule, f"{text!r} is no number") from None
    if not number.is_finite() or number < 0:
        raise InvalidValue(rule, f"{text!r} is no number from 0 up")
    return number


def _set(limits: Limits, name: str, value: Any) -> Limits:
    return replace(limits, **{name: value})
