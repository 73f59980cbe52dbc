"""Cancels that nobody has to ask for: after a time, and when a strategy is gone."""

from __future__ import annotations

from tickrouter import logs
from tickrouter.bus.controls import is_alive
from tickrouter.core.facts import CancelAsked
from tickrouter.core.order_life import deadline_command
from tickrouter.core.recovery import SECOND

from .desk import Desk
from .lane import Lane
from .sender import Sender

_MS = 1_000_000
LOOK_EVERY = 0.05
"""Seconds between two looks at deadlines."""
LIFE_EVERY = 0.5
"""Seconds between two looks at signs of life."""
GRACE = 1.0
"""Seconds for which a strategy may be gone."""
UNHEARD = 30.0
"""Seconds of an epoch in which a strategy counts as alive that was not heard of in it: Redis may have forgotten its
sign, and the next one comes when a third of its time is over."""


class Timers:
    """Deadlines are in the journal, so a router that comes later keeps them."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender
        self._gone_since: dict[str, float] = {}
        self._heard: set[str] = set()
        self._next_life = 0.0
        self._unheard_until = desk.epoch.opened_ms * _MS + int(UNHEARD * SECOND)
        self._log = logs.get("timers")

    def run(self) -> None:
        """Until the tenure ends."""
        while not self._desk.stop.wait(LOOK_EVERY):
            self._desk.guarded(self._deadlines)
            if self._desk.clock.monotonic() >= self._next_life:
                self._next_life = self._desk.clock.monotonic() + LIFE_EVERY
                self._desk.guarded(self._signs_of_life)

    def _deadlines(self) -> None:
        now = self._desk.clock.now()
        for lane in self._desk.timed_lanes():
            order = lane.order
            if order.cancel_at is not None and order.cancel_at <= now and order.cancel_requested is None:
                self._cancel(lane, deadline_command(order))

    def _signs_of_life(self) -> None:
        watched: dict[str, list[Lane]] = {}
        for lane in self._desk.open_lanes():
            tags = lane.order.tags
            if tags.get("cancel_on_disconnect") is True and isinstance(tags.get("strategy"), str):
                watched.setdefault(tags["strategy"], []).append(lane)
        now = self._desk.clock.monotonic()
        for strategy in list(self._gone_since):
            if strategy not in watched:
                del self._gone_since[strategy]
        for strategy, lanes in watched.items():
            if is_alive(self._desk.redis, str(self._desk.account), strategy):
                self._gone_since.pop(strategy, None)
                self._heard.add(strategy)
            elif strategy not in self._heard and self._desk.clock.now() < self._unheard_until:
                continue
            elif now - self._gone_since.setdefault(strategy, now) >= GRACE:
                self._log.warning("a strategy is gone; its orders are cancelled", strategy=strategy, orders=len(lanes))
                for lane in lanes:
                    self._cancel(lane, f"{lane.order.command}:disconnect")

    def _cancel(self, lane: Lane, command: str) -> None:
        if lane.order.status.is_final or lane.order.cancel_requested is not None:
            return
        lane.apply(CancelAsked(command))
        if lane.order.status.is_working:
            self._sender.cancel(lane)
