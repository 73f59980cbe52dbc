"""The trading half of the client: commands to the router, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.subscribe import EntryId, parse_id, read_balances
from tickrouter.client_controls import ControlsClient, strategy_name
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.history.outbox import Numbered, entries_after
from tickrouter.model.account import Account, Balance
from tickrouter.model.command import OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event
from tickrouter.model.money import plain
from tickrouter.model.order import Order
from tickrouter.tape import numbered
from tickrouter.tape.answer import answer_to
from tickrouter.tape.order_records import OrderRecords
from tickrouter.tape.outcome import Outcome

Amount = str | int | Decimal
"""Money from a program: text, int or Decimal, never float."""

_SIDES = {"b": "b", "buy": "b", "s": "s", "sell": "s"}


class OrdersClient(ControlsClient):
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
        cancel_after_ms: int | None = None,
        strategy: str | None = None,
        cancel_on_disconnect: bool = False,
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
            cancel_after_ms: the router cancels it by itself, so long after its first New.
            strategy: its name, 1 to 64 printable characters; becomes the tag `strategy`.
            cancel_on_disconnect: cancel it when the strategy's signs of life end: see `alive`, which has to run by
                then. Becomes the tag `cancel_on_disconnect`.
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
            "cancel_after_ms": cancel_after_ms,
            "tags": _tagged(tags, strategy, cancel_on_disconnect),
            "options": options,
        }
        fields |= {name: _money(name, value) for name, value in money.items() if value is not None}
        self._send("place", owner, fields)
        return str(fields["client_oid"])

    def amend(
        self,
        orig_client_oid: str,
        price: Amount | None = None,
        amount: Amount | None = None,
        client_oid: str | None = None,
        *,
        account: str | None = None,
    ) -> str:
        """Put another order in an open order's place; `command_done` or `amend_rejected` answers.

        BTCTurk has no such request: the router cancels the old order, waits for the venue's final figures, and
        places a new one for what is left. In between neither is in the book.

        Args:
            orig_client_oid: the order to replace, a limit or stop limit order.
            price: the new limit price; None keeps the old one's.
            amount: the new total in base, what is filled already included; None keeps the old one's.
            client_oid: of the new order, 32 hex digits; None makes one.
            account: another than the client's.

        Returns:
            The new order's client id. The order exists only if the amend succeeds: `wait` for it returns the
            `amend_rejected` event where it does not.

        Raises:
            InvalidValue: a field is missing or wrong; nothing was sent.
            StorageError: Redis did not confirm; the same call with the `client_oid` in the text is safe.
        """
        owner = self._owner(account)
        new = client_oid if client_oid is not None else self._new_oid(owner)
        money = {"price": price, "amount": amount}
        fields: dict[str, Any] = {"orig_client_oid": orig_client_oid, "client_oid": new}
        fields |= {name: _money(name, value) for name, value in money.items() if value is not None}
        self._send("amend", owner, fields)
        return new

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
        """The order as the router's journal has it, or MongoDB's copy where the journal has let it go.

        None where there is no such order, or where it still stands in the queue: a router has to admit it first.

        Raises:
            StorageError: a server that was needed did not answer; MongoDB is not, while journal or queue have it.
            Unreadable: the journal or the copy holds something else under that id.
        """
        return self._records(self._owner(account)).order(client_oid)

    def wait(self, client_oid: str, timeout: float | None = None, *, account: str | None = None) -> Event:
        """Wait until an order is final and all its fills are published, and return the event that says so.

        Args:
            client_oid: the order, however long ago it ended.
            timeout: seconds, None for ever.
            account: another than the client's.

        Returns:
            The order's last event, the `command_denied` by which the router refused it, or the `amend_rejected`
            of the amend that should have made it.

        Raises:
            TimeoutError: it was not final by then. The order lives on: cancel it, or wait again.
            StorageError: a server that was needed did not answer.
        """
        owner = self._owner(account)
        stream = self._follower(self._orders, AccountKeys(str(owner)).events)
        event = Outcome(self._orders, stream, self._records(owner), self._clock).of(client_oid, timeout)
        if event is None:
            raise TimeoutError(f"the order {client_oid} is not final after {timeout} s; it lives on")
        return event

    def outcome(self, command: str, timeout: float | None = None, *, account: str | None = None) -> Event:
        """Wait for the answer to a command other than place, by the id that cancel, query, settle and so on return.

        Args:
            command: its id; for an amend the new order's client id. Of this day or so: what Redis has trimmed is
                not searched.
            timeout: seconds, None for ever.
            account: another than the client's.

        Returns:
            `command_done`, `command_denied`, `cancel_rejected` or `amend_rejected`.

        Raises:
            TimeoutError: no answer by then; it may still come.
            StorageError: Redis did not answer.
        """
        keys = AccountKeys(str(self._owner(account)))
        event = answer_to(self._orders, self._follower(self._orders, keys.events), command, timeout, self._clock)
        if event is None:
            raise TimeoutError(f"no answer to the command {command} after {timeout} s; it may still come")
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

    def _records(self, owner: Account) -> OrderRecords:
        return OrderRecords(self._orders, self._db, owner)

    def _numbered(self, name: Numbered, after: str | None, block: float | None, account: str | None) -> Iterator[Event]:
        owner = self._owner(account)
        keys = AccountKeys(str(owner))
        start = None if after is None else parse_id("after", after)
        stream = self._follower(self._orders, keys.events if name == "events" else keys.fills)

        def stored(first: EntryId, before: EntryId | None) -> Iterator[tuple[EntryId, bytes]]:
            return entries_after(self._db(), name, owner, first, before)

        return (_event(name, entry.id, entry.data) for entry in numbered.play(stream, stored, start, block))


def _event(name: str, entry_id: EntryId, data: bytes) -> Event:
    try:
        return Event.from_wire(unpack_map(data))
    except (Unreadable, InvalidValue) as error:
        raise Unreadable(f"{name} {entry_id[0]}-{entry_id[1]}: {error}") from error


def _tagged(tags: dict[str, Any] | None, strategy: str | None, cancel_on_disconnect: bool) -> dict[str, Any] | None:
    """The tags with those by which the router knows whose orders to cancel."""
    if strategy is None:
        if cancel_on_disconnect:
            raise InvalidValue("strategy", "cancel_on_disconnect needs the name by which the strategy is alive")
        return tags
    if tags is not None and tags.get("strategy", strategy) != strategy:
        raise InvalidValue("strategy", f"{strategy!r} is not the strategy of the tags, {tags['strategy']!r}")
    named = {"strategy": strategy_name(strategy)} | ({"cancel_on_disconnect": True} if cancel_on_disconnect else {})
    return (tags or {}) | named


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
