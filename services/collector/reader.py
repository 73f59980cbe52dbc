"""One connection to a venue and the contracts on it: frames in, records to both sinks."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from tickrouter import logs
from tickrouter.clock import Clock
from tickrouter.core.backoff import Backoff
from tickrouter.core.market import Joined, MarketFact, Refused, TradeSeen
from tickrouter.errors import SocketClosed
from tickrouter.model.trade import Trade
from tickrouter.transport.socket import Socket
from tickrouter.venues.base import MarketAdapter
from tickrouter.venues.card import Card

from .drained import Drained
from .item import CLAIM, FEED, Item
from .loss import Loss
from .pipeline import Pipeline
from .proven import Proven
from .refusals import Refusals

CONNECT_TIMEOUT = 10.0
RECV_TIMEOUT = 0.1
CHECK_EVERY_NS = 250_000_000
"""How often silence, crossed books and held-back book records are looked at."""
TOGETHER = 500
TOGETHER_NS = 2_000_000
"""Where more has arrived already, so many records or what is read in so long is written together."""
WAIT = 0.25
"""Seconds between two looks while there is no connection."""
SILENCE_NS = 30_000_000_000
"""A connection without a frame for this long is dead, whatever TCP says (#577)."""

_SPECIAL = frozenset((Joined, Refused))
"""Facts that are not for a pipeline alone."""


class Inlet(Protocol):
    """Where a reader puts records for one sink."""

    def put(self, items: Sequence[Item]) -> None:
        """Take them, at once and for good."""

    def losses(self, contracts: Collection[str]) -> list[Loss]:
        """What was given up of these contracts since the last call."""


class Reader(threading.Thread):
    """Keeps the connection up and reads it."""

    def __init__(
        self,
        card: Card,
        adapter: MarketAdapter,
        pipelines: Mapping[str, Pipeline],
        sinks: Mapping[str, Inlet],
        refusals: Refusals,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Args: pipelines: by contract; sinks: the ways into them by their names, `redis` and `mongo`."""
        super().__init__(name=f"reader-{card.name}-{next(iter(pipelines))}", daemon=True)
        self.frames = 0
        self.connects = 0
        self.joined = 0
        self._url = card.hosts.socket
        self._adapter = adapter
        self._pipelines = dict(pipelines)
        self._only = next(iter(self._pipelines.values()))
        self._sinks = dict(sinks)
        self._drained: int | None = None
        self._found: queue.SimpleQueue[Sequence[MarketFact | Proven]] = queue.SimpleQueue()
        self._are_sides_turned = False
        self._refusals = refusals
        self._clock = clock
        self._chance = chance
        # A third of the venue's connects is left to the router's private feed behind the same address.
        connects = max(1, card.channels.connects_per_minute * 2 // 3)
        self._backoff = Backoff(card.channels.backoff_first, card.channels.backoff_cap, connects)
        self._ending = threading.Event()
        self._log = logs.get("reader").bind(venue=card.name)

    def run(self) -> None:
        while not self._ending.is_set():
            self._backoff.attempt(self._clock.monotonic())
            try:
                with Socket.connect(self._url, CONNECT_TIMEOUT) as socket:
                    self.connects += 1
                    self._log.info("connected", url=self._url, contracts=len(self._pipelines))
                    self._read(socket)
            except SocketClosed as error:
                delay = self._backoff.delay(self._clock.monotonic(), self._chance())
                self._log.warning("connection lost", error=str(error), next_in=round(delay, 2))
                self._lost(str(error))
                self._wait(delay)
        self._lost("the collector was stopped")
        now = self._clock.now()
        self._put([item for pipeline in self._pipelines.values() for item in pipeline.ended(now)])

    def hand_over(self, found: Sequence[MarketFact | Proven]) -> None:
        """Take what another thread found out; it is looked at within a moment."""
        self._found.put(found)

    def stop(self) -> None:
        """End soon."""
        self._ending.set()

    def _read(self, socket: Socket) -> None:
        for text in self._adapter.subscriptions():
            socket.send(text)
        heard = checked = self._drained = self._clock.now()
        drained = Drained(heard)
        for pipeline in self._pipelines.values():
            pipeline.connected(heard)
        while not self._ending.is_set():
            items: list[Item] = []
            began = 0
            while True:
                frames = socket.recv_all(RECV_TIMEOUT)
                now = self._clock.now()
                began = began or now
                if frames:
                    heard = now
                    self._take(frames, now, items)
                has_more = socket.has_more()
                self._drained = drained.read(socket, now, has_more=has_more)
                if not has_more:
                    break
                if len(items) >= TOGETHER or not 0 <= now - began < TOGETHER_NS or not socket.is_readable():
                    break
            if now - checked >= CHECK_EVERY_NS or now < checked:
                checked = now
                self._check(socket, now, items)
            self._put(items)
            if now - heard > SILENCE_NS:
                raise SocketClosed(f"{self._url}: silent for {SILENCE_NS // 10**9} s")

    def _take(self, frames: Sequence[bytes], now: int, items: list[Item]) -> None:
        """What one read of the connection gave, received at `now`."""
        self.frames += len(frames)
        facts = self._adapter.decode_all(frames, now)
        if len(self._pipelines) == 1 and _SPECIAL.isdisjoint(map(type, facts)):
            # As nearly always with a connection of one contract: nothing to sort.
            items += self._only.take(facts, now) if facts else ()
            return
        found: dict[str, list[MarketFact]] = {}
        for fact in facts:
            if type(fact) is Joined:
                self.joined += fact.ok
                if not fact.ok:
                    self._log.error("subscription refused", answer=fact.text)
                continue
            if type(fact) is Refused:
                self._refusals.keep(fact, now)
                if fact.contract is None:
                    items += [item for pipeline in self._pipelines.values() for item in pipeline.unread(fact, now)]
            if fact.contract is not None:
                found.setdefault(fact.contract, []).append(fact)
        for contract, own in found.items():
            items += self._pipelines[contract].take(own, now)

    def _check(self, socket: Socket, now: int, items: list[Item]) -> None:
        # Other contracts' losses are their readers' to tell, and nothing can be told before there is a session.
        recorded = {contract for contract, pipeline in self._pipelines.items() if pipeline.session is not None}
        for name, sink in self._sinks.items():
            for loss in sink.losses(recorded):
                items += self._pipelines[loss.contract].lost(loss, name, now)
        while not self._found.empty():
            self._take_found(self._found.get(), now, items)
        for contract, pipeline in self._pipelines.items():
            items += pipeline.passed(now, self._drained)
            if pipeline.wants_resync:
                pipeline.wants_resync = False
                self._log.info("asking for a new book", contract=contract)
                for text in self._adapter.resubscriptions(contract):
                    socket.send(text)

    def _take_found(self, found: Sequence[MarketFact | Proven], now: int, items: list[Item]) -> None:
        trades: dict[str, list[Trade]] = {}
        for one in found:
            if isinstance(one, Proven):
                items += self._pipelines[one.contract].proven(one, now)
            elif isinstance(one, Refused):
                self._refusals.keep(one, now)
            elif isinstance(one, TradeSeen):
                trades.setdefault(one.trade.contract, []).append(one.trade)
        for contract, own in trades.items():
            pipeline = self._pipelines[contract]
            items += pipeline.past_trades(own, now)
            if pipeline.sides.verdict == "wrong" and not self._are_sides_turned:
                self._are_sides_turned = True
                self._adapter.turn_sides()
                self._log.error("the card has the sides of trades the other way round", contract=contract)
                for other in self._pipelines.values():
                    items += other.sides_were_wrong(now)

    def _lost(self, cause: str) -> None:
        now = self._clock.now()
        items: list[Item] = []
        for pipeline in self._pipelines.values():
            items += pipeline.disconnected(now, cause, self._drained)
        self._put(items)

    def _wait(self, seconds: float) -> None:
        """Wait, and let the pipelines know that time passes."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0 and not self._ending.wait(min(left, WAIT)):
            now = self._clock.now()
            self._put([item for pipeline in self._pipelines.values() for item in pipeline.passed(now)])

    def _put(self, items: Sequence[Item]) -> None:
        if not items:
            return
        # What the ledger is told stands in Redis too: the next collector takes it up from there.
        self._sinks["redis"].put([item for item in items if item.id is not None or item.kind == CLAIM])
        self._sinks["mongo"].put([item for item in items if item.kind != FEED])
