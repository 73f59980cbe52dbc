"""Commands other than place: each has one outcome, however many orders it touches and whatever dies meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.core.order_life import Change
from tickrouter.model.command import Action
from tickrouter.model.event import Event, EventType, Reason
from tickrouter.model.order import Replacement, Status

from .desk import Desk
from .lane import Lane


@dataclass(slots=True)
class Work:
    """A command under way.

    Attributes:
        command: its id.
        action: what it asks.
        waiting: client ids of the orders whose end it waits for.
        refused: orders that would not do it, and why.
        replacement: what an amend wants.
        options: of an operator's settle.
    """

    command: str
    action: Action
    waiting: set[str]
    refused: dict[str, Reason] = field(default_factory=dict)
    replacement: Replacement | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The form kept in `work:{<account>}`."""
        fields: dict[str, Any] = {"action": self.action, "targets": sorted(self.waiting)}
        if self.replacement is not None:
            fields["replacement"] = self.replacement.to_wire()
        if self.options:
            fields["options"] = self.options
        return pack_map(fields)

    @classmethod
    def from_bytes(cls, command: str, data: bytes) -> Work:
        """Inverse of `to_bytes`."""
        fields = unpack_map(data, limit=64 * 1024 * 1024)
        wanted = fields.get("replacement")
        return cls(
            command,
            fields["action"],
            set(fields["targets"]),
            replacement=Replacement.from_wire(wanted) if wanted is not None else None,
            options=fields.get("options", {}),
        )


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
        """The order would not be cancelled or replaced."""
        for work in self._of(client_oid):
            with self._lock:
                work.waiting.discard(client_oid)
                work.refused[client_oid] = reason
            self._end_if_done(work)

    def answer(
        self, command: str, kind: EventType, reason: Reason | None = None, client_oid: str | None = None
    ) -> None:
        """Publish a command's outcome and end its work."""
        now = self._desk.clock.now()
        event = Event(self._desk.account, kind, now, command=command, reason=reason, client_oid=client_oid)
        self._desk.tell(event, command=command)

    def _changed(self, lane: Lane, change: Change) -> None:
        if change.order.status.is_final and not change.before.status.is_final:
            self._settle(lane)

    def _settle(self, lane: Lane) -> None:
        order = lane.order
        for work in self._of(order.client_oid):
            wanted = Status.REPLACED if work.action == "amend" else Status.CANCELED
            with self._lock:
                work.waiting.discard(order.client_oid)
                if order.status is not wanted:
                    work.refused[order.client_oid] = Reason("too_late", f"the order is {order.status}")
            self._end_if_done(work)

    def _of(self, client_oid: str) -> list[Work]:
        with self._lock:
            return [work for work in self._works.values() if client_oid in work.waiting]

    def _end_if_done(self, work: Work) -> None:
        with self._lock:
            if work.waiting or self._works.pop(work.command, None) is None:
                return
        self._desk.tell(self._outcome(work), command=work.command)

    def _outcome(self, work: Work) -> Event:
        event = Event(self._desk.account, "command_done", self._desk.clock.now(), command=work.command)
        if work.action == "cancel_all":
            return replace(event, reason=_some_refused(work))
        if not work.refused:
            return replace(event, client_oid=work.replacement.client_oid if work.replacement else None)
        ((client_oid, reason),) = work.refused.items()
        kind: EventType = "amend_rejected" if work.action == "amend" else "cancel_rejected"
        return replace(event, type=kind, reason=reason, client_oid=client_oid)


def _some_refused(work: Work) -> Reason | None:
    if not work.refused:
        return None
    return Reason("too_late", f"not cancelled: {', '.join(sorted(work.refused))}"[:2000])
