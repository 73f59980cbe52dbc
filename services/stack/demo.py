"""Demonstration orders on the simulated account, so that orders and fills can be seen."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from tickrouter import logs
from tickrouter.bus.connection import connect
from tickrouter.bus.inspect import open_orders
from tickrouter.client import Client
from tickrouter.clock import Clock, SystemClock
from tickrouter.config import Config
from tickrouter.errors import TickrouterError
from tickrouter.model.command import OrderType
from tickrouter.model.contract import Contract
from tickrouter.model.tick import Tick

INTERVAL = 2.0
"""Seconds between two orders: thirty a minute, a tenth of what BTCTurk allows."""
PATIENCE = 15.0
"""Seconds after which an order that still rests is cancelled."""
VALUES = {"try": Decimal(4000)}
VALUE = Decimal(100)
"""Value of an order in its quote currency."""
TAG = {"by": "demo"}
_AMOUNT_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Idea:
    """An order to place; the fields are those of `Client.place`."""

    contract: str
    side: str
    type: OrderType
    amount: Decimal | None = None
    price: Decimal | None = None
    quote_amount: Decimal | None = None


def idea(number: int, tick: Tick) -> Idea | None:
    """The order number `number`: market and limit, buy and sell in turn; None while a side of the book is empty.

    A BTCTurk market buy takes the quote amount, and nothing else.
    """
    if not tick.bids or not tick.asks:
        return None
    contract = Contract.parse(tick.contract)
    value = VALUES.get(contract.quote, VALUE)
    bid, ask = Decimal(repr(tick.bids[0][0])), Decimal(repr(tick.asks[0][0]))
    amount = (value / bid).quantize(_AMOUNT_STEP, ROUND_UP)
    return (
        Idea(tick.contract, "b", "market", quote_amount=value),
        Idea(tick.contract, "b", "limit", amount=amount, price=bid),
        Idea(tick.contract, "s", "market", amount=amount),
        Idea(tick.contract, "s", "limit", amount=amount, price=ask),
    )[number % 4]


class Demo:
    """Places an order every other second, on a thread of its own, and cancels what rests for long."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._account = next(iter(config.accounts), None)
        self._contracts = self._allowed(config)
        self._url = config.orders_redis_url
        self._client = Client(config, account=self._account)
        self._resting: deque[tuple[float, str]] = deque()
        self._log = logs.get("demo")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join(timeout=1.0)
        self._client.close()

    def _allowed(self, config: Config) -> list[str]:
        if self._account is None:
            return []
        allowed = config.accounts[self._account].risk.contracts
        return [name for name in config.record.contracts if name in allowed]

    def _run(self) -> None:
        number = 0
        known = False
        while self._contracts and not self._ending.wait(INTERVAL):
            try:
                if not known:
                    self._find_old()
                    known = True
                self._cancel_old()
                if self._place(number, self._contracts[number // 4 % len(self._contracts)]):
                    number += 1
            except TickrouterError as error:
                self._log.warning("no order this time", error=str(error))

    def _place(self, number: int, contract: str) -> bool:
        tick = self._client.last_tick(contract)
        wanted = idea(number, tick) if tick is not None else None
        if wanted is None:
            return False
        oid = self._client.place(
            wanted.contract,
            wanted.side,
            wanted.amount,
            wanted.price,
            type=wanted.type,
            quote_amount=wanted.quote_amount,
            tags=TAG,
        )
        if wanted.type == "limit":
            self._resting.append((self._clock.monotonic(), oid))
        return True

    def _find_old(self) -> None:
        """Orders that an earlier run left resting are ours to cancel."""
        with connect(self._url) as redis:
            oids = open_orders(redis, self._account or "")
        for oid in oids:
            order = self._client.order(oid)
            if order is not None and order.tags == TAG:
                self._resting.append((self._clock.monotonic() - PATIENCE, oid))

    def _cancel_old(self) -> None:
        while self._resting and self._clock.monotonic() - self._resting[0][0] >= PATIENCE:
            _, oid = self._resting.popleft()
            order = self._client.order(oid)
            if order is not None and not order.status.is_final:
                self._client.cancel(oid)
