"""The venue itself: books, orders and money, as plain synchronous calls.

No I/O, no clock: each call is given a time and leaves what happened in a list that the caller drains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from ..accounts import TAKER_COST, Accounts
from ..pairs import Pair
from .book import Book
from .events import BookChanged, Event, OrderEnded, OrderFilled, OrderInserted, OrderTriggered, TradePrinted, order_of
from .matching import Match, crossed, printed, sweep
from .order import ZERO, Method, Order, Side, Status
from .settlement import Settlement, need

MARKET_BAND = Decimal("0.05")
"""A market order fills within 5 % of the best price (BTCTurk reference, section 1.5); the rest is dropped."""
FIRST_ORDER_ID = 30_000_000_001
LevelOf = tuple[Decimal, Decimal]


class ShortOfFunds(Exception):
    """The account cannot pay; `in_orders` is True if it could, were there no open orders."""

    def __init__(self, in_orders: bool) -> None:
        super().__init__("balance not enough")
        self.in_orders = in_orders


@dataclass(frozen=True, slots=True)
class Placement:
    """A client's wish, checked for form. `quantity` is quote currency for a market buy, fee included."""

    account: int
    pair: str
    side: Side
    method: Method
    quantity: Decimal
    price: Decimal
    stop_price: Decimal
    client_id: str


