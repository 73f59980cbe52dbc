"""What a venue's market adapter does: subscriptions to frames, frames to market facts. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tickrouter.core.market import MarketFact
from tickrouter.model.bar import Bar
from tickrouter.model.contract import Contract
from tickrouter.venues.request import Answer, Request


class MarketAdapter(Protocol):
    """Bytes to values and back, for the contracts it was made for."""

    def subscriptions(self) -> Sequence[str]:
        """Frames to send after each connect, in this order."""

    def resubscriptions(self, contract: str) -> Sequence[str]:
        """Frames that bring a new start of the contract's book."""

    def decode(self, frame: bytes, now: int) -> list[MarketFact]:
        """What a frame says of our contracts; nothing for what is not market data. Raises nothing.

        Args:
            frame: one message as it came.
            now: when it came, ns since 1970 UTC.
        """

    def decode_all(self, frames: Sequence[bytes], now: int) -> list[MarketFact]:
        """What frames that came together say, in their order; as `decode` for each."""

    def trades_request(self, contract: Contract) -> Request:
        """The call for the newest past trades of a contract."""

    def past_trades(self, answer: Answer, contract: Contract, now: int) -> list[MarketFact]:
        """What its answer says, oldest first. Raises nothing."""

    def bars_request(self, contract: Contract, start: int, end: int) -> Request:
        """The call for the venue's own bars of one minute, start <= time < end, ns, both whole minutes."""

    def past_bars(self, answer: Answer, contract: Contract, start: int, end: int) -> list[Bar]:
        """What its answer says of that time, oldest first.

        Raises:
            Unreadable: it cannot be read.
        """

    def turn_sides(self) -> None:
        """The sides of the socket's trades are the other way round than the card says."""
