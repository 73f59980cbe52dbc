"""Copying one account's events to MongoDB, and trimming Redis behind that."""

from __future__ import annotations

import threading
from typing import Any

from tickrouter import logs
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.order_store import let_expire
from tickrouter.bus.outbox import Outbox
from tickrouter.bus.subscribe import START, Entry, EntryId, find_order, id_text
from tickrouter.clock import Clock
from tickrouter.errors import InvalidValue, StorageError, TickrouterError, Unreadable
from tickrouter.history.outbox import Conflict, Published, keep_aside, store_events, store_orders
from tickrouter.model.account import Account
from tickrouter.model.event import Event
from tickrouter.model.order import Order

from .state import Progress

BATCH = 500
BLOCK_MS = 500
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Seconds between two tries while a server does not answer."""
TRIM_EVERY = 5.0
LAG_EVERY = 1.0


class Copier:
    """The outbox of one account.

    What was taken and not acknowledged comes first, after a start as after every failure: each write may be
    repeated, so nothing has to be known of how far the last try came.
    """

    def __init__(self, outbox: Outbox, db: Any, account: Account, keep: int, clock: Clock, stop: threading.Event):
        self.progress = Progress()
        self._outbox = outbox
        self._db = db
        self._account = account
        self._keep = keep
        self._clock = clock
        self._stop = stop
        self._log = logs.get("copier").bind(account=str(account))
        self._has_pending = True
        self._events_through: EntryId | None = None
        self._fills_through: EntryId | None = None
        self._trimmed_at = self._lag_at = clock.monotonic()
        self._failing_since: float | None = None

    def run(self) -> None:
        """Copy until told to stop; heals by itself when a server goes and comes back."""
        wait = FIRST_WAIT
        opened = False
        while not self._stop.is_set():
            try:
                if not opened:
                    self._outbox.open()
                    opened = True
                self.step()
            except StorageError as error:
                self._failed(error)
                self._stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                self._healed()
                wait = FIRST_WAIT

    def step(self, block_ms: int = BLOCK_MS) -> int:
        """Copy one batch; returns how many entries it had.

        Raises:
            StorageError: a server did not answer; the next step begins with what this one took.
        """
        entries = self._next(block_ms)
        if entries:
            self._copy(entries)
            self._outbox.acknowledge(entries)
            self._events_through = max(entry.id for entry in entries)
            self.progress.through = id_text(self._events_through)
        self._housekeeping()
        return len(entries)

    def _next(self, block_ms: int) -> list[Entry]:
        if self._has_pending:
            if entries := self._outbox.pending(START, BATCH):
                return entries
            self._has_pending = False
        return self._outbox.fresh(BATCH, block_ms)

    def _copy(self, entries: list[Entry]) -> None:
        now = self._clock.now()
        published = [found for entry in entries if entry.data and (found := self._read(entry, now)) is not None]
        conflicts = self._store(published, now)
        orders = self._orders(published)
        store_orders(self._db, orders)
        for _, order in orders:
            if order.is_done:
                let_expire(self._outbox.redis, order)
        for conflict in conflicts:
            self._log.error("conflict", collection=conflict.collection, number=conflict.number, text=conflict.text)
        fills = [(item.number[0], item.event.fill.seq) for item in published if item.event.fill is not None]
        if fills:
            self._fills_through = max([*fills, self._fills_through or START])
        self.progress.events += len(published)
        self.progress.fills += len(fills)
        self.progress.orders += len(orders)
        self.progress.conflicts += len(conflicts)

    def _read(self, entry: Entry, now: int) -> Published | None:
        """The event in an entry; what cannot be read is kept aside, and does not hold up what comes behind it."""
        try:
            return Published(entry.id, entry.data, Event.from_wire(unpack_map(entry.data)))
        except (Unreadable, InvalidValue) as error:
            keep_aside(self._db, self._account, "events", entry.id, entry.data, str(error), now)
            self.progress.conflicts += 1
            self._log.error("unreadable event", number=entry.id, text=str(error))
            return None

    def _store(self, published: list[Published], now: int) -> list[Conflict]:
        """Store a batch; an event that MongoDB cannot hold is kept aside alone, the others are stored."""
        try:
            return store_events(self._db, self._account, published, now)
        except StorageError:
            raise
        except Exception as error:
            if len(published) > 1:
                return [conflict for item in published for conflict in self._store([item], now)]
            (item,) = published
            return [keep_aside(self._db, self._account, "events", item.number, item.data, repr(error), now)]

    def _orders(self, published: list[Published]) -> list[tuple[int, Order]]:
        """The orders that the events speak of, as the journal has them by now."""
        epochs = {item.event.client_oid: item.number[0] for item in published if item.event.client_oid}
        found = []
        for client_oid, epoch in epochs.items():
            try:
                order = find_order(self._outbox.redis, self._account, client_oid)
            except Unreadable as error:
                self._log.error("unreadable order", client_oid=client_oid, text=str(error))
                continue
            if order is not None:
                found.append((epoch, order))
        return found

    def _housekeeping(self) -> None:
        now = self._clock.monotonic()
        if now - self._lag_at >= LAG_EVERY:
            self.progress.lag = self._outbox.lag()
            self._lag_at = now
        if now - self._trimmed_at >= TRIM_EVERY:
            self.progress.trimmed += self._outbox.trim(self._events_through, self._fills_through, self._keep)
            self._trimmed_at = now

    def _failed(self, error: TickrouterError) -> None:
        self._has_pending = True
        self.progress.error = str(error)
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
            self._log.warning("waiting for a server; events stay in Redis", error=str(error))

    def _healed(self) -> None:
        if self._failing_since is not None:
            seconds = round(self._clock.monotonic() - self._failing_since, 1)
            self._log.info("goes on with what was not acknowledged", after_seconds=seconds)
            self._failing_since = None
            self.progress.error = None
