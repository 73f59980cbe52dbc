"""Every error that tickrouter raises, in one tree.

Errors of a venue fork first into *definite* (the venue said what happened) and *ambiguous* (we do not know
what happened), and only then by kind. Code that handles an order asks `is_definite` before anything else.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "auth",
    "nonce",
    "rate_limit",
    "insufficient_balance",
    "order_not_found",
    "invalid_order",
    "market_closed",
    "venue_down",
    "unreadable",
    "timeout",
    "other",
]


class TickrouterError(Exception):
    """Root of the tree; the text says what happened and, where it can, what to do."""


class ConfigError(TickrouterError):
    """A configuration is wrong: names file, key, what was found and what is allowed."""


class InvalidValue(TickrouterError):
    """A value from outside cannot be taken: `field` is where, `reason` what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class InvalidContract(InvalidValue):
    """A text that names no contract."""


class Unreadable(TickrouterError):
    """Bytes that do not decode to the form they should have."""


class StorageError(TickrouterError):
    """Redis or MongoDB refused or did not answer."""


class LeaseLost(StorageError):
    """Another holder's token, or none, is in the lease: stop and recover."""


class RedisForgot(StorageError):
    """Redis holds less than it acknowledged: a new epoch has to be opened."""


class StreamConflict(StorageError):
    """A refused entry id is missing or holds other bytes: never taken for success."""


class HistoryGap(TickrouterError):
    """The stream was trimmed past the point where history ends."""


class SocketClosed(TickrouterError):
    """A WebSocket connection could not be opened, was closed, or broke; the text says which."""


class VenueError(TickrouterError):
    """What a venue call came to, other than success.

    Attributes:
        venue: name of the venue.
        kind: one of `Kind`.
        code: the venue's own code, as text, or "".
        text: the venue's own words, cut to 300 characters.
        http_status: status of the answer, or None when there was none.
        retry_after: seconds that the venue asked us to wait, or None.
    """

    def __init__(
        self,
        venue: str,
        kind: Kind,
        text: str,
        *,
        code: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{venue}: {kind}: {text[:300]}" + (f" ({code})" if code else ""))
        self.venue = venue
        self.kind: Kind = kind
        self.code = code
        self.text = text[:300]
        self.http_status = http_status
        self.retry_after = retry_after


class DefiniteError(VenueError):
    """The venue answered: this request was not taken."""


class AmbiguousError(VenueError):
    """No definite answer: the request may or may not have been executed."""


def is_definite(error: BaseException) -> bool:
    """True if the venue said in so many words that the request was not taken."""
    return isinstance(error, DefiniteError)


def is_retryable(error: BaseException) -> bool:
    """True if the same intent may be sent again as a new attempt: refused by limit or by nonce, not taken."""
    return isinstance(error, DefiniteError) and error.kind in ("rate_limit", "nonce")
