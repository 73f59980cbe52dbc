"""The generated market: seeded order flow of the house, after the figures of real order flow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ..pairs import PAIRS
from .base import ExchangeDriver
from .figures import BTCUSDT, ETHUSDT
from .flow import Action, Flow, Place
from .shape import Shape

SHAPES: Final[Mapping[str, Shape]] = {
    "BTCUSDT": BTCUSDT,
    "ETHUSDT": ETHUSDT,
    # Nobody recorded this pair for us: it moves as BTCUSDT does, at its own price and in whole prices.
    "BTCTRY": replace(BTCUSDT, mid=float(PAIRS["BTCTRY"].reference_price), price_scale=0),
}
SLICE = 0.015
"""Seconds that are played at once."""
MOST_BEHIND = 1.0
"""Seconds that are caught up with after the process was held; what is more is left out of the clock."""


class Desk:
    """One pair's flow at the venue.

    Attributes:
        ids: the venue's ids of the limit orders that the flow has not cancelled, by the flow's own numbers.
    """

    def __init__(self, exchange: ExchangeDriver, pair: str, flow: Flow) -> None:
        self.flow = flow
        self._exchange = exchange
        self._pair = pair
        self.ids: dict[int, int] = {}

    def act(self, actions: Iterable[Action]) -> None:
        """Do what the flow wants, now."""
        time_ms = self._exchange.now_ms()
        for action in actions:
            if isinstance(action, Place):
                order_id = self._exchange.submit_house(
                    self._pair, action.side, action.method, action.price, action.amount, time_ms
                )
                if action.method == "limit":
                    self.ids[action.order] = order_id
            elif (resting := self.ids.pop(action.order, None)) is not None:
                self._exchange.cancel_house(self._pair, resting, time_ms)


class GeneratedMarket:
    """Order flow for some pairs.

    Args:
        pairs: of `SHAPES`.
        seed: the same seed gives the same orders.
        rate: how many times quicker than recorded.
        waits: one that is quicker waits for clients that are behind.
    """

    def __init__(self, pairs: Iterable[str] = SHAPES, *, seed: int = 1, rate: float = 1.0, waits: bool = True) -> None:
        self.pairs = tuple(pairs)
        self._seed = seed
        self._rate = rate
        self._waits = waits and rate > 1

    def flow(self, pair: str) -> Flow:
        """A new flow of one pair, from its beginning."""
        return Flow(SHAPES[pair], f"{self._seed}/{pair}", self._rate)

    async def run(self, exchange: ExchangeDriver) -> None:
        """Play until cancelled, a slice of time after the other."""
        desks = [Desk(exchange, pair, self.flow(pair)) for pair in self.pairs]
        for desk in desks:
            desk.act(desk.flow.start())
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        before, elapsed = loop.time(), 0.0
        while True:
            await asyncio.sleep(SLICE)
            now = loop.time()
            elapsed += min(now - before, MOST_BEHIND)
            before = now
            for desk in desks:
                desk.act(desk.flow.until(elapsed))
            if self._waits:
                await exchange.room()
