"""The state of a contract at one moment."""

from __future__ import annotations

from tickrouter.model.record import Level, Record


class Tick(Record, frozen=True, array_like=True, gc=False, tag=1):
    """State of a contract at one moment, merged from ticker, trade and book channels.

    Emitted whenever the last trade, the best bid or ask, or one of the recorded levels changes.

    Attributes:
        time: our receive time, ns since 1970 UTC.
        price: last trade, in quote; None before the first trade is known.
        volume: rolling 24 h in base, or None where the venue does not give it.
        bids: recorded levels, best first, (price, size).
        asks: recorded levels, best first, (price, size).
        contract: canonical name.
        source: channel that caused it: `ticker`, `trade` or `book`.
        exchange_time: the venue's time of that cause, ns, or None.
        amount: rolling 24 h in quote, or None where the venue does not give it.
        flags: bits SIZE_ROUNDED and STATISTIC_ROUNDED.
    """

    time: int
    price: float | None
    volume: float | None
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    contract: str
    source: str
    exchange_time: int | None = None
    amount: float | None = None
    flags: int = 0

    @property
    def last(self) -> float | None:
        """Price of the last trade."""
        return self.price

    @property
    def bid1(self) -> float | None:
        """Best bid price, None on an empty side."""
        return self.bids[0][0] if self.bids else None

    @property
    def ask1(self) -> float | None:
        """Best ask price, None on an empty side."""
        return self.asks[0][0] if self.asks else None

    @property
    def weighted_middle(self) -> float | None:
        """Middle of best bid and ask, each weighted by the other side's size; None on an empty side."""
        if not self.bids or not self.asks:
            return None
        (bid, bid_size), (ask, ask_size) = self.bids[0], self.asks[0]
        total = bid_size + ask_size
        return (bid * ask_size + ask * bid_size) / total if total else (bid + ask) / 2