class Exchange:
    """Books of several pairs with the orders of clients and of the house.

    Args:
        pairs: by name.
        accounts: of the clients.
        session: number that begins this run's trade ids, above that of all runs before; 14 digits at most.
    """

    def __init__(self, pairs: Mapping[str, Pair], accounts: Accounts, session: int) -> None:
        self.accounts = accounts
        self.settlement = Settlement(accounts, pairs)
        self.orders: dict[int, Order] = {}
        self.open_orders: dict[int, Order] = {}
        self._pairs = pairs
        self._books = {name: Book(name) for name in pairs}
        self._trade_ids = {name: (1000 + pair.id) * 10**14 + session for name, pair in pairs.items()}
        self._stops: dict[str, dict[int, Order]] = {name: {} for name in pairs}
        self._house: dict[int, Order] = {}
        self._next_house = -1
        self._next_order = FIRST_ORDER_ID
        self._events: list[Event] = []

    def drain(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    # The house

    def replace_book(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        """Set all house liquidity of a pair; see `markets.base.ExchangeDriver`."""
        book = self._books[pair]
        new_bids, new_asks = dict(bids), dict(asks)
        gone_bids = [(price, ZERO) for price in book.bids.house_prices() if price not in new_bids]
        gone_asks = [(price, ZERO) for price in book.asks.house_prices() if price not in new_asks]
        self.apply_levels(pair, gone_bids + list(new_bids.items()), gone_asks + list(new_asks.items()), time_ms)

    def apply_levels(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        """Set house liquidity at some prices; see `markets.base.ExchangeDriver`."""
        book = self._books[pair]
        for price, amount in bids:
            book.bids.set_house(price, amount)
        for price, amount in asks:
            book.asks.set_house(price, amount)
        for price, amount in sorted(bids, reverse=True):
            if amount:
                for match in crossed(book.bids, book.asks, price):
                    self._trade(book, match, "buy", None, time_ms)
        for price, amount in sorted(asks):
            if amount:
                for match in crossed(book.asks, book.bids, price):
                    self._trade(book, match, "sell", None, time_ms)
        self._finish(book, time_ms)

    def print_trade(self, pair: str, price: Decimal, amount: Decimal, taker_side: Side, time_ms: int) -> None:
        """Publish a trade of the outside market; see `markets.base.ExchangeDriver`."""
        book = self._books[pair]
        self._publish_trade(book, price, amount, taker_side, time_ms)
        for match in printed(book.against(taker_side), price, amount):
            self._trade(book, match, taker_side, None, time_ms)
        self._finish(book, time_ms)

    def submit_house(
        self, pair: str, side: Side, method: str, price: Decimal | None, amount: Decimal, time_ms: int
    ) -> int:
        """Enter an order of the house; see `markets.base.ExchangeDriver`."""
        book = self._books[pair]
        order_id = self._next_house
        self._next_house -= 1
        order = Order(order_id, None, pair, side, Method(method), price or ZERO, amount, amount, time_ms)
        self._match(book, order, time_ms)
        if order.left and order.is_limit:
            book.side(side).rest(order)
            self._house[order_id] = order
        self._finish(book, time_ms)
        return order_id

    def cancel_house(self, pair: str, order_id: int, time_ms: int) -> bool:
        """Take a house order out; see `markets.base.ExchangeDriver`."""
        order = self._house.pop(order_id, None)
        if order is None:
            return False
        book = self._books[pair]
        found = book.side(order.side).remove(order)
        self._finish(book, time_ms)
        return found

    def house_left(self, pair: str, order_id: int) -> Decimal:
        """Amount of a house order that still rests in the pair's book."""
        order = self._house.get(order_id)
        return order.left if order is not None and order.pair == pair else ZERO

    # Clients

    def place(self, wish: Placement, time_ms: int) -> Order:
        """Take a client's order and match it.

        Raises:
            ShortOfFunds: nothing was done.
        """
        inserted = OrderInserted(
            wish.account,
            self._next_order,
            wish.pair,
            wish.side,
            wish.method,
            wish.price,
            wish.stop_price,
            wish.quantity,
            wish.client_id,
            time_ms,
        )
        order = order_of(inserted)
        wallet = self.settlement.held(order)
        if wallet.free < need(order):
            raise ShortOfFunds(in_orders=wallet.total >= need(order))
        self.settlement.open(order)
        self.adopt(order)
        self._events.append(inserted)
        book = self._books[wish.pair]
        if order.waiting:
            self._stops[wish.pair][order.id] = order
        else:
            self._activate(book, order, time_ms)
            self._finish(book, time_ms)
        return order

    def cancel(self, order_id: int, time_ms: int) -> bool:
        """Take a client's order out; False if it is not open."""
        order = self.open_orders.get(order_id)
        if order is None:
            return False
        book = self._books[order.pair]
        if self._stops[order.pair].pop(order_id, None) is None:
            book.side(order.side).remove(order)
        self._end(order, Status.CANCELED, rested=True, time_ms=time_ms)
        self._finish(book, time_ms)
        return True

    def fill(self, order_id: int, amount: Decimal, time_ms: int) -> Decimal:
        """Fill a client's resting limit order at its own price, whatever stands before it.

        Returns:
            What was filled: `amount` cut to what is left and to the pair's places, or 0 if no such order rests.
        """
        order = self.open_orders.get(order_id)
        if order is None or order.waiting or not order.is_limit:
            return ZERO
        scale = Decimal(1).scaleb(-self._pairs[order.pair].amount_scale)
        amount = min(amount, order.left).quantize(scale, ROUND_DOWN)
        if not amount:
            return ZERO
        book = self._books[order.pair]
        side = book.side(order.side)
        side.fill(side.level(order.price), order, amount)
        self._trade(book, Match(order.price, amount, order), "sell" if order.is_buy else "buy", None, time_ms)
        self._finish(book, time_ms)
        return amount

    def adopt(self, order: Order) -> None:
        """Enter a client's order into the lists, without matching it."""
        self.orders[order.id] = order
        if order.is_open:
            self.open_orders[order.id] = order
        self._next_order = max(self._next_order, order.id + 1)

    def resume(self, time_ms: int) -> None:
        """Put the adopted orders that are open back where they stood; a market order cannot rest and ends."""
        for order in list(self.open_orders.values()):
            if order.waiting:
                self._stops[order.pair][order.id] = order
            elif order.is_limit:
                self._books[order.pair].side(order.side).rest(order)
            else:
                self._end(order, Status.CANCELED, rested=False, time_ms=time_ms)
        for book in self._books.values():
            self._finish(book, time_ms)

    # Reading

    def book(self, pair: str, limit: int | None = None) -> tuple[list[LevelOf], list[LevelOf]]:
        """Bids and asks as published, best first."""
        book = self._books[pair]
        return book.bids.depth(limit), book.asks.depth(limit)

    def best(self, pair: str) -> tuple[LevelOf | None, LevelOf | None]:
        """Best bid and ask as published."""
        bid, ask = self._books[pair].bids.best(), self._books[pair].asks.best()
        return (bid.price, bid.total) if bid else None, (ask.price, ask.total) if ask else None

    def last(self, pair: str) -> Decimal | None:
        """Price of the last trade of this run."""
        return self._books[pair].last

    def mark(self, pair: str) -> Decimal | None:
        """What the pair is worth: the last price, or without one a best price, or None."""
        bid, ask = self.best(pair)
        side = bid or ask
        return self.last(pair) or (side[0] if side else None)

    def next_number(self, pair: str) -> int:
        """Number of the pair's next difference."""
        return self._books[pair].next_number

    # Inside

    def _activate(self, book: Book, order: Order, time_ms: int) -> None:
        """Match a client's order; what is left of it rests or is dropped."""
        satisfied = self._match(book, order, time_ms)
        if satisfied:
            self._end(order, Status.CLOSED, rested=False, time_ms=time_ms)
        elif order.is_limit:
            book.side(order.side).rest(order)
        else:
            self._end(order, Status.CANCELED, rested=False, time_ms=time_ms)

    def _match(self, book: Book, order: Order, time_ms: int) -> bool:
        """Trade an incoming order as far as it goes; True if it wants no more."""
        side = book.against(order.side)
        limit = order.price
        if not order.is_limit:
            best = side.best()
            if best is None:
                return False
            limit = best.price * (1 + MARKET_BAND if order.is_buy else 1 - MARKET_BAND)
        price = limit
        for match in sweep(side, lambda at: self._wanted(order, at), limit):
            price = match.price
            order.take(match.amount)
            self._trade(book, match, order.side, order, time_ms)
        return self._wanted(order, price) <= 0

    def _wanted(self, order: Order, price: Decimal) -> Decimal:
        if not order.by_budget:
            return order.left
        scale = Decimal(1).scaleb(-self._pairs[order.pair].amount_scale)
        return (order.budget / (price * TAKER_COST)).quantize(scale, ROUND_DOWN)

    def _trade(self, book: Book, match: Match, taker_side: Side, taker: Order | None, time_ms: int) -> None:
        trade_id = self._publish_trade(book, match.price, match.amount, taker_side, time_ms)
        maker = match.maker
        if maker is not None and maker.account is None:
            if not maker.left:
                self._house.pop(maker.id, None)
        elif maker is not None:
            self._settle(maker, match, trade_id, "maker", time_ms)
            if not maker.left:
                self._end(maker, Status.CLOSED, rested=True, time_ms=time_ms)
        if taker is not None and taker.account is not None:
            self._settle(taker, match, trade_id, "taker", time_ms)

    def _settle(
        self, order: Order, match: Match, trade_id: int, liquidity: Literal["maker", "taker"], time_ms: int
    ) -> None:
        fee, tax = self.settlement.fill(order, match.price, match.amount, liquidity, time_ms)
        self._events.append(
            OrderFilled(
                order.owner,
                order.id,
                trade_id,
                order.pair,
                order.side,
                order.method,
                match.price,
                match.amount,
                fee,
                tax,
                liquidity,
                order.client_id,
                time_ms,
            )
        )

    def _publish_trade(self, book: Book, price: Decimal, amount: Decimal, side: Side, time_ms: int) -> int:
        self._trade_ids[book.pair] += 1
        trade_id = self._trade_ids[book.pair]
        book.last = price
        book.traded = True
        self._events.append(TradePrinted(book.pair, trade_id, price, amount, side, time_ms))
        return trade_id

    def _end(self, order: Order, status: Status, *, rested: bool, time_ms: int) -> None:
        self.settlement.close(order, status, time_ms)
        self.open_orders.pop(order.id, None)
        self._events.append(
            OrderEnded(
                order.owner,
                order.id,
                order.pair,
                order.side,
                order.method,
                order.price,
                order.amount,
                order.left,
                status,
                rested,
                order.client_id,
                time_ms,
            )
        )

    def _finish(self, book: Book, time_ms: int) -> None:
        """Trigger stop orders after trades, then publish all that the event changed as one difference."""
        while book.traded and book.last is not None:
            book.traded = False
            for order in [order for order in self._stops[book.pair].values() if _triggers(order, book.last)]:
                del self._stops[book.pair][order.id]
                order.waiting = False
                self._events.append(OrderTriggered(order.owner, order.id, time_ms))
                self._activate(book, order, time_ms)
        bids, asks = book.bids.changes(), book.asks.changes()
        if bids or asks:
            self._events.append(BookChanged(book.pair, book.next_number, bids, asks, time_ms))
            book.next_number += 1


def _triggers(order: Order, last: Decimal) -> bool:
    return last >= order.stop_price if order.is_buy else last <= order.stop_price
