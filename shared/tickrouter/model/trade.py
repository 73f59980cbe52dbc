"""One trade between two parties at the venue."""

from __future__ import annotations

from typing import Literal

from tickrouter.model.record import Record

Side = Literal["b", "s"]


class Trade(Record, frozen=True, array_like=True, gc=False, tag=1):
    """One public trade.

    Attributes:
        time: our receive time, ns since 1970 UTC.
        price: in quote.
        size: in base.
        side: the taker's side, `b` or `s`.
        trade_id: the venue's id, as text (18 to 19 digits at BTCTurk), unique within a contract.
        contract: canonical name.
        source: `live`, or `backfill` where it was read after the fact.
        exchange_time: the venue's time of the trade, ns, or None.
        flags: bit SIZE_ROUNDED.
    """

    time: int
    price: float
    size: float
    side: Side
    trade_id: str
    contract: str
    source: str = "live"
    exchange_time: int | None = None
    flags: int = 0
