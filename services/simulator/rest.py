"""The REST side: finds the endpoint, counts, limits, authenticates, and lets faults strike."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .accounts import Account, Accounts, Scope
from .clock import VenueClock
from .faults import KINDS, Call, Faults
from .limits import Limits
from .problems import Problem, unauthorized
from .request import Answer, Request, of_problem
from .rest_private import PrivateRest
from .rest_public import PublicRest
from .signatures import STAMP_TOLERANCE_MS, check_request

ONE_ORDER = "/api/v1/order/"


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An endpoint for everybody. `name` is its key in the limits and counts."""

    name: str
    answer: Callable[[Request], Answer]
    is_graph: bool = False


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """An endpoint for one account whose key has the scope."""

    name: str
    answer: Callable[[Request, Account], Answer]
    scope: Scope


Route = PublicRoute | PrivateRoute


class Rest:
    """Serves requests. A request is executed in one go; only latency and faults wait."""

    def __init__(
        self,
        public: PublicRest,
        private: PrivateRest,
        accounts: Accounts,
        limits: Limits,
        faults: Faults,
        clock: VenueClock,
        latency_ms: float,
        stamp_tolerance_ms: int = STAMP_TOLERANCE_MS,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._accounts = accounts
        self._limits = limits
        self._faults = faults
        self._clock = clock
        self._latency = latency_ms / 2000
        self._tolerance = stamp_tolerance_ms
        self._fill = private.fill_share
        self._one_order = PrivateRoute("GET /api/v1/order/{id}", private.one_order, "trade")
        routes: list[Route] = [*_public_routes(public), *_private_routes(private)]
        self._routes: dict[str, Route] = {route.name.lower(): route for route in routes}
        self._routes["get /graph/v1/klines/history"] = self._routes["get /v1/klines/history"]
        self._routes["get /graph/v1/ohlcs"] = self._routes["get /v1/ohlcs"]
        self._paths = {name.partition(" ")[2] for name in self._routes}

    async def serve(self, request: Request) -> Answer | None:
        """Answer a request; None if the connection is to be closed without an answer."""
        route = self._route(request)
        self.counts[route.name if route is not None else "unknown"] += 1
        if self._latency and isinstance(route, PrivateRoute):
            await asyncio.sleep(self._latency)
        account = request.headers.get(b"x-pck", b"").decode("latin-1")
        fault = self._faults.around(request.method, request.path, account)
        execute = self._checked(route, request)
        now = self._clock.monotonic()
        around = KINDS[fault.kind].around if fault is not None else None
        if fault is None or around is None:
            answer: Answer | None = execute()
        else:
            answer = await around(fault, Call(request, account, execute, self._fill, self._faults.veils, now))
        if answer is not None and request.method == "GET" and isinstance(route, PrivateRoute):
            answer = self._faults.veils.answer(account, request.path, answer, self._clock.monotonic())
        if self._latency and isinstance(route, PrivateRoute):
            await asyncio.sleep(self._latency)
        return answer

    def _route(self, request: Request) -> Route | None:
        path = request.path.lower().rstrip("/")
        route = self._routes.get(f"{request.method.lower()} {path}")
        if route is None and request.method == "GET" and path.startswith(ONE_ORDER):
            return self._one_order
        return route

    def _checked(self, route: Route | None, request: Request) -> Callable[[], Answer]:
        """What will answer a request, which is checked now, as it arrives."""
        try:
            if route is None:
                raise _no_route(request.path.lower() in self._paths)
            self._limit(route, "ip", request.address)
            if isinstance(route, PublicRoute):
                return partial(_answered, route.answer, request)
            if request.method == "POST":
                _check_body(request)
            account = check_request(request.headers, self._accounts, self._clock.now_ms(), self._tolerance)
            if route.scope not in account.keys.scopes:
                raise unauthorized("Invalid Request")
            self._limit(route, "account", account.keys.public_key)
        except Problem as problem:
            return partial(of_problem, problem)
        return partial(_answered, route.answer, request, account)

    def _limit(self, route: Route, policy: Any, who: str) -> None:
        now = self._clock.monotonic()
        names = [route.name]
        if isinstance(route, PublicRoute) and route.is_graph:
            names.append("graph")
        for name in names:
            refusal = self._limits.check(name, policy, who, now)
            if refusal is not None:
                raise refusal


def _answered(answer: Callable[..., Answer], *args: Any) -> Answer:
    try:
        return answer(*args)
    except Problem as problem:
        return of_problem(problem)


def _no_route(is_known: bool) -> Problem:
    status, words = (405, "Method Not Allowed") if is_known else (404, "Not Found")
    return Problem(status, {"success": False, "message": words, "code": status})


def _check_body(request: Request) -> None:
    if not request.body:
        raise Problem(411, None)
    if not request.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
        raise Problem(415, {"success": False, "message": "Unsupported Media Type", "code": 415})


def _public_routes(public: PublicRest) -> list[PublicRoute]:
    return [
        PublicRoute("GET /api/v2/server/time", public.server_time),
        PublicRoute("GET /api/v2/server/ping", public.ping),
        PublicRoute("GET /api/v2/server/exchangeinfo", public.exchange_info),
        PublicRoute("GET /api/v2/ticker", public.ticker),
        PublicRoute("GET /api/v2/ticker/currency", public.ticker_currency),
        PublicRoute("GET /api/v2/orderbook", public.orderbook),
        PublicRoute("GET /api/v2/trades", public.trades),
        PublicRoute("GET /api/v2/ohlc", public.ohlc),
        PublicRoute("GET /v1/ohlcs", public.ohlcs, is_graph=True),
        PublicRoute("GET /v1/klines/history", public.klines, is_graph=True),
    ]


def _private_routes(private: PrivateRest) -> list[PrivateRoute]:
    return [
        PrivateRoute("GET /api/v1/users/balances", private.balances, "funds"),
        PrivateRoute("GET /api/v1/openOrders", private.open_orders, "trade"),
        PrivateRoute("GET /api/v1/allOrders", private.all_orders, "trade"),
        PrivateRoute("POST /api/v1/order", private.submit, "trade"),
        PrivateRoute("DELETE /api/v1/order", private.cancel, "trade"),
        PrivateRoute("GET /api/v1/users/transactions/trade", private.trades, "account"),
        PrivateRoute("GET /api/v1/users/transactions/crypto", private.crypto, "account"),
        PrivateRoute("GET /api/v1/users/transactions/fiat", private.fiat, "account"),
    ]
