"""BTCTurk's private REST calls and login, for one account."""

from __future__ import annotations

import json
from decimal import Context, Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from tickrouter.core.facts import VenueFill, VenueOrder
from tickrouter.errors import AmbiguousError
from tickrouter.model.account import Balance
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract
from tickrouter.model.money import MAX_PLACES, plain
from tickrouter.model.order import Order
from tickrouter.venues.btcturk import orders, private
from tickrouter.venues.btcturk.answers import VENUE, data_of
from tickrouter.venues.btcturk.orders import MS
from tickrouter.venues.btcturk.signing import Signer
from tickrouter.venues.card import Card
from tickrouter.venues.request import Answer, Request
from tickrouter.venues.trading import CannotDo, PrivateFact, Symbol

_SECOND = 1000 * MS
_METHODS = {"limit": "limit", "market": "market", "stop_limit": "stopLimit", "stop_market": "stopMarket"}
_SIDES = {"b": "buy", "s": "sell"}
_JSON = {"Content-Type": "application/json"}
_EXACT = Context(prec=80, traps=[])
"""More digits than any number that a command may hold."""
_STEPS = {places: Decimal(1).scaleb(-places) for places in range(MAX_PLACES + 1)}
"""The last decimal that counts, by how many there are."""


class BtcturkTrading:
    """See `tickrouter.venues.trading.TradingAdapter`."""

    page = 1000
    """Largest `limit` of allOrders (documentation)."""

    def __init__(self, card: Card, signer: Signer, socket_signer: Signer | None = None) -> None:
        self._card = card
        self._signer = signer
        self._socket_signer = socket_signer
        self._private = card.hosts.private + "/api/v1/"
        self._public = card.hosts.public + "/api/v2/"
        self._symbols: dict[Contract, Symbol] = {}

    def learn(self, symbols: tuple[Symbol, ...]) -> None:
        self._symbols = {symbol.contract: symbol for symbol in symbols}

    def amount_places(self, contract: Contract) -> int | None:
        symbol = self._symbols.get(contract)
        return None if symbol is None else symbol.amount_places

    def check(self, command: Command) -> None:
        """Raise CannotDo for what BTCTurk has not, or would refuse for its form.

        A market buy takes the quote amount and nothing else (documentation; staff #391): a base amount would be
        taken for quote, so it is denied here and converted by nobody.
        """
        if command.options:
            raise CannotDo("options", f"BTCTurk has no options; found {', '.join(sorted(command.options))}")
        if command.leverage is not None or command.reduce_only:
            raise CannotDo("options", "BTCTurk is a spot venue: no leverage, no reduce_only")
        if command.contract is not None and command.contract.product != "spot":
            raise CannotDo("contract", f"BTCTurk is a spot venue and does not list {command.contract}")
        kind = f"{command.type}_{'buy' if command.side == 'b' else 'sell'}"
        by_quote = kind in self._card.capabilities.quote_amount
        if by_quote and command.quote_amount is None:
            raise CannotDo("unit", "a BTCTurk market buy takes quote_amount (quote currency, fee included), not amount")
        if not by_quote and command.quote_amount is not None:
            raise CannotDo(
                "unit", f"a BTCTurk {command.type} {_SIDES[command.side or 'b']} takes amount, not quote_amount"
            )
        if command.type not in self._card.capabilities.order_types:
            raise CannotDo("type", f"BTCTurk has no {command.type} orders")
        if self._symbols and command.contract is not None:
            self._check_symbol(command, command.contract)

    def _check_symbol(self, command: Command, contract: Contract) -> None:
        symbol = self._symbols.get(contract)
        if symbol is None:
            raise CannotDo("contract", f"BTCTurk does not list {contract}")
        if not symbol.trading or command.type not in symbol.order_types:
            raise CannotDo("market_closed", f"{contract} takes no {command.type} orders now")
        for name, value, places in (
            ("price", command.price, symbol.price_places),
            ("stop_price", command.stop_price, symbol.price_places),
            ("amount", command.amount, symbol.amount_places),
            ("quote_amount", command.quote_amount, symbol.price_places),
        ):
            if value is not None and _EXACT.quantize(value, _STEPS[places]) != value:
                raise CannotDo("scale", f"{name} {plain(value)} has more than {places} decimals")
        notional = command.quote_amount
        if notional is None and command.price is not None and command.amount is not None:
            notional = command.price * command.amount
        if notional is not None and notional < symbol.min_notional:
            raise CannotDo("min_notional", f"value {plain(notional)} is below {plain(symbol.min_notional)}")

    def place(self, order: Order, stamp: int) -> Request:
        fields = {
            "quantity": _or_zero(order.amount if order.quote_amount is None else order.quote_amount),
            "price": _or_zero(order.price),
            "stopPrice": _or_zero(order.stop_price),
            "newOrderClientId": order.client_oid,
            "orderMethod": _METHODS[order.type],
            "orderType": _SIDES[order.side],
            "pairSymbol": order.contract.symbol,
        }
        headers = self._signer.headers(stamp // MS, **_JSON)
        body = msgspec.json.encode(fields)
        return Request("POST", self._private + "order", "POST /api/v1/order", headers, body)

    def cancel(self, exchange_oid: str, stamp: int) -> Request:
        return self._call("DELETE", "order", stamp, id=exchange_oid)

    def one_order(self, exchange_oid: str, stamp: int) -> Request:
        return self._call("GET", f"order/{exchange_oid}", stamp)

    def open_orders(self, contract: Contract, stamp: int) -> Request:
        return self._call("GET", "openOrders", stamp, pairSymbol=contract.symbol)

    def all_orders(self, contract: Contract, since: int, until: int, stamp: int) -> Request:
        """Orders of a time slice. Its times are in seconds, unlike all others (staff #494)."""
        return self._call(
            "GET",
            "allOrders",
            stamp,
            pairSymbol=contract.symbol,
            startTime=since // _SECOND,
            endTime=-(-until // _SECOND),
            limit=self.page,
        )

    def executions(self, contract: Contract, since: int, until: int, stamp: int) -> Request:
        path, symbol = "users/transactions/trade", contract.symbol
        return self._call("GET", path, stamp, pairSymbol=symbol, startDate=since // MS, endDate=until // MS)

    def executions_of(self, exchange_oid: str, stamp: int) -> Request:
        return self._call("GET", "users/transactions/trade", stamp, orderId=exchange_oid)

    def balances(self, stamp: int) -> Request:
        return self._call("GET", "users/balances", stamp)

    def server_time(self) -> Request:
        return Request("GET", self._public + "server/time", "GET /api/v2/server/time", {})

    def symbols(self) -> Request:
        return Request("GET", self._public + "server/exchangeinfo", "GET /api/v2/server/exchangeinfo", {})

    def _call(self, method: str, path: str, stamp: int, **query: Any) -> Request:
        tail = f"?{urlencode(query)}" if query else ""
        headers = self._signer.headers(stamp // MS)
        return Request(method, f"{self._private}{path}{tail}", f"{method} /api/v1/{path}", headers)

    def read_placed(self, answer: Answer) -> str:
        data = self._data(answer)
        try:
            return str(int(data["id"]))
        except (KeyError, TypeError, ValueError) as error:
            raise orders.unreadable("answer to a place", error) from error

    def read_canceled(self, answer: Answer) -> None:
        self._data(answer)

    def read_orders(self, answer: Answer) -> tuple[VenueOrder, ...]:
        data = self._data(answer)
        if isinstance(data, dict) and ("asks" in data or "bids" in data):
            data = [*(data.get("asks") or ()), *(data.get("bids") or ())]
        return tuple(orders.order_of(row) for row in ([data] if isinstance(data, dict) else _rows(data)))

    def read_executions(self, answer: Answer) -> tuple[VenueFill, ...]:
        return tuple(orders.execution_of(row) for row in _rows(self._data(answer)))

    def read_balances(self, answer: Answer, now: int) -> tuple[Balance, ...]:
        return tuple(orders.balance_of(row, now) for row in _rows(self._data(answer)))

    def read_server_time(self, answer: Answer) -> int:
        data = data_of(answer, self._card.errors, enveloped=False)
        try:
            return int(data["serverTime"]) * MS
        except (KeyError, TypeError, ValueError) as error:
            raise orders.unreadable("server time", error) from error

    def read_symbols(self, answer: Answer) -> tuple[Symbol, ...]:
        data = self._data(answer)
        return tuple(orders.symbol_of(row) for row in _rows(data.get("symbols") if isinstance(data, dict) else None))

    def _data(self, answer: Answer) -> Any:
        return data_of(answer, self._card.errors)

    def login(self, stamp: int) -> str | None:
        if self._socket_signer is None:
            return None
        return json.dumps([114, self._socket_signer.login(stamp // MS)])

    def read_private(self, frame: bytes) -> tuple[PrivateFact, ...]:
        return private.read_private(frame)


def _rows(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise AmbiguousError(VENUE, "unreadable", "a list was expected")
    return data


def _or_zero(number: Decimal | None) -> str:
    return "0" if number is None else plain(number)
