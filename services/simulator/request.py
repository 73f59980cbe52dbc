"""One HTTP request and one answer, apart from any server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from .problems import Problem

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Request:
    """A request as it arrived. Paths compare without case, as the venue's server does."""

    method: str
    path: str
    raw_query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    address: str
    _query: dict[str, list[str]] | None = field(default=None)

    def all(self, name: str) -> list[str]:
        """All values of a query parameter, which may be repeated."""
        if self._query is None:
            self._query = {}
            for key, value in parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True):
                self._query.setdefault(key.lower(), []).append(value)
        return self._query.get(name.lower(), [])

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next(iter(self.all(name)), default)

    def number(self, name: str, default: int) -> int:
        """A whole number from the query; the default where it is missing or none."""
        text = self.first(name)
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 19 else default

    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; its numbers stay texts, so that no digit is lost.

        Raises:
            ValueError: it is none.
        """
        found = json.loads(self.body, parse_float=str, parse_int=str)
        if not isinstance(found, dict):
            raise TypeError("is no object")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers. `body` is already encoded."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


def bare(value: object, status: int = 200) -> Answer:
    """A JSON value as it is."""
    return Answer(status, _encoder.encode(value))


def enveloped(data: object, *, message: str | None = "SUCCESS", code: int | str = 0) -> Answer:
    """200 with the venue's envelope."""
    return bare({"data": data, "success": True, "message": message, "code": code})


def of_problem(problem: Problem) -> Answer:
    """A refusal as an answer."""
    body = b"" if problem.body is None else _encoder.encode(problem.body)
    return Answer(problem.status, body, headers=problem.headers)


def html(status: int, title: str) -> Answer:
    """An error page, as the proxy before the venue sends it (#340, #570)."""
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(status, page.encode(), content_type="text/html; charset=UTF-8")
