"""The exchange at work: every call is stamped, written down and published before it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from .clock import VenueClock
from .engine.events import Event
from .engine.exchange import Exchange, LevelOf, Placement
from .engine.order import Order, Side

Listener = Callable[[Sequence[Event]], None]


class Driver:
    """What markets, REST and control calls use; it satisfies `markets.base.ExchangeDriver`.

    Args:
        exchange: the venue.
        clock: its clock.
        listeners: told of all events in this order, the ledger first.
        room: returns when clients have taken what was sent to them.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: VenueClock,
        listeners: Sequence[Listener],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self._listeners = tuple(listeners)
        self._room = room

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def replace_book(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        self.exchange.replace_book(pair, bids, asks, time_ms)
        self.publish()

    def apply_levels(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        self.exchange.apply_levels(pair, bids, asks, time_ms)
        self.publish()

    def print_trade(self, pair: str, price: Decimal, amount: Decimal, taker_side: Side, time_ms: int) -> None:
        self.exchange.print_trade(pair, price, amount, taker_side, time_ms)
        self.publish()

    def submit_house(
        self, pair: str, side: Side, method: str, price: Decimal | None, amount: Decimal, time_ms: int
    ) -> int:
        order_id = self.exchange.submit_house(pair, side, method, price, amount, time_ms)
        self.publish()
        return order_id

    def cancel_house(self, pair: str, order_id: int, time_ms: int) -> bool:
        found = self.exchange.cancel_house(pair, order_id, time_ms)
        self.publish()
        return found

    def house_left(self, pair: str, order_id: int) -> Decimal:
        return self.exchange.house_left(pair, order_id)

    def book(self, pair: str) -> tuple[list[LevelOf], list[LevelOf]]:
        return self.exchange.book(pair)

    def best(self, pair: str) -> tuple[LevelOf | None, LevelOf | None]:
        return self.exchange.best(pair)

    def last(self, pair: str) -> Decimal | None:
        return self.exchange.last(pair)

    async def room(self) -> None:
        await self._room()

    def place(self, wish: Placement) -> Order:
        """Take a client's order now.

        Raises:
            ShortOfFunds: nothing was done.
        """
        order = self.exchange.place(wish, self.now_ms())
        self.publish()
        return order

    def cancel(self, order_id: int) -> bool:
        """Take a client's order out now; False if it is not open."""
        found = self.exchange.cancel(order_id, self.now_ms())
        self.publish()
        return found

    def fill(self, order_id: int, amount: Decimal) -> Decimal:
        """Fill a client's resting limit order; see `Exchange.fill`."""
        filled = self.exchange.fill(order_id, amount, self.now_ms())
        self.publish()
        return filled

    def publish(self) -> None:
        """Hand what happened to the listeners."""
        events = self.exchange.drain()
        if events:
            for listener in self._listeners:
                listener(events)
