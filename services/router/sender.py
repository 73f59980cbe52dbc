"""Sends orders and cancels: permit, journal, then the wire; cancels never wait behind places."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial

from tickrouter import logs
from tickrouter.bus.permits import Grant
from tickrouter.core.facts import (
    Accepted,
    CancelAsked,
    CancelRefused,
    CancelSending,
    Deferred,
    Denied,
    Fact,
    Refused,
    Seen,
    Sending,
    Unanswered,
)
from tickrouter.core.order_life import Change
from tickrouter.errors import AmbiguousError, DefiniteError, StorageError, VenueError, is_retryable
from tickrouter.model.event import Reason
from tickrouter.model.order import Order, Status
from tickrouter.transport.http import Slow
from tickrouter.venues.request import Request

from .desk import Desk
from .lane import Lane
from .tracker import CANCELING, Tracker
from .venue_link import Stopped
from .works import Works

_MS = 1_000_000
LOOK_EVERY = 0.02
"""Seconds between two looks whether a place may leave already."""
_HALT = Reason("halt", "the account is halted: no new order leaves")
DENIALS = {"HALT": _HALT, "HALTED": _HALT, "AGE": Reason("age", "older than its ttl before it could be sent")}
"""Why an order is denied, by the word with which a script forbade it."""


Task = Callable[[Slow | None], None]
"""Sends one order in the caller's thread; calls what it is given if the venue's answer takes its time."""


class Sender:
    """Two lines, one of places and one of cancels; each takes permits in its own order."""

    def __init__(self, desk: Desk, tracker: Tracker, works: Works) -> None:
        self._desk = desk
        self._tracker = tracker
        self._works = works
        self._places: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        self._cancels: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        self._endpoints: dict[str, str] = {}
        self._queued: set[str] = set()
        self._waiting = 0
        self._lock = threading.Lock()
        self._log = logs.get("sender")
        desk.listeners.append(self._changed)

    def place(self, lane: Lane) -> None:
        """Send an order when its turn comes."""
        with self._lock:
            self._waiting += 1
        self._places.put(lane)

    def is_free_for(self, order: Order) -> bool:
        """True if no place waits, so that this one overtakes nobody, and the venue cannot have it already."""
        desk = self._desk
        return not self._waiting and desk.is_looked_through(order.contract) and order.client_oid not in desk.unclaimed

    def place_endpoint(self, order: Order) -> str:
        """`METHOD /path` of a place."""
        return self._endpoint("place", lambda: self._desk.venue.adapter.place(order, 0).endpoint)

    def task(self, lane: Lane, request: Request, grant: Grant) -> Task:
        """What sends an order whose permits are taken and whose request is journaled."""
        return partial(self._post, lane, request, grant)

    def cancel(self, lane: Lane) -> None:
        """Send a cancel when its turn comes; one that waits already is enough."""
        with self._lock:
            if lane.order.client_oid in self._queued:
                return
            self._queued.add(lane.order.client_oid)
        self._cancels.put(lane)

    def run_places(self) -> None:
        """Until the tenure ends: take permits for places, one after the other."""
        self._run(self._places, self._place_when_permitted)

    def run_cancels(self) -> None:
        """Until the tenure ends: take permits for cancels, one after the other."""
        self._run(self._cancels, self._cancel_when_permitted)

    def wake(self) -> None:
        """Let both lines notice that the tenure ended."""
        self._places.put(None)
        self._cancels.put(None)

    def _run(self, line: queue.SimpleQueue[Lane | None], handle: Callable[[Lane], None]) -> None:
        while not self._desk.stop.is_set():
            lane = line.get()
            if lane is not None:
                self._desk.guarded(handle, lane)

    # --- places

    def _place_when_permitted(self, lane: Lane) -> None:
        try:
            self._wait_for_look(lane)
            if self._is_there(lane):
                return
            grant = self._desk.venue.permit(self.place_endpoint(lane.order), lambda: self._may_leave(lane))
        finally:
            with self._lock:
                self._waiting -= 1
        if grant is not None:
            self._desk.send(self._place, lane, grant)
        elif _waits(lane.order):
            lane.apply(Denied(DENIALS["AGE"]))

    def _wait_for_look(self, lane: Lane) -> None:
        """While Redis may have forgotten this very order, the venue is looked through first.

        Raises:
            Stopped: the router ends.
        """
        while not self._desk.is_looked_through(lane.order.contract) and self._may_leave(lane):
            if self._desk.stop.wait(LOOK_EVERY):
                raise Stopped

    def _is_there(self, lane: Lane) -> bool:
        """True if the venue has an order of this client id: it is this one, sent before by a Redis that forgot it."""
        found = self._desk.unclaimed.get(lane.order.client_oid)
        if found is None:
            return False
        lane.apply(Seen(found, "reconciliation"))
        self._tracker.look(lane)
        return True

    def _may_leave(self, lane: Lane) -> bool:
        order = lane.order
        return _waits(order) and self._desk.clock.now() < deadline_ms(order) * _MS

    def _place(self, lane: Lane, grant: Grant) -> None:
        venue = self._desk.venue
        if not _waits(lane.order):
            venue.give_back(grant)
            return
        stamp = venue.clock.stamp()
        request = venue.adapter.place(lane.order, stamp)
        outcome = lane.apply(Sending(stamp, request.digest), guard_ms=deadline_ms(lane.order))
        if outcome == "HALT":
            self._desk.tell_of_halt()
        if outcome in DENIALS:
            lane.apply(Denied(DENIALS[outcome]))
        elif outcome == "CANCEL":
            self._is_called_off(lane)
        if outcome != "DONE":
            venue.give_back(grant)
            return
        self._post(lane, request, grant)

    def _post(self, lane: Lane, request: Request, grant: Grant, slow: Slow | None = None) -> None:
        """Send what is journaled as about to leave, and journal what comes of it."""
        venue = self._desk.venue
        # Without an answer the permits stay taken for as long as the request may still reach the venue.
        returned: Grant | None = None
        try:
            answer = venue.exchange(request, slow)
            returned = grant
            fact: Fact = Accepted(venue.read(request, answer, venue.adapter.read_placed))
        except DefiniteError as error:
            self._not_taken(lane, error, returned)
            return
        except AmbiguousError as error:
            self._log.warning("no answer to a place", client_oid=lane.order.client_oid, error=str(error))
            fact = Unanswered(_reason(error))
        except StorageError:
            raise
        except Exception as error:
            lane.apply(Unanswered(Reason("fault", f"{type(error).__name__}: {error}"[:300])))
            raise
        self._journal_answer(lane, fact, returned)

    def _journal_answer(self, lane: Lane, fact: Fact, returned: Grant | None) -> None:
        """The permits of an answered request go back behind what it came to: nobody waits for them."""
        lane.apply(fact)
        if returned is not None:
            self._desk.venue.give_back_soon(returned)

    def _not_taken(self, lane: Lane, error: DefiniteError, returned: Grant | None) -> None:
        if not is_retryable(error):
            self._journal_answer(lane, Refused(_reason(error)), returned)
            return
        self._journal_answer(lane, Deferred(_reason(error)), returned)
        if self._is_called_off(lane):
            return
        if error.kind == "nonce":
            self._measure_clock()
        self.place(lane)

    @staticmethod
    def _is_called_off(lane: Lane) -> bool:
        """End an order that is not at the venue and whose cancel was asked meanwhile; True if that was so."""
        order = lane.order
        if order.cancel_requested is None:
            return False
        lane.apply(CancelAsked(order.cancel_requested, order.replacement))
        return lane.order.status is not Status.PENDING_NEW

    def _measure_clock(self) -> None:
        try:
            self._desk.venue.measure_clock()
        except VenueError as error:
            self._log.warning("the venue's clock was not read", error=str(error))

    # --- cancels

    def _cancel_when_permitted(self, lane: Lane) -> None:
        venue = self._desk.venue
        endpoint = self._endpoint("cancel", lambda: venue.adapter.cancel("0", 0).endpoint)
        grant = venue.permit(endpoint, lambda: _is_to_go(lane.order))
        with self._lock:
            self._queued.discard(lane.order.client_oid)
        if grant is not None:
            self._desk.send(self._cancel, lane, grant)

    def _cancel(self, lane: Lane, grant: Grant) -> None:
        venue = self._desk.venue
        exchange_oid = lane.order.exchange_oid
        is_wanted = _is_to_go(lane.order)
        if exchange_oid is None or not is_wanted or lane.apply(CancelSending()) not in ("DONE", "NOTHING"):
            venue.give_back(grant)
            return
        self._tracker.cancel_leaves(lane)
        request = venue.adapter.cancel(exchange_oid, venue.clock.stamp())
        try:
            venue.send(request, venue.adapter.read_canceled, grant)
        except DefiniteError as error:
            self._cancel_refused(lane, error)
        except AmbiguousError as error:
            self._log.warning("no answer to a cancel", client_oid=lane.order.client_oid, error=str(error))
            # A cancel by exchange id may be signed again, but the order may be gone already: look first.
            self._tracker.look_now(lane)
            if lane.order.status in CANCELING:
                self.cancel(lane)
        else:
            self._tracker.cancel_answered(lane)

    def _cancel_refused(self, lane: Lane, error: DefiniteError) -> None:
        if is_retryable(error):
            if error.kind == "nonce":
                self._measure_clock()
            self.cancel(lane)
            return
        if error.kind == "order_not_found":
            # A refused cancel is no proof of death: the venue's final word decides, and ends the command.
            self._tracker.cancel_answered(lane)
            return
        lane.apply(CancelRefused(_reason(error)))
        self._works.refuse(lane.order.client_oid, _reason(error))

    def _changed(self, lane: Lane, change: Change) -> None:
        """A cancel that was asked before the exchange id was known leaves as soon as it is; a child is sent."""
        if change.child is not None:
            child = self._desk.add(change.child)
            if child.order.status is Status.PENDING_NEW:
                self.place(child)
        order = change.order
        waiting = order.cancel_requested is not None and not order.cancel_sent
        if waiting and order.status.is_working and order.exchange_oid is not None:
            self.cancel(lane)

    def _endpoint(self, kind: str, find: Callable[[], str]) -> str:
        if kind not in self._endpoints:
            self._endpoints[kind] = find()
        return self._endpoints[kind]


def deadline_ms(order: Order) -> int:
    """When an order is too old to be sent, ms since 1970 UTC."""
    return order.created // _MS + order.ttl_ms


def _waits(order: Order) -> bool:
    """True of an order of which no request is on its way, or may be at the venue."""
    return order.status is Status.PENDING_NEW and order.stamp is None


def _is_to_go(order: Order) -> bool:
    """True of an open order whose cancel was asked and not refused since: who was refused was told that it stays."""
    return order.status.is_working and order.cancel_requested is not None


def _reason(error: VenueError) -> Reason:
    return Reason(error.kind, error.text, error.code)
