"""The live market: mirrors the public feed of a BTCTurk-speaking venue, to trade on paper at today's prices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from decimal import Decimal
from random import uniform
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tickrouter import logs

from .base import ExchangeDriver
from .mirror import CHANNELS, Effect, Mirror, NewBook, NewLevels, NewTrade, Unread, join

log = logs.get("live")

PUBLIC_SOCKET = "wss://ws-feed-pro.btcturk.com"
"""BTCTurk's public feed (BTCTurk reference, section 1.1)."""
SILENT = 30.0
"""Seconds without any frame after which a connection is given up."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds between two connections; the venue blocks an address after 15 in a minute."""
LARGEST_FRAME = 16 * 1024 * 1024


class LiveMarket:
    """The public feed of another venue.

    Args:
        pairs: names of the pairs.
        host: WebSocket address.
    """

    def __init__(self, pairs: Iterable[str], *, host: str = PUBLIC_SOCKET, first_wait: float = FIRST_WAIT) -> None:
        self.pairs = tuple(pairs)
        self.host = host
        self.unreadable = 0
        """Frames, and trades in a list, left out because they were not of the documented form."""
        self._first_wait = first_wait
        self._mirrors = {pair: Mirror(pair) for pair in self.pairs}

    async def run(self, exchange: ExchangeDriver) -> None:
        """Mirror until cancelled; a lost connection empties the books and is made again."""
        wait = self._first_wait
        while True:
            try:
                async with connect(self.host, max_size=LARGEST_FRAME, open_timeout=SILENT) as socket:
                    log.info("connected", host=self.host)
                    await self._join(socket)
                    async for frame in _frames(socket):
                        if await self._take(exchange, socket, frame):
                            wait = self._first_wait
            except (OSError, WebSocketException) as error:
                log.warning("lost", host=self.host, error=str(error) or type(error).__name__)
            self._lose(exchange)
            await asyncio.sleep(wait * uniform(0.5, 1.0))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _join(self, socket: ClientConnection) -> None:
        for pair in self.pairs:
            for channel in CHANNELS:
                await socket.send(json.dumps(join(channel, pair)))

    async def _take(self, exchange: ExchangeDriver, socket: ClientConnection, frame: str | bytes) -> bool:
        """Do what a frame says; True if it was about a market."""
        try:
            kind, body = json.loads(frame, parse_float=Decimal)
            mirror = self._mirrors.get(body.get("event") or body.get("PS"))
            effects = mirror.feed(kind, body) if mirror else []
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._unread(f"{type(error).__name__}: {error}", frame)
            return False
        if mirror is None:
            return False
        for effect in effects:
            if isinstance(effect, Unread):
                self._unread(effect.reason, frame)
            else:
                await self._do(exchange, socket, mirror.pair, effect)
        return bool(effects)

    def _unread(self, reason: str, frame: str | bytes) -> None:
        self.unreadable += 1
        log.warning("unreadable frame", reason=reason, head=str(frame[:200]))

    async def _do(self, exchange: ExchangeDriver, socket: ClientConnection, pair: str, effect: Effect) -> None:
        match effect:
            case NewBook(bids, asks):
                exchange.replace_book(pair, bids, asks, exchange.now_ms())
            case NewLevels(bids, asks):
                exchange.apply_levels(pair, bids, asks, exchange.now_ms())
            case NewTrade():
                exchange.print_trade(pair, effect.price, effect.amount, effect.taker, effect.time_ms)
            case _:
                log.warning("a difference is missing", pair=pair)
                await socket.send(json.dumps(join("obdiff", pair, leave=True)))
                await socket.send(json.dumps(join("obdiff", pair)))

    def _lose(self, exchange: ExchangeDriver) -> None:
        """Nobody shall trade at prices that are not there any more."""
        for pair, mirror in self._mirrors.items():
            mirror.lost()
            exchange.replace_book(pair, [], [], exchange.now_ms())


async def _frames(socket: ClientConnection) -> Any:
    """Frames as they come.

    Raises:
        TimeoutError: none came for too long; an OSError.
    """
    while True:
        async with asyncio.timeout(SILENT):
            frame = await socket.recv()
        yield frame
