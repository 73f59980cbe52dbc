"""Names of stored columns, and of what kind they are."""

from __future__ import annotations

import re
from typing import Final

LEVEL: Final = re.compile(r"(bid|ask)([1-9][0-9]{0,3})(_size)?\Z")
"""A level's price or size: `bid1`, `ask2_size`."""
PLACE: Final = ("ms", "n")
COUNTS: Final = {"bids": "bid_count", "asks": "ask_count"}
"""Sides of a book, and the columns that tell how many levels a row has there."""
WHOLE: Final = frozenset({"time", "exchange_time", "sequence", "trades", "flags", *PLACE, *COUNTS.values()})
"""Columns of whole numbers, int64."""
TEXTS: Final = frozenset({"source", "side", "trade_id", "period"})
"""Columns of text. All others are float64."""
EXPIRED: Final = "expired"
"""Name of the claim that speaks of what retention removed."""
