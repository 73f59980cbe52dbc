"""Bad days on order: what can be made to go wrong, how often, and where.

A fault is made by a control call and used up by what it strikes. Each kind is one row of `KINDS`: a new one is a
function and a row. Three places ask for faults: around a request, for each frame, and at once for sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from tickrouter.errors import InvalidValue

from .problems import too_many
from .publisher import Publisher
from .request import Answer, html, of_problem

Execute = Callable[[], Answer]
Place = Literal["request", "frame", "socket"]


@dataclass(slots=True)
class Fault:
    """One fault that waits.

    Attributes:
        id: for people.
        kind: a key of `KINDS`.
        endpoint: method and path with wildcards, e.g. `POST /api/v1/order` or `GET *`.
        count: how often it strikes still; None is for ever.
        options: what else the kind needs.
        struck: how often it has struck.
    """

    id: int
    kind: str
    endpoint: str
    count: int | None
    options: dict[str, Any] = field(default_factory=dict)
    struck: int = 0

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "endpoint": self.endpoint,
            "count": self.count,
            "struck": self.struck,
            **self.options,
        }


async def lose_reply(_fault: Fault, execute: Execute) -> Answer | None:
    """The request is executed; the connection closes without an answer."""
    execute()
    return None


async def late_answer(fault: Fault, execute: Execute) -> Answer | None:
    """The request is executed at once and answered `delay_ms` later."""
    answer = execute()
    await asyncio.sleep(float(fault.options["delay_ms"]) / 1000)
    return answer


async def server_error(fault: Fault, execute: Execute) -> Answer | None:
    """An HTML page with a 5xx `status`, before executing or, with `execute`, after it."""
    if fault.options["execute"]:
        execute()
    return html(int(fault.options["status"]), "Server Error")


async def refuse_by_limit(fault: Fault, _execute: Execute) -> Answer | None:
    """429 with `retry_after` seconds; nothing is executed."""
    return of_problem(too_many(300, 60, "account", int(fault.options["retry_after"])))


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of fault strikes, its options with their defaults, and what it does to a request."""

    place: Place
    options: Mapping[str, Any]
    around: Callable[[Fault, Execute], Awaitable[Answer | None]] | None = None


KINDS: Mapping[str, Kind] = {
    "lose_reply": Kind("request", {}, lose_reply),
    "late_answer": Kind("request", {"delay_ms": 1000}, late_answer),
    "server_error": Kind("request", {"status": 502, "execute": False}, server_error),
    "refuse_by_limit": Kind("request", {"retry_after": 1}, refuse_by_limit),
    "drop_socket": Kind("socket", {"scope": "all"}),
    "skip_frames": Kind("frame", {"channel": "*", "event": "*", "type": None}),
}
SCOPES: Mapping[str, bool | None] = {"all": None, "private": True, "market": False}


class Faults:
    """The faults that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._next = 1

    def add(self, wish: Mapping[str, Any], publisher: Publisher) -> Fault:
        """Make a fault from a control call; one that strikes sockets strikes now.

        Raises:
            InvalidValue: unknown kind or option, or a count that is none.
        """
        kind = KINDS.get(str(wish.get("kind")))
        if kind is None:
            raise InvalidValue("kind", f"{wish.get('kind')!r} is none of {', '.join(KINDS)}")
        given = {name: wish[name] for name in wish if name not in ("kind", "endpoint", "count")}
        if unknown := sorted(set(given) - set(kind.options)):
            raise InvalidValue(
                unknown[0], f"is no option of {wish['kind']}; it has: {', '.join(kind.options) or 'none'}"
            )
        count = wish.get("count", 1)
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InvalidValue("count", f"{count!r} must be a whole number above 0, or null for ever")
        fault = Fault(self._next, str(wish["kind"]), str(wish.get("endpoint", "*")), count, {**kind.options, **given})
        self._next += 1
        if kind.place == "socket":
            fault.struck = _drop(fault, publisher)
        else:
            self._waiting.append(fault)
        return fault

    def rows(self) -> list[dict[str, Any]]:
        """The faults that wait."""
        return [fault.row() for fault in self._waiting]

    def clear(self) -> None:
        """Forget them all."""
        self._waiting.clear()

    def around(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, used up once."""
        if not self._waiting:
            return None
        endpoint = f"{method} {path}".lower()
        for fault in self._waiting:
            if KINDS[fault.kind].place == "request" and fnmatchcase(endpoint, fault.endpoint.lower()):
                return self._use(fault)
        return None

    def skips(self, channel: str, event: str, kind: int) -> bool:
        """Whether a fault swallows this frame."""
        for fault in self._waiting:
            if KINDS[fault.kind].place != "frame":
                continue
            options = fault.options
            if (
                fnmatchcase(channel, str(options["channel"]))
                and fnmatchcase(event, str(options["event"]))
                and options["type"] in (None, kind)
            ):
                self._use(fault)
                return True
        return False

    def _use(self, fault: Fault) -> Fault:
        fault.struck += 1
        if fault.count is not None:
            fault.count -= 1
            if not fault.count:
                self._waiting.remove(fault)
        return fault


def _drop(fault: Fault, publisher: Publisher) -> int:
    scope = str(fault.options["scope"])
    if scope not in SCOPES:
        raise InvalidValue("scope", f"{scope!r} is none of {', '.join(SCOPES)}")
    return publisher.drop(SCOPES[scope], fault.count)
