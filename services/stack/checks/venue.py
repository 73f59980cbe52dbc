"""Venues and accounts: reachable, clocks agree, keys do what they are for. Nothing is placed or cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tickrouter.clock import Clock
from tickrouter.config import Config, Keys
from tickrouter.errors import ConfigError, SocketClosed, Unreadable, VenueError
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.transport.http import HttpClient
from tickrouter.transport.socket import Socket
from tickrouter.venues.registry import trading_adapter
from tickrouter.venues.request import Answer, Request
from tickrouter.venues.trading import LoggedIn, TradingAdapter

from .finding import Finding, where

T = TypeVar("T")

TIMEOUT = 5.0
_SECOND = 1_000_000_000
_DAY = 24 * 3600 * _SECOND
_LOGIN_FRAMES = 20
"""Frames that may come before the answer to a login."""
_UNSIGNED = ("", "")
"""Keys for an adapter whose public calls alone are used."""


class VenueCheck:
    """One venue."""

    def __init__(self, config: Config, venue: str, clock: Clock) -> None:
        self.card = config.card(venue)
        self.is_local = config.is_local(venue)
        self._clock = clock
        self._http = HttpClient(venue, timeout=TIMEOUT)
        self._offset: int | None = None

    def check(self) -> Iterator[Finding]:
        """Is it reachable, and does its clock agree with ours?"""
        part, address = f"venue {self.card.name}", where(self.card.hosts.public)
        adapter = trading_adapter(self.card, key=_UNSIGNED)
        before = self._clock.now()
        try:
            theirs = self.ask(adapter.server_time(), adapter.read_server_time)
        except VenueError as error:
            advice = "look at the network, a proxy, or `hosts` under `venues` in tickrouter.yaml"
            yield Finding(part, "wrong", f"{address}: {error}", advice)
            return
        self._offset = theirs - (before + self._clock.now()) // 2
        yield Finding(part, "ok", f"{address} answers")
        yield clock_finding(part, self._offset / _SECOND, self.card.capabilities.stamp_tolerance)

    @property
    def is_reachable(self) -> bool:
        return self._offset is not None

    def stamp(self) -> int:
        """Now, on the venue's clock, ns: so that a wrong clock here is one finding and not five."""
        return self._clock.now() + (self._offset or 0)

    def ask(self, request: Request, read: Callable[[Answer], T]) -> T:
        """Send once and read.

        Raises:
            VenueError: refused, or no answer.
        """
        return read(self._http.send(request))


class AccountCheck:
    """One account at a venue."""

    def __init__(self, config: Config, account: Account, venue: VenueCheck) -> None:
        self._config = config
        self._account = account
        self._venue = venue
        self._is_live = config.accounts[str(account)].mode == "live"

    def check(self) -> Iterator[Finding]:
        """Mode, keys, and with keys and a venue that answers: their scopes."""
        yield mode_finding(self._account, is_live=self._is_live, is_local=self._venue.is_local)
        part = f"keys of {self._account}"
        try:
            keys = self._config.keys(self._account)
            adapter = trading_adapter(self._venue.card, key=keys.rest, socket_key=keys.socket)
        except ConfigError as error:
            needed = self._is_live or self._venue.is_local
            yield Finding(part, "wrong" if needed else "note", str(error))
            return
        yield Finding(part, "ok", "found, and readable by their owner only")
        if self._venue.is_reachable:
            yield from self._scopes(adapter, keys)

    def _scopes(self, adapter: TradingAdapter, keys: Keys) -> Iterator[Finding]:
        stamp = self._venue.stamp
        now = stamp()
        contract = self._contract()
        calls: dict[str, tuple[Request, Callable[[Answer], object]]] = {
            "Total Funds": (adapter.balances(stamp()), lambda answer: adapter.read_balances(answer, now)),
            "Trade": (adapter.open_orders(contract, stamp()), adapter.read_orders),
            "Account": (adapter.executions(contract, now - _DAY, now, stamp()), adapter.read_executions),
        }
        for scope, (request, read) in calls.items():
            yield self._scope(scope, request, read)
        yield self._socket_key(adapter, keys)

    def _scope(self, scope: str, request: Request, read: Callable[[Answer], object]) -> Finding:
        part = f"{self._account}: scope {scope}"
        try:
            self._venue.ask(request, read)
        except VenueError as error:
            advice = {
                "auth": f"make a key with the scope {scope}, bound to this machine's address, at the venue",
                "nonce": "set the clock: timedatectl set-ntp true",
                "rate_limit": "wait a minute and check again",
            }.get(error.kind, "check again; look at the venue's status page")
            return Finding(part, "wrong", str(error), advice)
        return Finding(part, "ok", f"{request.endpoint} answers")

    def _socket_key(self, adapter: TradingAdapter, keys: Keys) -> Finding:
        part = f"{self._account}: WebSocket key"
        frame = adapter.login(self._venue.stamp())
        if keys.socket is None or frame is None:
            advice = "make a key of the kind WebSocket at the venue; without it fills are found by polling, later"
            return Finding(part, "note", "there is none", advice)
        try:
            answer = _login(self._venue.card.hosts.socket, frame, adapter)
        except SocketClosed as error:
            return Finding(part, "wrong", str(error), "look at the network, or `hosts: socket` in tickrouter.yaml")
        if answer is None:
            return Finding(part, "wrong", f"no answer to the login within {TIMEOUT:.0f} s", "check again")
        if not answer.ok:
            advice = "it has to be a key of the kind WebSocket; the REST key does not do"
            return Finding(part, "wrong", f"login refused: {answer.text}", advice)
        return Finding(part, "ok", "login accepted")

    def _contract(self) -> Contract:
        """Any contract of the venue that this installation cares about: the reads need one."""
        names = (*self._config.accounts[str(self._account)].risk.contracts, *self._config.record.contracts)
        mine = [Contract.parse(name) for name in names if name.startswith(f"{self._account.venue}/")]
        return mine[0] if mine else Contract(self._account.venue, "btc", "usdt")


def clock_finding(part: str, offset: float, tolerance: float) -> Finding:
    """Is our clock near enough to the venue's? `offset` is theirs less ours, in seconds."""
    part = f"{part}: clock"
    found = f"ours is {abs(offset):.2f} s {'behind' if offset > 0 else 'ahead'}; {tolerance:g} s are tolerated"
    if abs(offset) >= tolerance:
        return Finding(part, "wrong", found, "set the clock: timedatectl set-ntp true")
    if abs(offset) >= tolerance / 2:
        return Finding(part, "note", found, "set the clock before it drifts further: timedatectl set-ntp true")
    return Finding(part, "ok", found)


def mode_finding(account: Account, *, is_live: bool, is_local: bool) -> Finding:
    """Where do the account's orders go?"""
    part = f"account {account}"
    if is_live:
        return Finding(
            part, "note", "live" + (", at a venue on this machine" if is_local else ": orders trade with money")
        )
    if is_local:
        return Finding(part, "ok", "on paper, at a venue on this machine")
    advice = "on paper: point `hosts` under `venues` at a simulator; with money: `mode: live`"
    return Finding(part, "note", "on paper, and the venue is not on this machine: orders are denied", advice)


def _login(url: str, frame: str, adapter: TradingAdapter) -> LoggedIn | None:
    with Socket.connect(url, TIMEOUT) as socket:
        socket.send(frame)
        for _ in range(_LOGIN_FRAMES):
            data = socket.recv(TIMEOUT)
            if data is None:
                return None
            try:
                facts = adapter.read_private(data)
            except Unreadable:
                continue
            for fact in facts:
                if isinstance(fact, LoggedIn):
                    return fact
    return None
