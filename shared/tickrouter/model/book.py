"""The order book of a contract, as deep as recorded."""

from __future__ import annotations

from tickrouter.model.record import Level, Record


class Book(Record, frozen=True, array_like=True, gc=False, tag=1):
    """A whole book, never a difference, cut to the recorded depth.

    Attributes:
        time: our receive time, ns since 1970 UTC.
        bids: best first, (price, size).
        asks: best first, (price, size).
        contract: canonical name.
        sequence: the venue's number of the last change in it, or None.
        exchange_time: the venue's time, ns, or None.
        flags: bit SIZE_ROUNDED.
    """

    time: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    contract: str
    sequence: int | None = None
    exchange_time: int | None = None
    flags: int = 0
