"""Waiting for the answer to a command other than place."""

from __future__ import annotations

from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.subscribe import START, Entry
from tickrouter.clock import Clock
from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.event import Event
from tickrouter.model.ids import is_amend_to
from tickrouter.tape.follower import Follower
from tickrouter.tape.search import coming, published

_ANSWERS = ("command_done", "command_denied", "cancel_rejected", "amend_rejected")


def answer_to(redis: Redis, stream: Follower, command: str, timeout: float | None, clock: Clock) -> Event | None:
    """The event that answers a command, or None if there was none within `timeout` seconds.

    A client id stands for the amend that is to make this order.

    Raises:
        StorageError: Redis did not answer.
    """

    def wanted(entry: Entry) -> Event | None:
        if command.encode() not in entry.data:
            return None
        try:
            event = Event.from_wire(unpack_map(entry.data))
        except (Unreadable, InvalidValue):
            return None
        given = event.command or ""
        return event if event.type in _ANSWERS and (given == command or is_amend_to(given, command)) else None

    deadline = None if timeout is None else clock.monotonic() + timeout
    last = stream.last()
    position = last.id if last else START
    found = published(redis, stream.key, position, wanted)
    return found if found is not None else coming(stream, position, wanted, deadline, clock)
