"""Balances: read after executions and hints, written for whoever asks, compared with what the executions come to."""

from __future__ import annotations

import threading

from tickrouter import logs
from tickrouter.core.balances import Base, Comparison, Difference
from tickrouter.core.order_life import Change
from tickrouter.core.recovery import SECOND
from tickrouter.errors import VenueError
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason

from .desk import Desk
from .lane import Lane

SETTLE = 0.3
"""Seconds to wait after a hint: several come together, and the limit is two a second."""
REFRESH = 60.0
"""Seconds between two readings without a hint."""


class Balances:
    """Reads balances when something hints at a change."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted = threading.Event()
        self._wanted.set()
        self._log = logs.get("balances")
        self._lock = threading.Lock()
        # An execution is told by the venue's messages, or found in its listings once they show it.
        self._stands = desk.proof.lag / SECOND + desk.router.poll_interval
        self._comparison = self._resume()
        desk.listeners.append(self._changed)

    def soon(self) -> None:
        """They may have changed."""
        self._wanted.set()

    def _changed(self, _lane: Lane, change: Change) -> None:
        """What the venue holds for an order changes with its status and its executions."""
        order = change.order
        new = [fill for trade_id, fill in order.fills.items() if trade_id not in change.before.fills]
        if new:
            with self._lock:
                self._comparison.executed(order.contract, order.side, new, self._now())
        if order.exchange_oid is not None and change.events:
            self.soon()

    def run(self) -> None:
        """Until the tenure ends."""
        since = 0.0
        while not self._desk.stop.wait(SETTLE):
            since += SETTLE
            if self._wanted.is_set() or since >= (self._stands if self._comparison.is_unsettled else REFRESH):
                self._wanted.clear()
                since = 0.0
                self._desk.guarded(self._read)

    def _read(self) -> None:
        venue = self._desk.venue
        now, began, fill_seq = self._desk.clock.now(), self._now(), self._desk.journal.fill_seq()
        try:
            found = venue.ask(venue.adapter.balances, lambda answer: venue.adapter.read_balances(answer, now))
        except VenueError as error:
            self._log.warning("balances not read", error=str(error))
            self._wanted.set()
            return
        self._desk.journal.write_balances(found)
        with self._lock:
            differences, bases = self._comparison.read(found, fill_seq, began)
        for difference in differences:
            self._tell(difference)
        self._desk.journal.write_agreed(bases, self._desk.epoch.number)

    def _resume(self) -> Comparison:
        """Go on from what earlier tenures of this epoch agreed on, with the fills published since."""
        journal, epoch = self._desk.journal, self._desk.epoch.number
        bases = journal.agreed(epoch)
        fills = journal.fills_after(epoch, min(base.fill_seq for base in bases.values())) if bases else []
        if fills is None:
            self._log.warning("balances are compared from now on: the fills since the last figures were trimmed")
            bases, fills = dict[str, Base](), []
        comparison = Comparison(int(self._stands * SECOND), bases)
        for event in fills:
            if event.fill is not None and event.contract is not None and event.side is not None:
                comparison.missed(Contract.parse(event.contract), event.side, event.fill)
        return comparison

    def _tell(self, difference: Difference) -> None:
        self._log.warning("balance and journal differ", figures=str(difference))
        reason = Reason("balance", str(difference))
        self._desk.tell(Event(self._desk.account, "reconciled", self._desk.clock.now(), reason=reason))

    def _now(self) -> int:
        return int(self._desk.clock.monotonic() * SECOND)
