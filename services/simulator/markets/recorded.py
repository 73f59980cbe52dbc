"""The recorded market: files of a real venue's messages, played over and over.

Times: the first message of a pass that carries the recorded venue's time happens at the moment the pass begins; every
other time keeps its distance from it, divided by the speed. A pass after the first begins where the one before ended.
Trade ids are the simulated venue's own, so they go on rising.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tickrouter import logs

from .base import ExchangeDriver
from .recording import Levels, Printed, Recording, Snapshot, Splice, Top, merged

log = logs.get("recorded")

EVENTS_A_TURN = 32
"""Events between two looks at the clock and at the clients."""
WORTH_WAITING = 0.002
"""Seconds; what is due sooner is played at once."""


class Pass:
    """The clock of one pass over the files: recorded times to the venue's, and when a line is due."""

    def __init__(self, start_ms: int, speed: float, shift: bool) -> None:
        self.start_ms = start_ms
        self.last_ms = start_ms if shift else 0
        self._scale = 1.0 / speed if speed else 1.0
        self._paced = speed > 0
        self._shift = shift
        self._origin: int | None = None
        self._first: int | None = None

    def stamp(self, time_ms: int) -> int:
        """The venue's time for a recorded one, in ms."""
        if self._origin is None:
            self._origin = time_ms
        stamped = self.start_ms + round((time_ms - self._origin) * self._scale) if self._shift else time_ms
        self.last_ms = max(self.last_ms, stamped)
        return stamped

    def due(self, received: int) -> float:
        """Seconds from the beginning of the pass until a line received at this recorded time is to be played."""
        if self._first is None:
            self._first = received
        return (received - self._first) / 1e9 * self._scale if self._paced else 0.0


class RecordedMarket:
    """Recorded files, one for each pair, played side by side.

    Args:
        recordings: the files.
        speed: 1 is as recorded; 0 is as fast as the venue's clients take it, with times as recorded.
        shift: False leaves the recorded times as they are.
        passes: how often the files are played; None is for ever.
    """

    def __init__(
        self, recordings: Sequence[Recording], *, speed: float = 1.0, shift: bool = True, passes: int | None = None
    ) -> None:
        self.pairs = tuple(recording.symbol for recording in recordings)
        self._recordings = recordings
        self._speed = speed
        self._shift = shift
        self._passes = passes

    async def run(self, exchange: ExchangeDriver) -> None:
        """Play the files from the beginning, again and again.

        Raises:
            OSError: a file cannot be read any more.
        """
        done, start_ms = 0, exchange.now_ms()
        while self._passes is None or done < self._passes:
            start_ms = await self._play(exchange, Pass(start_ms, self._speed, self._shift))
            done += 1
            self._report(done)

    async def _play(self, exchange: ExchangeDriver, clock: Pass) -> int:
        """One pass; returns when the next begins, in ms."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        splices = {pair: Splice() for pair in self.pairs}
        for number, event in enumerate(merged(self._recordings)):
            wait = clock.due(event.received) - (loop.time() - begun)
            if wait > WORTH_WAITING:
                await asyncio.sleep(wait)
            elif number % EVENTS_A_TURN == 0:
                await (asyncio.sleep(0) if 0 < self._speed <= 1 else exchange.room())
            match event:
                case Printed():
                    exchange.print_trade(
                        event.symbol, event.price, event.amount, event.taker, clock.stamp(event.time_ms)
                    )
                case Levels():
                    clock.stamp(event.time_ms)
                    for book in splices[event.symbol].feed(event):
                        _apply(exchange, clock, book)
                case Snapshot():
                    for book in splices[event.symbol].feed(event):
                        _apply(exchange, clock, book)
                case Top():
                    pass  # the best prices follow from the levels
        return max(clock.last_ms, exchange.now_ms()) if self._speed else clock.last_ms

    def _report(self, done: int) -> None:
        for recording in self._recordings:
            log.info(
                "played",
                file=str(recording.path),
                times=done,
                unreadable=recording.unreadable,
                cut=recording.cut,
            )


def _apply(exchange: ExchangeDriver, clock: Pass, book: Levels | Snapshot) -> None:
    if isinstance(book, Snapshot):
        exchange.replace_book(book.symbol, book.bids, book.asks, clock.last_ms)
    else:
        exchange.apply_levels(book.symbol, book.bids, book.asks, clock.stamp(book.time_ms))
