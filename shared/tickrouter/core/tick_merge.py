"""Ticker, trades and book of one contract merged into ticks.

While the book is live, bid and ask come from it alone, and the ticker gives the 24-hour figures. The price is the last
trade; before one was seen, what the ticker calls last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tickrouter.core.market import TickerSeen
from tickrouter.model.record import SIZE_ROUNDED, STATISTIC_ROUNDED, Level
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

Levels = tuple[Level, ...]
Source = Literal["trade", "book"]
_FLAGS = SIZE_ROUNDED | STATISTIC_ROUNDED


class TickMerge:
    """Gives a tick whenever the last trade, the best bid or ask, or one of the recorded levels changes."""

    def __init__(self, contract: str, levels: int = 5) -> None:
        """Args: contract: canonical name; levels: recorded levels a side."""
        self.contract = contract
        self.levels = levels
        self._price: float | None = None
        self._traded_at: int | None = None
        self._has_traded = False
        self._volume: float | None = None
        self._amount: float | None = None
        self._statistic_flags = 0
        self._ticker_levels: tuple[Levels, Levels] = ((), ())
        self._ticker_flags = 0
        self._book_levels: tuple[Levels, Levels] | None = None
        self._book_flags = 0
        self._told: tuple[float | None, Levels, Levels] | None = (None, (), ())

    def on_tickers(self, tickers: Sequence[TickerSeen], now: int) -> list[Tick]:
        """Take tickers that came together, at `now` (ns)."""
        if not tickers:
            return []
        ticks: list[Tick] = []
        contract, price, is_traded, told = self.contract, self._price, self._has_traded, self._told
        book, book_flags = self._book_levels, self._book_flags
        for ticker in tickers:
            bid, ask, flags = ticker.bid, ticker.ask, ticker.flags & _FLAGS
            shown = (bid,) if bid else (), (ask,) if ask else ()
            if not is_traded and ticker.last is not None:
                price = ticker.last
            bids, asks = book or shown
            state = (price, bids, asks)
            if state != told:
                told = state
                if book is not None:
                    flags = book_flags | flags & STATISTIC_ROUNDED
                time, amount = ticker.exchange_time, ticker.amount
                ticks.append(Tick(now, price, ticker.volume, bids, asks, contract, "ticker", time, amount, flags))
        self._price, self._told = price, told
        self._volume, self._amount = ticker.volume, ticker.amount
        self._ticker_levels = shown
        self._statistic_flags, self._ticker_flags = ticker.flags & STATISTIC_ROUNDED, ticker.flags & SIZE_ROUNDED
        return ticks

    def on_trade(self, trade: Trade, now: int) -> Tick | None:
        """Take a trade seen live: the last trade has changed even where its price has not."""
        if not self._is_newer(trade):
            return None
        self._take(trade)
        self._told = None
        return self._tick("trade", now, trade.exchange_time)

    def on_past_trade(self, trade: Trade) -> None:
        """Take a trade out of a list of past ones: the price is known from it, but nothing happened now."""
        if self._is_newer(trade):
            self._take(trade)

    def on_book(self, bids: Levels, asks: Levels, now: int, exchange_time: int | None, flags: int) -> Tick | None:
        """Take the best levels of a good book; more than the recorded ones are passed over."""
        self._book_levels = bids[: self.levels], asks[: self.levels]
        self._book_flags = flags & SIZE_ROUNDED
        return self._tick("book", now, exchange_time)

    def on_book_lost(self) -> None:
        """The book is no longer good: from here on bid and ask are the ticker's, until a good one comes."""
        self._book_levels = None

    def on_disconnect(self) -> None:
        """No channel is live: neither the book's levels nor the ticker's are known any more."""
        self._book_levels = None
        self._ticker_levels = ((), ())

    @property
    def last_price(self) -> float | None:
        """Price of the last trade."""
        return self._price

    @property
    def best(self) -> tuple[float | None, float | None]:
        """Best bid and ask as they would stand in a tick now."""
        bids, asks = self._book_levels or self._ticker_levels
        return (bids[0][0] if bids else None), (asks[0][0] if asks else None)

    def _is_newer(self, trade: Trade) -> bool:
        return self._traded_at is None or trade.exchange_time is None or trade.exchange_time >= self._traded_at

    def _take(self, trade: Trade) -> None:
        self._price = trade.price
        self._has_traded = True
        if trade.exchange_time is not None:
            self._traded_at = trade.exchange_time

    def _tick(self, source: Source, now: int, exchange_time: int | None) -> Tick | None:
        if self._book_levels is not None:
            (bids, asks), flags = self._book_levels, self._book_flags
        else:
            (bids, asks), flags = self._ticker_levels, self._ticker_flags
        state = (self._price, bids, asks)
        if state == self._told:
            return None
        self._told = state
        return Tick(
            now,
            self._price,
            self._volume,
            bids,
            asks,
            self.contract,
            source,
            exchange_time,
            self._amount,
            flags | self._statistic_flags,
        )
