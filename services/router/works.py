"""Commands other than place: each has one outcome, however many orders it touches and whatever dies meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.core.order_life import Change
from tickrouter.model.event import Event, EventType, Reason
from tickrouter.model.order import Status

from .desk import Desk
from .lane import Lane


@dataclass(slots=True)
class Work:
    """A command under way: the orders that it waits for, and those that would not be cancelled."""

    command: str
    action: str
    waiting: set[str]
    refused: dict[str, Reason] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The form kept in `work:{<account>}`."""
        return pack_map({"action": self.action, "targets": sorted(self.waiting)})

    @classmethod
    def from_bytes(cls, command: str, data: bytes) -> Work:
        """Inverse of `to_bytes`."""
        fields = unpack_map(data, limit=64 * 1024 * 1024)
        return cls(command, fields["action"], set(fields["targets"]))


class Works:
    """All commands under way, and their ends."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()
        desk.listeners.append(self._changed)

    def begin(self, work: Work) -> None:
        """Follow an admitted command until every order it waits for is final or refused it."""
        with self._lock:
            self._works[work.command] = work
        for client_oid in list(work.waiting):
            lane = self._desk.lane(client_oid)
            if lane is None:
                self.refuse(client_oid, Reason("unknown_order", "no such order in the journal"))
            elif lane.order.cancel_requested != work.command and lane.order.status.is_final:
                self.refuse(client_oid, Reason("too_late", f"the order was {lane.order.status} already"))
            elif lane.order.status.is_final:
                self._settle(lane)
        self._end_if_done(work)

    def is_unknown(self, command: str) -> bool:
        """True if the command is not being followed."""
        with self._lock:
            return command not in self._works

    def refuse(self, client_oid: str, reason: Reason) -> None:
        """The order would not be cancelled."""
        for work in self._of(client_oid):
            with self._lock:
                work.waiting.discard(client_oid)
                work.refused[client_oid] = reason
            self._end_if_done(work)

    def _changed(self, lane: Lane, change: Change) -> None:
        if change.order.status.is_final and not change.before.status.is_final:
            self._settle(lane)

    def _settle(self, lane: Lane) -> None:
        order = lane.order
        for work in self._of(order.client_oid):
            with self._lock:
                work.waiting.discard(order.client_oid)
                if order.status is not Status.CANCELED:
                    work.refused[order.client_oid] = Reason("too_late", f"the order is {order.status}")
            self._end_if_done(work)

    def _of(self, client_oid: str) -> list[Work]:
        with self._lock:
            return [work for work in self._works.values() if client_oid in work.waiting]

    def _end_if_done(self, work: Work) -> None:
        with self._lock:
            if work.waiting or self._works.pop(work.command, None) is None:
                return
        if work.action == "cancel" and work.refused:
            ((client_oid, reason),) = work.refused.items()
            self.answer(work.command, "cancel_rejected", reason, client_oid=client_oid)
            return
        reason_of_some = None
        if work.refused:
            reason_of_some = Reason("too_late", f"not cancelled: {', '.join(sorted(work.refused))}"[:2000])
        self.answer(work.command, "command_done", reason_of_some)

    def answer(
        self, command: str, kind: EventType, reason: Reason | None = None, client_oid: str | None = None
    ) -> None:
        """Publish a command's outcome and end its work."""
        now = self._desk.clock.now()
        event = Event(self._desk.account, kind, now, command=command, reason=reason, client_oid=client_oid)
        self._desk.journal.tell((event,), command=command)
