"""Open, high, low, close and volume of a period."""

from __future__ import annotations

from tickrouter.model.record import Record


class Bar(Record, frozen=True, array_like=True, gc=False, tag=1):
    """One OHLCV bar. A period without trades has no bar.

    Attributes:
        time: start of the period, ns since 1970 UTC.
        period: `1s`, `1m`, `5m`, `1h`, `1d`.
        open: first price, in quote.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: traded size, in base.
        contract: canonical name.
        amount: traded value, in quote, or None where the venue does not give it.
        trades: number of trades, or None where unknown.
    """

    time: int
    period: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    contract: str
    amount: float | None = None
    trades: int | None = None
