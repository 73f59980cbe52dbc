"""What operators change while the router runs: halt and risk rules. Every change is an event."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tickrouter import logs
from tickrouter.bus.controls import RUN, outbox_length, read_halt, read_risk
from tickrouter.core import risk_word
from tickrouter.core.risk import changed
from tickrouter.errors import InvalidValue
from tickrouter.model.event import Event, Reason

from .desk import Desk
from .guard import Guard

LOOK_EVERY = 0.1
"""Seconds between two looks at the keys."""
OUTBOX_EVERY = 10
"""Looks between two at the outbox."""


@dataclass(frozen=True, slots=True)
class Told:
    """The operators' words of which events told last: value of the halt key, and text of each rule that is set."""

    halt: str = RUN
    rules: Mapping[str, str] = field(default_factory=dict)


class Controls:
    """Follows the keys, and tells of their changes."""

    def __init__(self, desk: Desk, guard: Guard, told: Told) -> None:
        """`told` is what nobody need be told again."""
        self._desk = desk
        self._guard = guard
        self._halt = told.halt
        self._rules = dict(told.rules)
        self._outbox_alarm = False
        self._lock = threading.Lock()
        desk.tell_of_halt = self._look_at_halt
        self._log = logs.get("controls")

    @property
    def halt(self) -> str:
        """`run`, or `halt:<who>:<why>`."""
        return self._halt

    @property
    def told(self) -> Told:
        """What events have told by now."""
        return Told(self._halt, self._rules)

    def take_up(self) -> None:
        """Know what operators said, and how full the outbox is, before the first command is admitted.

        Raises:
            StorageError: Redis did not answer.
        """
        self._take_rules(read_risk(self._desk.redis, str(self._desk.account)))
        self._look_at_halt()
        self._look_at_outbox(outbox_length(self._desk.redis, str(self._desk.account)))

    def run(self) -> None:
        """Until the tenure ends."""
        looks = 1
        while True:
            self._desk.guarded(self._look, looks % OUTBOX_EVERY == 0)
            looks += 1
            if self._desk.stop.wait(LOOK_EVERY):
                return

    def _look(self, at_outbox: bool) -> None:
        name = str(self._desk.account)
        self._look_at_halt()
        rules = read_risk(self._desk.redis, name)
        if rules != self._rules:
            self._take_rules(rules)
        if at_outbox:
            self._look_at_outbox(outbox_length(self._desk.redis, name))

    def _look_at_halt(self) -> None:
        """Also called before an order is denied by a halt: a halt that did something is told, however short it was."""
        with self._lock:
            halt = read_halt(self._desk.redis, str(self._desk.account))
            if halt == self._halt:
                return
            self._halt = halt
            _, _, rest = halt.partition(":")
            self._log.warning("halted" if halt != RUN else "resumed", said=rest)
            self._tell(Event(self._desk.account, "halt", self._desk.clock.now(), fact=halt))

    def _take_rules(self, rules: dict[str, str]) -> None:
        limits, wrong = self._desk.config.risk.limits, dict[str, str]()
        for rule, text in sorted(rules.items()):
            try:
                limits = changed(limits, rule, text)
            except InvalidValue as error:
                wrong[rule] = error.reason
                self._log.error("risk rule not taken", error=str(error))
        self._guard.limits = limits
        for rule in sorted(rules.keys() | self._rules.keys()):
            before, after = self._rules.get(rule), rules.get(rule)
            if before != after:
                fact = risk_word.said(rule, after, wrong.get(rule))
                self._log.warning("risk rule changed", rule=rule, before=before, after=after)
                self._tell(Event(self._desk.account, "risk", self._desk.clock.now(), fact=fact))
        self._rules = rules

    def _look_at_outbox(self, length: int) -> None:
        router = self._desk.router
        self._guard.outbox_full = length >= router.outbox_deny
        if (length >= router.outbox_warn) is self._outbox_alarm:
            return
        self._outbox_alarm = not self._outbox_alarm
        if self._outbox_alarm:
            reason = Reason(
                "outbox", f"{length} events wait for MongoDB; places are denied from {router.outbox_deny} on"
            )
            event = Event(self._desk.account, "reconciled", self._desk.clock.now(), alarm="outbox", reason=reason)
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self._desk.tell(event)
