"""Which epoch an account is in: the one that is open, or a new one because Redis forgot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tickrouter import logs
from tickrouter.bus.controls import RUN
from tickrouter.bus.journal import Journal
from tickrouter.bus.worklists import Meta
from tickrouter.clock import Clock
from tickrouter.history.orders import highest_epoch, last_halt, last_rules, record_epoch
from tickrouter.model.account import Account
from tickrouter.model.event import Event, Reason

from .alarms import Alarms

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Entered:
    """The epoch that a tenure is in.

    Attributes:
        number: 1 for the account's first.
        is_new: no tenure has taken up the orders that were open at its opening, and it is not the account's first.
            A router may die between the opening and the taking up; the next one finds it so.
        opened_ms: when it opened, ms since 1970 UTC; 0 for the first.
        known_from_ms: a place that was queued before may have been sent by a Redis that forgot it; 0 for none.
    """

    number: int
    is_new: bool
    opened_ms: int
    known_from_ms: int


class Epochs:
    """Remembers over tenures what Redis acknowledged, and notices when it holds less."""

    def __init__(self, account: Account, mongo: Any, clock: Clock, alarms: Alarms) -> None:
        self._account = account
        self._mongo = mongo
        self._clock = clock
        self._alarms = alarms
        self.highest = 0
        """The highest epoch seen."""
        self._highest_rev = 0
        self._log = logs.get("epochs").bind(account=str(account))

    def enter(self, journal: Journal) -> Entered:
        """Go on in the epoch that is open, or open a new one.

        Raises:
            StorageError: Redis or MongoDB did not answer: without MongoDB nobody knows what Redis forgot.
            LeaseLost: the lease is another's.
        """
        meta = journal.meta()
        run_id = journal.run_id()
        whole = meta.epoch > 0 and meta.run_id == run_id and meta.rev >= self._highest_rev
        if whole and meta.epoch >= self.highest:
            journal.go_on(meta)
            self.highest = meta.epoch
            taken_up = meta.taken_up == meta.epoch
            if not taken_up:
                record_epoch(self._mongo, str(self._account), meta.epoch)
            return Entered(meta.epoch, not taken_up and meta.opened_ms > 0, meta.opened_ms, meta.known_from_ms)
        return self._open(journal, meta, run_id)

    def leave(self, journal: Journal) -> None:
        """Remember what Redis acknowledged in a tenure that ends."""
        self._highest_rev = max(self._highest_rev, journal.rev)

    def _open(self, journal: Journal, meta: Meta, run_id: str) -> Entered:
        name = str(self._account)
        before = max(meta.epoch, highest_epoch(self._mongo, name), self.highest)
        first = before == 0
        now = self._clock.now()
        text = "first" if first else f"Redis was restarted or forgot; last known {meta.epoch}-{meta.seq}"
        alarm = None if first else "redis_forgot"
        event = Event(self._account, "epoch", now, reason=Reason("epoch", text), alarm=alarm)
        said = None if first else last_halt(self._mongo, name)
        halt = (said.word if said is not None else None) or RUN
        # A Redis that was taken back to before a halt still says run.
        forgotten = said is not None and halt != RUN and (said.epoch, said.seq) > (meta.epoch, meta.seq)
        opened_ms = 0 if first else now // _MS
        known_from_ms = 0 if first else journal.known_from_ms(opened_ms)
        times = {"opened_ms": opened_ms, "known_from_ms": known_from_ms}
        journal.open_epoch(before + 1, run_id, event, halt, halt_forgotten=forgotten, **times)
        self._alarms.say(event)
        if not first:
            self._restore_rules(journal, meta)
        self.highest, self._highest_rev = before + 1, journal.rev
        # Before anything is sent MongoDB knows of it, so a Redis that forgets even the first epoch is noticed.
        record_epoch(self._mongo, name, before + 1)
        self._log.warning("epoch opened", epoch=before + 1, why=text)
        return Entered(before + 1, not first, opened_ms, known_from_ms)

    def _restore_rules(self, journal: Journal, meta: Meta) -> None:
        """Risk rules of which this Redis forgot that they were set, or lifted."""
        last = last_rules(self._mongo, str(self._account)).items()
        forgotten = {rule: said.word for rule, said in last if (said.epoch, said.seq) > (meta.epoch, meta.seq)}
        if forgotten:
            journal.restore_rules(forgotten, is_wiped=not meta.epoch)
