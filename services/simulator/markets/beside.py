"""Several markets, each with pairs of its own, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .base import ExchangeDriver, Market


class Beside:
    """Runs its parts side by side; if one fails, all end."""

    def __init__(self, parts: Sequence[Market]) -> None:
        self.pairs = tuple(pair for part in parts for pair in part.pairs)
        self._parts = parts

    async def run(self, exchange: ExchangeDriver) -> None:
        """Drive the exchange until all parts have ended."""
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(part.run(exchange))
