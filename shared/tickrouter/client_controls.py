"""The client's hand on a running router: halt, signs of life, an operator's verdict."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tickrouter import logs
from tickrouter.bus import controls
from tickrouter.client_sending import SendingClient
from tickrouter.errors import InvalidValue, StorageError
from tickrouter.model.account import Account

Verdict = Literal["never_placed", "canceled", "placed"]

_STRATEGY = re.compile(r"[\x21-\x7e]{1,64}\Z")
_RENEWALS = 3
"""Signs of life within one ttl: two may be lost."""


class ControlsClient(SendingClient):
    """What operators and strategies tell the router beside orders."""

    def halt(self, who: str, why: str, cancel_all: bool = False, *, account: str | None = None) -> str | None:
        """Let no new order leave, from this moment on; cancels still do. It holds until `resume`, restarts included.

        Args:
            who: says so; kept in the account's halt and in its events.
            why: likewise.
            cancel_all: cancel every open order besides.
            account: another than the client's.

        Returns:
            The id of the cancel_all command, or None without one.

        Raises:
            InvalidValue: nobody, or no reason.
            StorageError: Redis did not confirm the halt, or with `cancel_all` the command; asking again does no harm.
        """
        if not who.strip() or not why.strip():
            raise InvalidValue("halt", "say who halts and why: both are kept")
        owner = self._owner(account)
        controls.set_halt(self._orders, str(owner), who, why)
        return self._send("cancel_all", owner, {}) if cancel_all else None

    def resume(self, *, account: str | None = None) -> None:
        """Let orders leave again.

        Raises:
            StorageError: Redis did not confirm; asking again does no harm.
        """
        controls.resume(self._orders, str(self._owner(account)))

    def halted(self, *, account: str | None = None) -> str | None:
        """`halt:<who>:<why>` while the account is halted, else None. An account that never ran counts as halted.

        Raises:
            StorageError: Redis did not answer.
        """
        said = controls.read_halt(self._orders, str(self._owner(account)))
        return None if said == controls.RUN else said

    def heartbeat(self, strategy: str, ttl: float = 5.0, *, account: str | None = None) -> None:
        """Say once that a strategy is alive: its orders with `cancel_on_disconnect` stay, at least for `ttl` seconds.

        Raises:
            InvalidValue: no name of 1 to 64 printable characters, or a ttl that is not above zero.
            StorageError: Redis did not confirm.
        """
        owner = self._owner(account)
        controls.show_alive(self._orders, str(owner), strategy_name(strategy), _seconds(ttl))

    @contextmanager
    def alive(self, strategy: str, ttl: float = 5.0, *, account: str | None = None) -> Iterator[None]:
        """Keep saying that a strategy is alive, from a thread, as long as the block runs.

        When the block or the process ends, the orders with `cancel_on_disconnect` are cancelled about `ttl` + 1
        seconds later, so that a strategy which comes back in time still finds them. While Redis does not answer
        it is tried again.

        Raises:
            InvalidValue: as `heartbeat`.
            StorageError: Redis did not confirm the first sign.
        """
        owner = self._owner(account)
        name, seconds = strategy_name(strategy), _seconds(ttl)
        controls.show_alive(self._orders, str(owner), name, seconds)
        done = threading.Event()
        renewing = threading.Thread(
            target=self._renew, args=(owner, name, seconds, done), name=f"alive-{name}", daemon=True
        )
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()

    def settle(
        self,
        client_oid: str,
        verdict: Verdict,
        operator: str,
        reason: str,
        *,
        exchange_oid: str | None = None,
        account: str | None = None,
    ) -> str:
        """Decide an order in doubt where evidence cannot; `command_done` or `command_denied` answers.

        Args:
            client_oid: the order, which has to be InDoubt.
            verdict: `never_placed`, `canceled`, or `placed` with the venue's id of it.
            operator: who decides; recorded.
            reason: what the decision rests on; recorded.
            exchange_oid: the venue's id, for `placed`.
            account: another than the client's.

        Returns:
            The command's id: see `outcome`.

        Raises:
            InvalidValue: a field is missing or wrong; nothing was sent.
            StorageError: Redis did not confirm; asking again does no harm.
        """
        options = {"verdict": verdict, "operator": operator, "reason": reason}
        if exchange_oid is not None:
            options["exchange_oid"] = exchange_oid
        return self._send("settle", self._owner(account), {"client_oid": client_oid, "options": options})

    def _renew(self, owner: Account, strategy: str, ttl: float, done: threading.Event) -> None:
        while not done.wait(ttl / _RENEWALS) and not self._closed.is_set():
            try:
                controls.show_alive(self._orders, str(owner), strategy, ttl)
            except StorageError as error:
                logs.get("client").warning("no sign of life given", strategy=strategy, error=str(error))


def strategy_name(given: str) -> str:
    """A strategy's name, checked.

    Raises:
        InvalidValue: not 1 to 64 printable characters.
    """
    if not isinstance(given, str) or not _STRATEGY.match(given):
        raise InvalidValue("strategy", f"{given!r} is not 1 to 64 printable characters without spaces")
    return given


def _seconds(ttl: float) -> float:
    if not ttl > 0:
        raise InvalidValue("ttl", f"{ttl!r} is not above zero")
    return ttl
