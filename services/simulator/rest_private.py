"""Private REST calls: orders, balances, transactions (BTCTurk reference, section 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .accounts import Account
from .driver import Driver
from .engine.events import OrderFilled
from .engine.exchange import ShortOfFunds
from .engine.order import Order
from .frames import fill_row
from .ledger import Deposit, Ledger
from .order_rows import number, order_row, submitted_row
from .pairs import CURRENCIES, PAIRS, find_pair
from .problems import Problem, bad_time, order_refused, refused
from .request import Answer, Request, bare, enveloped
from .rules import read_placement

MONTH_MS = 30 * 24 * 3600 * 1000
DEFAULT_ORDERS, MOST_ORDERS = 100, 1000

Later = Callable[[Callable[[], object]], None]


class PrivateRest:
    """Answers to one account.

    Args:
        driver: the venue.
        ledger: keeps what was asked.
        later: calls a function after the cancel latency.
    """

    def __init__(self, driver: Driver, ledger: Ledger, later: Later) -> None:
        self._driver = driver
        self._exchange = driver.exchange
        self._ledger = ledger
        self._later = later

    def balances(self, _request: Request, account: Account) -> Answer:
        return enveloped(account.rows(self._driver.now_ms()), message=None)

    def submit(self, request: Request, account: Account) -> Answer:
        """Take an order, or say why not; either is written into the ledger."""
        client_id = ""
        try:
            fields = _order_fields(request)
            client_id = str(fields.get("newOrderClientId") or "")
            order = self._place(fields, account)
        except Problem as problem:
            self._ledger.request("POST /api/v1/order", client_id, problem.status, self._driver.now_ms())
            raise
        self._ledger.request("POST /api/v1/order", order.client_id, 200, self._driver.now_ms())
        body = {"httpStatusCode": 200, "data": submitted_row(order), "success": True, "message": "SUCCESS", "code": 0}
        return bare(body)

    def cancel(self, request: Request, account: Account) -> Answer:
        """Accept a cancel; it takes effect a little later, and the order may still fill meanwhile."""
        order = self._exchange.orders.get(request.number("id", 0))
        if order is None or order.account != account.id:
            raise refused("NO_ORDER_MATCHES_YOUR_REQUEST")
        self._ledger.request(
            "DELETE /api/v1/order", order.client_id, 200 if order.is_open else 400, self._driver.now_ms()
        )
        if not order.is_open:
            raise refused("ORDER_COULD_NOT_BE_CANCELED")
        self._later(lambda: self._driver.cancel(order.id))
        return bare({"success": True, "message": "SUCCESS", "code": 0})

    def fill_share(self, order_id: int, share: Decimal) -> Decimal:
        """Fill a share of an open order's rest at its own price; returns the amount, 0 where it is not open."""
        order = self._exchange.orders.get(order_id)
        if order is None or not order.is_open:
            return Decimal(0)
        return self._driver.fill(order_id, order.left * share)

    def open_orders(self, request: Request, account: Account) -> Answer:
        """Open orders of one pair, or of all where none is named."""
        symbol = request.first("pairSymbol")
        pair = find_pair(symbol) if symbol else None
        if symbol and pair is None:
            raise refused("PARAMETERS_ERROR")
        orders = [
            order
            for order in self._exchange.open_orders.values()
            if order.account == account.id and (pair is None or order.pair == pair.name)
        ]
        rows = {
            "asks": [order_row(order, in_open_orders=True) for order in orders if not order.is_buy],
            "bids": [order_row(order, in_open_orders=True) for order in orders if order.is_buy],
        }
        return enveloped(rows)

    def all_orders(self, request: Request, account: Account) -> Answer:
        """Orders of one pair, newest first, in pages that count from 1; times in seconds."""
        pair = find_pair(request.first("pairSymbol"))
        if pair is None:
            raise refused("PARAMETERS_ERROR")
        now = self._driver.now_ms() // 1000
        start, end = request.number("startTime", 0), request.number("endTime", now + 1)
        if start > now:
            raise bad_time("startTime cannot be bigger than current unix timestamp.")
        if end > now + 24 * 3600:
            raise bad_time("endTime cannot be bigger than current unix timestamp.")
        least_id = request.number("orderId", 0)
        found = [
            order
            for order in reversed(self._exchange.orders.values())
            if order.account == account.id
            and order.pair == pair.name
            and order.id >= least_id
            and start * 1000 <= order.time_ms < (end + 1) * 1000
        ]
        limit = min(MOST_ORDERS, max(1, request.number("limit", DEFAULT_ORDERS)))
        first = (max(1, request.number("page", 1)) - 1) * limit
        return enveloped([order_row(order) for order in found[first : first + limit]])

    def one_order(self, request: Request, account: Account) -> Answer:
        """One order by its id, the last part of the path."""
        text = request.path.rpartition("/")[2]
        order: Order | None = None
        if text.isdecimal() and len(text) < 19:
            order = self._exchange.orders.get(int(text))
        if order is None or order.account != account.id:
            raise refused("Order not found")
        return enveloped(order_row(order))

    def trades(self, request: Request, account: Account) -> Answer:
        """Fills, newest first. `orderId` stands alone; else the last 30 days, unless a range in ms is given."""
        if order_id := request.number("orderId", 0):
            fills = [fill for fill in self._ledger.fills_of.get(order_id, ()) if fill.account == account.id]
        else:
            fills = [fill for fill in self._ledger.fills if fill.account == account.id and self._asked(request, fill)]
        return enveloped([fill_row(fill, PAIRS[fill.pair]) for fill in reversed(fills)])

    def crypto(self, request: Request, account: Account) -> Answer:
        return self._transfers(request, account, "CRYPTO")

    def fiat(self, request: Request, account: Account) -> Answer:
        return self._transfers(request, account, "FIAT")

    def _place(self, fields: dict[str, Any], account: Account) -> Order:
        wish = read_placement(fields, account.id, self._exchange)
        try:
            return self._driver.place(wish)
        except ShortOfFunds as short:
            words = "FAILED_ORDER_WITH_OPEN_ORDERS" if short.in_orders else "BALANCE_NOT_ENOUGH"
            raise order_refused(words) from short

    def _asked(self, request: Request, fill: OrderFilled) -> bool:
        sides = {side.lower() for side in request.all("type")}
        symbols = {symbol.upper() for symbol in request.all("symbol")}
        pair = PAIRS[fill.pair]
        asked_pair = request.first("pairSymbol")
        return (
            (not sides or fill.side in sides)
            and (not symbols or pair.base in symbols)
            and (not asked_pair or find_pair(asked_pair) == pair)
            and self._in_range(request, fill.time_ms)
        )

    def _in_range(self, request: Request, time_ms: int) -> bool:
        start = request.number("startDate", self._driver.now_ms() - MONTH_MS)
        return start <= time_ms <= request.number("endDate", time_ms)

    def _transfers(self, request: Request, account: Account, kind: str) -> Answer:
        asked = {side.lower() for side in request.all("type")}
        symbols = {symbol.upper() for symbol in request.all("symbol")}
        rows = [
            _transfer_row(deposit)
            for deposit in reversed(self._ledger.deposits)
            if deposit.account == account.id
            and CURRENCIES[deposit.currency].kind == kind
            and (not asked or "deposit" in asked)
            and (not symbols or deposit.currency in symbols)
            and self._in_range(request, deposit.time_ms)
        ]
        return enveloped(rows, message=None)


def _order_fields(request: Request) -> dict[str, Any]:
    try:
        return request.fields()
    except (TypeError, ValueError, RecursionError) as error:
        raise order_refused("FAILED_ORDER_PARAMETER") from error


def _transfer_row(deposit: Deposit) -> dict[str, Any]:
    amount = number(deposit.amount)
    return {
        "balanceType": "deposit",
        "currencySymbol": deposit.currency,
        "id": deposit.id,
        "timestamp": deposit.time_ms,
        "funds": amount,
        "amount": amount,
        "fee": 0,
        "tax": 0,
    }
