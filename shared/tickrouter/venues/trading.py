"""What a venue's trading adapter does: commands to signed requests, answers and private frames to facts. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tickrouter.core.facts import VenueFill, VenueOrder
from tickrouter.errors import TickrouterError
from tickrouter.model.account import Balance
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.order import Order
from tickrouter.venues.request import Answer, Request


class CannotDo(TickrouterError):
    """The venue has no such thing, or would refuse it: Denied with `reason` before anything is sent."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.reason = Reason(kind, text)


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a venue says of one contract.

    Attributes:
        contract: which.
        price_places: decimals that a price may have.
        amount_places: decimals that an amount in base may have.
        min_notional: least value of an order, in quote.
        trading: False while the venue takes no orders for it.
        order_types: what may be placed.
    """

    contract: Contract
    price_places: int
    amount_places: int
    min_notional: Decimal
    trading: bool
    order_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hint:
    """A private message that says something happened without saying all of it: look again.

    `exchange_oid` is the order concerned, or None where only the balances are.
    """

    exchange_oid: str | None
    client_oid: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The answer to a login on the private socket."""

    ok: bool
    text: str


PrivateFact = VenueFill | VenueOrder | Hint | LoggedIn


class TradingAdapter(Protocol):
    """One venue's trading protocol for one account. Every `stamp` is ns since 1970 UTC on the venue's clock."""

    def check(self, command: Command) -> None:
        """Raise CannotDo where the venue, or its card, has no such order."""

    def learn(self, symbols: tuple[Symbol, ...]) -> None:
        """Take the venue's own list of contracts, for `check`."""

    def amount_places(self, contract: Contract) -> int | None:
        """Decimals that an amount in base may have; None while the venue's list is not known."""

    def place(self, order: Order, stamp: int) -> Request: ...
    def cancel(self, exchange_oid: str, stamp: int) -> Request: ...
    def one_order(self, exchange_oid: str, stamp: int) -> Request: ...
    def open_orders(self, contract: Contract, stamp: int) -> Request: ...
    def all_orders(self, contract: Contract, since: int, until: int, stamp: int) -> Request: ...
    def executions(self, contract: Contract, since: int, until: int, stamp: int) -> Request: ...
    def executions_of(self, exchange_oid: str, stamp: int) -> Request: ...
    def balances(self, stamp: int) -> Request: ...
    def server_time(self) -> Request: ...
    def symbols(self) -> Request: ...

    def read_placed(self, answer: Answer) -> str:
        """The exchange id. Raises DefiniteError or AmbiguousError."""

    def read_canceled(self, answer: Answer) -> None:
        """Nothing where the venue took the request. Raises DefiniteError or AmbiguousError."""

    def read_orders(self, answer: Answer) -> tuple[VenueOrder, ...]: ...
    def read_executions(self, answer: Answer) -> tuple[VenueFill, ...]: ...
    def read_balances(self, answer: Answer, now: int) -> tuple[Balance, ...]: ...
    def read_server_time(self, answer: Answer) -> int: ...
    def read_symbols(self, answer: Answer) -> tuple[Symbol, ...]: ...

    @property
    def page(self) -> int:
        """Rows of a full page of `all_orders`: so many rows are no answer to what is absent."""

    def login(self, stamp: int) -> str | None:
        """The private socket's login frame, or None where the account has no key for it."""

    def read_private(self, frame: bytes) -> tuple[PrivateFact, ...]:
        """What a frame of the private socket says; unknown types say nothing. Raises Unreadable."""
