"""What a market source is: something that drives the house side of the simulated venue.

Three sources exist: a generated order flow, a recorded file, and the public feed of a live venue. Each is given an
`ExchangeDriver` and calls it until it is cancelled. Every call is one market event: what it changes in a book is
published as one difference (432), each trade as one 422.

Prices and amounts are Decimal in the pair's quote and base currency, times are int milliseconds since 1970 UTC on
the venue's clock (`now_ms`), pairs are names such as `BTCUSDT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, Protocol

Side = Literal["buy", "sell"]
Method = Literal["limit", "market"]
LevelOf = tuple[Decimal, Decimal]
"""One level: (price, amount), amount > 0; in `apply_levels` an amount of 0 deletes."""


class ExchangeDriver(Protocol):
    """The venue, as a market source sees it. All calls but `room` are synchronous and publish at once."""

    def now_ms(self) -> int:
        """The venue's clock."""

    def replace_book(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        """Set the whole of the house's level liquidity; levels not named are deleted. Any order of levels.

        Orders of clients and of `submit_house` stay beside it.
        """

    def apply_levels(self, pair: str, bids: Sequence[LevelOf], asks: Sequence[LevelOf], time_ms: int) -> None:
        """Set absolute amounts of house liquidity at some prices; 0 deletes.

        A level that would cross a resting order fills that order first, at the order's price.
        """

    def print_trade(self, pair: str, price: Decimal, amount: Decimal, taker_side: Side, time_ms: int) -> None:
        """Publish a trade of the recorded or live market, exactly once, as given.

        The house's levels do not change (`apply_levels` says what became of them). Resting orders of clients that
        the print went through, or that it reached after the amount ahead of them, are filled besides, with trades
        of their own, up to the printed amount.
        """

    def submit_house(
        self, pair: str, side: Side, method: Method, price: Decimal | None, amount: Decimal, time_ms: int
    ) -> int:
        """Enter an order of the house into the matching engine, in price-time priority with all others.

        Args:
            pair: name of the pair.
            side: buy or sell.
            method: a limit order rests with what is left; what is left of a market order is dropped.
            price: of a limit order; None for a market order.
            amount: in base currency, for both sides and methods.
            time_ms: time of the order and of its trades.

        Returns:
            The order's id, for `cancel_house` and `house_left`.
        """

    def cancel_house(self, pair: str, order_id: int, time_ms: int) -> bool:
        """Take a house order out; False if it is not resting (any more)."""

    def house_left(self, pair: str, order_id: int) -> Decimal:
        """Amount of a house order that still rests; 0 if it is filled, cancelled or unknown."""

    def book(self, pair: str) -> tuple[list[LevelOf], list[LevelOf]]:
        """Bids and asks as published, best first: the house's liquidity and all resting orders together."""

    def best(self, pair: str) -> tuple[LevelOf | None, LevelOf | None]:
        """Best bid and best ask as published."""

    def last(self, pair: str) -> Decimal | None:
        """Price of the last trade of this run, or None."""

    async def room(self) -> None:
        """Return when every connected client has room for more frames.

        A source that runs faster than real time awaits this between events, so that it does not outrun its clients.
        """


class Market(Protocol):
    """A source of market events."""

    pairs: tuple[str, ...]
    """Names of the pairs that it drives."""

    async def run(self, exchange: ExchangeDriver) -> None:
        """Drive the exchange until cancelled, or until the source ends."""
