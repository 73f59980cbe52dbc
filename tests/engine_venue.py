"""A venue without a network, for markets to drive."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from services.simulator.accounts import Account, Accounts, Keys
from services.simulator.clock import VenueClock
from services.simulator.driver import Driver
from services.simulator.engine.events import Event, TradePrinted
from services.simulator.engine.exchange import Exchange, Placement
from services.simulator.engine.order import Method, Order, Side
from services.simulator.pairs import PAIRS

CLIENT = 7


class Venue(Driver):
    """The real engine with one rich client; keeps all events and counts how often a market asked for room."""

    def __init__(self) -> None:
        client = Account(CLIENT, Keys("key", "c2VjcmV0", "socket-key", "c2VjcmV0"))
        for wallet in client.wallets.values():
            wallet.free = Decimal(10**9)
        self.events: list[Event] = []
        self.rooms = 0
        super().__init__(Exchange(PAIRS, Accounts([client]), 1), VenueClock(), [self._keep], self._nothing)

    def _keep(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    async def _nothing(self) -> None:
        self.rooms += 1

    def trades(self, pair: str) -> list[TradePrinted]:
        return [event for event in self.events if isinstance(event, TradePrinted) and event.pair == pair]

    def client_order(self, pair: str, side: Side, price: str, amount: str) -> Order:
        """A limit order of the client."""
        wish = Placement(CLIENT, pair, side, Method.LIMIT, Decimal(amount), Decimal(price), Decimal(0), "mine")
        return self.place(wish)
