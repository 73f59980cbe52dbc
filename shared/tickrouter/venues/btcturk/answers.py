"""What BTCTurk's REST answers mean: definite or not, and the data inside (BTCTurk reference, sections 1.3, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from tickrouter.errors import AmbiguousError, DefiniteError, Kind
from tickrouter.venues.request import Answer

VENUE = "btcturk"
_DEFINITE_STATUSES = frozenset({400, 401, 403, 404, 405, 411, 415, 422, 429})
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_STATUS_KINDS: dict[int, Kind] = {401: "auth", 429: "rate_limit", 503: "venue_down"}


def data_of(answer: Answer, errors: Mapping[str, Kind], *, enveloped: bool = True) -> Any:
    """The answer's data; numbers are exact: integers, or Decimal.

    An authentication failure may say `success: true` in a 401, so the HTTP status decides first, then `success`,
    then the message; never `code`, whose integers were renumbered in 2024.

    Raises:
        DefiniteError: the venue refused.
        AmbiguousError: 5xx, or a body that cannot be read: a request that changes something may have been executed.
    """
    body = _json(answer)
    if answer.status == 200 and body is not None:
        if not enveloped:
            return body
        if isinstance(body, dict) and body.get("success") is not False:
            return body.get("data")
    message, code = _words(body)
    if answer.status in _DEFINITE_STATUSES and (body is not None or answer.status in (401, 429)):
        kind = kind_of(message, errors) or _STATUS_KINDS.get(answer.status, "other")
        if answer.status == 429:
            kind = "rate_limit"
        raise DefiniteError(
            VENUE, kind, message or "no text", code=code, http_status=answer.status, retry_after=answer.retry_after
        )
    if answer.status == 200 and isinstance(body, dict):
        kind = kind_of(message, errors) or "other"
        if kind != "venue_down":
            raise DefiniteError(VENUE, kind, message, code=code, http_status=200)
    kind = "venue_down" if answer.status >= 500 else "unreadable"
    text = message or f"HTTP {answer.status}, {len(answer.body)} bytes that are no JSON"
    raise AmbiguousError(VENUE, kind, text, code=code, http_status=answer.status, retry_after=answer.retry_after)


def kind_of(message: str, errors: Mapping[str, Kind]) -> Kind | None:
    """Our kind for the venue's words, by the card's table; None for words it does not hold."""
    if message in errors:
        return errors[message]
    return next((kind for glob, kind in errors.items() if fnmatchcase(message, glob)), None)


def number(value: Any) -> Decimal:
    """A decimal from text or number; a comma is a decimal mark, as in the documentation's balances.

    Raises:
        AmbiguousError: no number, or with both marks.
    """
    text = str(value)
    if "," in text and "." in text:
        raise AmbiguousError(VENUE, "unreadable", f"{text[:40]!r} holds both decimal marks")
    try:
        found = Decimal(text.replace(",", "."))
    except ArithmeticError:
        raise AmbiguousError(VENUE, "unreadable", f"{text[:40]!r} is no number") from None
    if not found.is_finite():
        raise AmbiguousError(VENUE, "unreadable", f"{text[:40]!r} is not finite")
    return found


def _json(answer: Answer) -> Any:
    try:
        return _decoder.decode(answer.body)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def _words(body: Any) -> tuple[str, str]:
    if not isinstance(body, dict):
        return "", ""
    return str(body.get("message") or ""), str(body.get("code") or "")
