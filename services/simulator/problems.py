"""The venue's refusals, with the oddities of its bodies (BTCTurk reference, section 2)."""

from __future__ import annotations

from typing import Any

UNAUTHORIZED = 1037
BAD_TIME = 1038

CODES: dict[str, int] = {
    "ORDER_COULD_NOT_BE_CANCELED": 1050,
    "NO_ORDER_MATCHES_YOUR_REQUEST": 1051,
    "FAILED_MARKET_ORDER": 1118,
    "FAILED_LIMIT_ORDER": 1120,
    "FAILED_ORDER_WITH_OPEN_ORDERS": 1122,
    "FAILED_MIN_TOTAL_AMOUNT": 1123,
    "FAILED_STOP_PRICE_GREATER_THAN_BEST_ASK": 1124,
    "FAILED_STOP_PRICE_LESS_THAN_BEST_BID": 1125,
    "FAILED_INVALID_PRICE_SCALE": 1126,
    "FAILED_INVALID_QUANTITY_SCALE": 1127,
    "FAILED_INVALID_STOP_PRICE_SCALE": 1128,
    "ORDER_METHOD_NOT_SUPPORTED": 1134,
    "Order not found": 1152,
    "ORDER_TYPE_NOT_SUPPORTED": 1193,
    "PRICE_MUST_BE_LESS_THAN_MAXPRICE": 1226,
    "PRICE_MUST_BE_GREATER_THAN_MINPRICE": 1227,
}
"""Integers of the note of May 2024. A message without a known integer carries its own text as `code`."""


class Problem(Exception):
    """A refusal.

    Attributes:
        status: HTTP status.
        body: the JSON body, or None for an empty one.
        headers: extra headers.
    """

    def __init__(self, status: int, body: dict[str, Any] | None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(self.text_of(body))
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def message(self) -> str:
        return self.text_of(self.body)

    @staticmethod
    def text_of(body: dict[str, Any] | None) -> str:
        return str(body.get("message", "")) if body else ""


def unauthorized(why: str) -> Problem:
    """401, whose body says `"success": true`."""
    return Problem(401, {"success": True, "message": f"Unauthorized - {why}", "code": UNAUTHORIZED})


def refused(message: str) -> Problem:
    """400 for a business or parameter error."""
    return Problem(400, {"success": False, "message": message, "code": CODES.get(message, message)})


def order_refused(message: str) -> Problem:
    """400 of order entry, whose body is prefixed with the HTTP status and `data`."""
    code = CODES.get(message, message)
    return Problem(400, {"httpStatusCode": 400, "data": None, "success": False, "message": message, "code": code})


def bad_time(message: str) -> Problem:
    """400 with code 1038: a time that cannot be, such as milliseconds where seconds are due (#494)."""
    return Problem(400, {"success": False, "message": message, "code": BAD_TIME})


def too_many(limit: int, period: float, policy: str, retry_after: int) -> Problem:
    """429 in its newest form."""
    text = f"{period / 60:.0f}m" if period >= 60 else f"{period:.0f}s"
    details = f"Quota exceeded. Maximum allowed: {limit} per {text}."
    if policy == "account":
        details += f" Please try again in {retry_after} second(s)."
    body = {
        "message": "TOO_MANY_REQUESTS",
        "success": False,
        "code": 429,
        "details": details,
        "limit": str(limit),
        "period": text,
        "policy": policy,
    }
    return Problem(429, body, (("Retry-After", str(retry_after)),))
