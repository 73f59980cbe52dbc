"""What can happen to an order: the input of its life (core/order_life.py)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Replacement, Status


class VenueState(StrEnum):
    """How a venue says an order stands."""

    OPEN = "open"
    CLOSED = "closed"
    """Done: filled, or a market order whose rest was dropped."""
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as a venue lists it.

    Attributes:
        exchange_oid: the venue's id.
        client_oid: ours as the venue echoes it, or "".
        contract: what.
        side: `b` or `s`.
        type: limit, market, stop_limit, stop_market, or the venue's word where it is none of these.
        price: limit price, or None for a market order.
        amount: in base, or None where the venue does not say it yet.
        filled: in base.
        state: see `VenueState`.
        time: when it was made, ns since 1970 UTC; 0 where the venue does not say.
        quote_amount: amount in quote of an order given so, or None.
    """

    exchange_oid: str
    client_oid: str
    contract: Contract
    side: str
    type: str
    price: Decimal | None
    amount: Decimal | None
    filled: Decimal
    state: VenueState
    time: int
    quote_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueFill:
    """An execution as a venue lists or pushes it, with the order that it belongs to."""

    exchange_oid: str
    client_oid: str
    contract: Contract
    side: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class Denied:
    """Refused by us before anything was sent."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Sending:
    """The request is signed and about to leave."""

    stamp: int
    digest: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue took it."""

    exchange_oid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue definitely did not take it, and will not."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Deferred:
    """The venue definitely did not take this attempt; another may follow."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No definite answer."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A router that was sending it is gone."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Redis forgot what it held; `stamp` is when the new epoch opened, ns."""

    stamp: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The venue shows it. `source` is where: a listing, one order, or a private message.

    With `compare` the step also tells how the journal had it otherwise, if it had.
    """

    order: VenueOrder
    source: str
    compare: bool = False


@dataclass(frozen=True, slots=True)
class Executed:
    """The venue shows executions of it; known ones among them change nothing."""

    fills: tuple[Fill, ...]
    exchange_oid: str
    source: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Every source answered after the quiet window, and none shows it."""

    evidence: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A command asks to cancel it; with a replacement, to put another order in its place."""

    command: str
    replacement: Replacement | None = None


@dataclass(frozen=True, slots=True)
class CancelSending:
    """The request to cancel it is about to leave."""


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue definitely did not take the request to cancel. No proof that the order is dead."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Resembled:
    """An order at the venue that nobody claims could be it: an operator decides."""

    exchange_oid: str


@dataclass(frozen=True, slots=True)
class Settled:
    """An operator decided.

    Attributes:
        verdict: NeverPlaced, Canceled, or New where it was placed.
        operator: who.
        text: why.
        exchange_oid: of the order at the venue, where it was placed.
    """

    verdict: Status
    operator: str
    text: str
    exchange_oid: str | None = None


Fact = (
    Denied
    | Sending
    | Accepted
    | Refused
    | Deferred
    | Unanswered
    | Interrupted
    | Forgotten
    | Seen
    | Executed
    | Absent
    | CancelAsked
    | CancelSending
    | CancelRefused
    | Resembled
    | Settled
)


def same_id(ours: str, theirs: str) -> bool:
    """True if two client ids are the same but for case and dashes, in which venues echo them differently."""
    return ours.replace("-", "").lower() == theirs.replace("-", "").lower()
