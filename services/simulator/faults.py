"""Bad days on order: what can be made to go wrong, how often, and where.

A fault is made by a control call and used up by what it strikes. Each kind is one row of `KINDS`: a new one is a
function and a row. Three places ask for faults: around a request, for each frame, and at once for sockets and for what
an account is shown. Every kind takes `account`, a public key: then it leaves all other accounts alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, Literal

from tickrouter.errors import InvalidValue

from .problems import too_many
from .publisher import Publisher
from .request import Answer, Request, bare, html, of_problem
from .veils import ECHOES, SOURCES, Veil, Veils

Place = Literal["request", "frame", "socket", "view"]
MAX_STATUS = 400
"""Answers below this say that the request was taken."""


@dataclass(slots=True)
class Fault:
    """One fault that waits.

    Attributes:
        id: for people.
        kind: a key of `KINDS`.
        endpoint: method and path with wildcards, e.g. `POST /api/v1/order` or `GET *`.
        account: public key of the account that it strikes; "" for any.
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
    account: str = ""

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "endpoint": self.endpoint,
            "account": self.account,
            "count": self.count,
            "struck": self.struck,
            **self.options,
        }


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a fault strikes.

    Attributes:
        request: as it arrived.
        account: public key of its sender.
        execute: does what it asks; it was checked when it arrived.
        fill: fills a share of an order's rest, by the order's id.
        veils: what accounts are shown.
        now: monotonic seconds.
    """

    request: Request
    account: str
    execute: Callable[[], Answer]
    fill: Callable[[int, Decimal], object]
    veils: Veils
    now: float


async def lose_reply(_fault: Fault, call: Call) -> Answer | None:
    """The request is executed; the connection closes without an answer."""
    call.execute()
    return None


async def lose_request(_fault: Fault, _call: Call) -> Answer | None:
    """The connection closes before anything is executed."""
    return None


async def execute_late(fault: Fault, call: Call) -> Answer | None:
    """The connection closes at once; what was asked is done `delay_ms` later."""
    asyncio.get_running_loop().call_later(float(fault.options["delay_ms"]) / 1000, call.execute)
    return None


async def late_answer(fault: Fault, call: Call) -> Answer | None:
    """The request is executed at once and answered `delay_ms` later."""
    answer = call.execute()
    await asyncio.sleep(float(fault.options["delay_ms"]) / 1000)
    return answer


async def server_error(fault: Fault, call: Call) -> Answer | None:
    """An HTML page with a 5xx `status`, before executing or, with `execute`, after it."""
    if fault.options["execute"]:
        call.execute()
    return html(int(fault.options["status"]), "Server Error")


async def refuse_by_limit(fault: Fault, _call: Call) -> Answer | None:
    """429 with `retry_after` seconds; nothing is executed."""
    return of_problem(too_many(300, 60, "account", int(fault.options["retry_after"])))


async def refuse_late(fault: Fault, call: Call) -> Answer | None:
    """The same, `delay_ms` later."""
    await asyncio.sleep(float(fault.options["delay_ms"]) / 1000)
    return await refuse_by_limit(fault, call)


async def hide_order(fault: Fault, call: Call) -> Answer | None:
    """The order is taken and shows in none of `sources` for `delay_ms`; with `lose`, its answer is lost as well."""
    answer = call.execute()
    if answer.status < MAX_STATUS:
        until = call.now + float(fault.options["delay_ms"]) / 1000
        order_id = int(json.loads(answer.body)["data"]["id"])
        call.veils.hide(Veil(call.account, order_id, until, frozenset(fault.options["sources"])))
    return None if fault.options["lose"] else answer


async def blind_success(_fault: Fault, call: Call) -> Answer | None:
    """A cancel is answered with success, also where there is no such order or it is not open any more."""
    answer = call.execute()
    return answer if answer.status < MAX_STATUS else bare({"success": True, "message": "SUCCESS", "code": 0})


async def fill_after_cancel(fault: Fault, call: Call) -> Answer | None:
    """A cancel is accepted; before it takes effect, `share` of the order's rest is filled."""
    answer = call.execute()
    if answer.status < MAX_STATUS:
        call.fill(call.request.number("id", 0), Decimal(str(fault.options["share"])))
    return answer


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of fault strikes, its options with their defaults, and what it does to a request."""

    place: Place
    options: Mapping[str, Any]
    around: Callable[[Fault, Call], Awaitable[Answer | None]] | None = None


KINDS: Mapping[str, Kind] = {
    "lose_reply": Kind("request", {}, lose_reply),
    "lose_request": Kind("request", {}, lose_request),
    "execute_late": Kind("request", {"delay_ms": 1000}, execute_late),
    "late_answer": Kind("request", {"delay_ms": 1000}, late_answer),
    "server_error": Kind("request", {"status": 502, "execute": False}, server_error),
    "refuse_by_limit": Kind("request", {"retry_after": 1}, refuse_by_limit),
    "refuse_late": Kind("request", {"delay_ms": 1000, "retry_after": 1}, refuse_late),
    "hide_order": Kind("request", {"delay_ms": 1000, "lose": False, "sources": SOURCES}, hide_order),
    "blind_success": Kind("request", {}, blind_success),
    "fill_after_cancel": Kind("request", {"share": "1"}, fill_after_cancel),
    "drop_socket": Kind("socket", {"scope": "all"}),
    "skip_frames": Kind("frame", {"channel": "*", "event": "*", "type": None}),
    "merge_matches": Kind("frame", {}),
    "echo_client_id": Kind("view", {"mode": "upper"}),
}
SCOPES: Mapping[str, bool | None] = {"all": None, "private": True, "market": False}


class Faults:
    """The faults that wait, in the order in which they came, and the veils that they laid."""

    def __init__(self) -> None:
        self.veils = Veils()
        self._waiting: list[Fault] = []
        self._next = 1

    def add(self, wish: Mapping[str, Any], publisher: Publisher) -> Fault:
        """Make a fault from a control call; one that strikes sockets or views strikes now.

        Raises:
            InvalidValue: unknown kind or option, or a count that is none.
        """
        kind = KINDS.get(str(wish.get("kind")))
        if kind is None:
            raise InvalidValue("kind", f"{wish.get('kind')!r} is none of {', '.join(KINDS)}")
        given = {name: wish[name] for name in wish if name not in ("kind", "endpoint", "count", "account")}
        if unknown := sorted(set(given) - set(kind.options)):
            raise InvalidValue(
                unknown[0], f"is no option of {wish['kind']}; it has: {', '.join(kind.options) or 'none'}"
            )
        count = wish.get("count", 1)
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InvalidValue("count", f"{count!r} must be a whole number above 0, or null for ever")
        options = {**kind.options, **given}
        if unknown := sorted(set(options.get("sources", ())) - set(SOURCES)):
            raise InvalidValue("sources", f"{', '.join(unknown)}: there are {', '.join(SOURCES)}")
        fault = Fault(self._next, str(wish["kind"]), str(wish.get("endpoint", "*")), count, options)
        fault.account = str(wish.get("account") or "")
        self._next += 1
        if kind.place == "socket":
            fault.struck = _drop(fault, publisher)
        elif kind.place == "view":
            self._alter(fault)
        else:
            self._waiting.append(fault)
        return fault

    def rows(self) -> list[dict[str, Any]]:
        """The faults that wait."""
        return [fault.row() for fault in self._waiting]

    def clear(self) -> None:
        """Forget them all."""
        self._waiting.clear()
        self.veils.clear()

    def around(self, method: str, path: str, account: str = "") -> Fault | None:
        """The fault that strikes this request of an account, used up once."""
        if not self._waiting:
            return None
        endpoint = f"{method} {path}".lower()
        for fault in self._waiting:
            if (
                KINDS[fault.kind].place == "request"
                and fault.account in ("", account)
                and fnmatchcase(endpoint, fault.endpoint.lower())
            ):
                return self._use(fault)
        return None

    def skips(self, channel: str, event: str, kind: int, account: str = "") -> bool:
        """Whether a fault swallows this frame; `account` is whose message it is, "" for everybody's."""
        for fault in self._waiting:
            if fault.kind != "skip_frames" or fault.account not in ("", account):
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

    def merges(self, account: str) -> bool:
        """Whether the matches that one event brings the account's orders are told in one message an order."""
        for fault in self._waiting:
            if fault.kind == "merge_matches" and fault.account in ("", account):
                self._use(fault)
                return True
        return False

    def _alter(self, fault: Fault) -> None:
        mode = str(fault.options["mode"])
        if mode not in ECHOES:
            raise InvalidValue("mode", f"{mode!r} is none of {', '.join(ECHOES)}")
        if not fault.account:
            raise InvalidValue("account", "must name the account whose client ids are altered")
        self.veils.echo(fault.account, mode)
        fault.struck = 1

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
    return publisher.drop(SCOPES[scope], fault.count, fault.account)
