"""The trading half of the client: commands to the router, and what comes back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tickrouter.bus import queue
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.subscribe import EntryId, find_order, parse_id, read_balances
from tickrouter.client_base import ClientBase
from tickrouter.errors import InvalidValue, StorageError, Unreadable
from tickrouter.history.outbox import Numbered, entries_after
from tickrouter.model.account import Account, Balance
from tickrouter.model.command import Command, OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event
from tickrouter.model.ids import default_mark, repeatable_id
from tickrouter.model.money import plain
from tickrouter.model.order import Order
from tickrouter.tape import numbered
from tickrouter.tape.outcome import Outcome

Amount = str | int | Decimal
"""Money from a program: text, int or Decimal, never float."""

_SIDES = {"b": "b", "buy": "b", "s": "s", "sell": "s"}
_SEND_TRIES = 3
_SEND_WAIT = 0.2


class OrdersClient(ClientBase):
    """Orders of one account, or of several by the argument `account`."""

    def place(
        self,
        contract: str,
        side: str,
        amount: Amount | None = None,
        price: Amount | None = None,
        *,
        type: OrderType = "limit",
        quote_amount: Amount | None = None,
        stop_price: Amount | None = None,
        client_oid: str | None = None,
        ttl_ms: int | None = None,
        tags: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        account: str | None = None,
    ) -> str:
        """Send an order to the router and return at once; what becomes of it comes as events.

        Args:
            contract: any accepted name, at the account's venue.
            side: `b` or `buy`, `s` or `sell`.
            amount: in base, as text, int or Decimal.
            price: limit, in quote; needed by limit and stop_limit.
            type: `limit`, `market`, `stop_limit`, `stop_market`.
            quote_amount: in quote, fee included, instead of `amount`: what a BTCTurk market buy takes.
            stop_price: trigger, in quote.
            client_oid: 32 hex digits; None makes one.
            ttl_ms: if it is not sent by then it is Denied; None takes the router's default.
            tags: carried into every event of the order.
            options: venue-specific.
            account: another than the client's.

        Returns:
            The order's client id.

        Raises:
            InvalidValue: a field is missing or wrong; nothing was sent.
            StorageError: Redis did not confirm: the order may or may not be queued. Its client id stands in the
                text; the same call with that `client_oid` is safe: it is one command, however often it comes.
        """
        owner = self._owner(account)
        money = {"amount": amount, "price": price, "quote_amount": quote_amount, "stop_price": stop_price}
        fields: dict[str, Any] = {
            "contract": str(Contract.parse(contract)),
            "side": _side(side),
            "type": type,
            "client_oid": client_oid if client_oid is not None else self._new_oid(owner),
            "ttl_ms": ttl_ms,
            "tags": tags,
            "options": options,
        }
        fields |= {name: _money(name, value) for name, value in money.items() if value is not None}
        self._send("place", owner, fields, repeatable=True)
        return str(fields["client_oid"])

    def cancel(
        self, client_oid: str | None = None, *, exchange_oid: str | None = None, account: str | None = None
    ) -> str:
        """Ask to cancel an order, by either id; `command_done` or `cancel_rejected` answers.

        Returns:
            The command's id.

        Raises:
            InvalidValue: neither id, or a wrong one.
            StorageError: Redis did not confirm; asking again does no harm.
        """
        return self._send("cancel", self._owner(account), {"client_oid": client_oid, "exchange_oid": exchange_oid})

    def cancel_all(self, contract: str | None = None, side: str | None = None, *, account: str | None = None) -> str:
        """Ask to cancel every open order, or those of one contract or side; `command_done` answers.

        Returns:
            The command's id.

        Raises:
            InvalidValue: no such contract or side.
            StorageError: Redis did not confirm; asking again does no harm.
        """
        name = None if contract is None else str(Contract.parse(contract))
        fields = {"contract": name, "side": None if side is None else _side(side)}
        return self._send("cancel_all", self._owner(account), fields)

    def query(
        self, client_oid: str | None = None, *, exchange_oid: str | None = None, account: str | None = None
    ) -> str:
        """Ask the router to look for an order at the venue now; `command_done` answers.

        Returns:
            The command's id.

        Raises:
            InvalidValue: neither id, or a wrong one.
            StorageError: Redis did not confirm; asking again does no harm.
        """
        return self._send("query", self._owner(account), {"client_oid": client_oid, "exchange_oid": exchange_oid})

    def order(self, client_oid: str, *, account: str | None = None) -> Order | None:
        """The order as the router's journal has it, or None where it has none: not admitted yet, or long done.

        Raises:
            StorageError: Redis did not answer.
            Unreadable: the journal holds something else under that id.
        """
        return find_order(self._orders, self._owner(account), client_oid)

    def wait(self, client_oid: str, timeout: float | None = None, *, account: str | None = None) -> Event:
        """Wait until an order is final and all its fills are published, and return the event that says so.

        An order whose journal is gone, seven days after its end, is not found here any more: see `events`.

        Args:
            client_oid: the order.
            timeout: seconds, None for ever.
            account: another than the client's.

        Returns:
            The order's last event, or the `command_denied` by which the router refused it.

        Raises:
            TimeoutError: it was not final by then. The order lives on: cancel it, or wait again.
            StorageError: a server that was needed did not answer.
        """
        owner = self._owner(account)
        stream = self._follower(self._orders, AccountKeys(str(owner)).events)
        event = Outcome(self._orders, stream, self._db, owner, self._clock).of(client_oid, timeout)
        if event is None:
            raise TimeoutError(f"the order {client_oid} is not final after {timeout} s; it lives on")
        return event

    def events(
        self, after: str | None = None, *, block: float | None = None, account: str | None = None
    ) -> Iterator[Event]:
        """All that happens to the account's orders, each event once, in order.

        Args:
            after: `<epoch>-<seq>` of the last event you have (`event.id`); `0-0` is everything ever, None is what
                comes from now on.
            block: end when nothing came for that many seconds; None never ends.
            account: another than the client's.

        Raises:
            InvalidValue: `after` is of another form.
            HistoryGap: numbers are missing in Redis and MongoDB both; the text names them.
            StorageError: a server that was needed did not answer.
            Unreadable: an entry is no event; the text names it, so that one can go on behind it.
        """
        return self._numbered("events", after, block, account)

    def fills(
        self, after: str | None = None, *, block: float | None = None, account: str | None = None
    ) -> Iterator[Event]:
        """The account's executions, each once, in order: events of type `fill`, numbered by `event.fill.seq`.

        Args:
            after: `<epoch>-<fill seq>` of the last fill you have (`event.fill_id`); `0-0` is every fill ever, None
                is what comes from now on.
            block: end when nothing came for that many seconds; None never ends.
            account: another than the client's.

        Raises:
            As `events`.
        """
        return self._numbered("fills", after, block, account)

    def balances(self, *, account: str | None = None) -> dict[str, Balance]:
        """What the account holds by currency in lower case, as the router last read it; empty before that.

        Raises:
            StorageError: Redis did not answer.
        """
        return read_balances(self._orders, self._owner(account))

    def _numbered(self, name: Numbered, after: str | None, block: float | None, account: str | None) -> Iterator[Event]:
        owner = self._owner(account)
        keys = AccountKeys(str(owner))
        start = None if after is None else parse_id("after", after)
        stream = self._follower(self._orders, keys.events if name == "events" else keys.fills)

        def stored(first: EntryId, before: EntryId | None) -> Iterator[tuple[EntryId, bytes]]:
            return entries_after(self._db(), name, owner, first, before)

        return (_event(name, entry.id, entry.data) for entry in numbered.play(stream, stored, start, block))

    def _send(self, action: str, owner: Account, fields: dict[str, Any], *, repeatable: bool = False) -> str:
        """Check a command, put it onto the queue, and return its id.

        A repeat of the same id is one command, so an unconfirmed write is simply sent again.
        """
        wire = {"action": action, "account": str(owner)}
        wire |= {name: value for name, value in fields.items() if value is not None}
        command = Command.from_wire({"id": action, **wire})
        content = pack_map(command.to_wire()) if repeatable else secrets.token_bytes(16)
        command = replace(command, id=repeatable_id(action, content))
        for tries_left in reversed(range(_SEND_TRIES)):
            try:
                queue.send(self._orders, command)
            except StorageError as error:
                if tries_left == 0 or self._closed.wait(_SEND_WAIT):
                    about = f" (client_oid {command.client_oid})" if command.client_oid else ""
                    raise StorageError(f"{error}{about}") from error
            else:
                break
        return command.id

    def _new_oid(self, owner: Account) -> str:
        return (self._id_mark or default_mark(owner)) + secrets.token_hex(12)


def _event(name: str, entry_id: EntryId, data: bytes) -> Event:
    try:
        return Event.from_wire(unpack_map(data))
    except (Unreadable, InvalidValue) as error:
        raise Unreadable(f"{name} {entry_id[0]}-{entry_id[1]}: {error}") from error


def _side(given: str) -> str:
    side = _SIDES.get(given.lower()) if isinstance(given, str) else None
    if side is None:
        raise InvalidValue("side", f"{given!r} is not b (buy) or s (sell)")
    return side


def _money(name: str, value: Amount) -> str:
    if isinstance(value, Decimal):
        return plain(value) if value.is_finite() else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value
    raise InvalidValue(name, f'is {type(value).__name__}: write "0.001" or Decimal("0.001"), money is never float')
