"""Takes commands off the queue: decodes, admits, answers. Bad input gets an answer, and the next command is served."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from tickrouter import logs
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.place_wire import plain_place
from tickrouter.bus.worklists import Entry
from tickrouter.errors import InvalidValue, StorageError, Unreadable
from tickrouter.model.command import Command
from tickrouter.model.event import Event, EventType, Reason

from .actions import Actions
from .desk import Desk
from .places import Places, fault
from .sender import Task
from .venue_link import Stopped
from .works import Works

MAX_COMMAND = 64 * 1024
"""Largest command that is read, in bytes."""
DEAD_KEPT = 10_000
BLOCK_MS = 200
LOOK_BACK = 1.0
"""Seconds between two looks for entries that were claimed and not admitted: who leads has none in hand then."""
_MS = 1_000_000
_DAY_MS = 24 * 3600 * 1000


class Once:
    """A call that is made once, however often it is asked for."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.is_made = False

    def __call__(self) -> None:
        if not self.is_made:
            self.is_made = True
            self._call()


class Intake:
    """Reads the queue of one account."""

    def __init__(self, desk: Desk, places: Places, actions: Actions, works: Works) -> None:
        self._desk = desk
        self._places = places
        self._actions = actions
        self._works = works
        self._lead = threading.Lock()
        self._followers = threading.Lock()
        self._waiting = 0
        self._look_back_at = 0.0
        self._log = logs.get("intake")

    def run_pending(self) -> None:
        """Admit what an earlier holder of the lease claimed and did not admit."""
        for task in self.take(self._desk.journal.claim(pending=True, count=1_000_000)):
            self._go(task)

    def run(self) -> None:
        """One of several threads, until the tenure ends: lead, that is read and admit; then send what was read.

        Whoever leads reads the queue alone, so commands are admitted in their order. It passes the lead on when its own
        order's request has left, so no order is handed from thread to thread on its way out; and keeps it where the
        venue answers sooner than another thread would have taken over.
        """
        while not self._desk.stop.is_set():
            with self._followers:
                self._waiting += 1
            self._lead.acquire()
            with self._followers:
                self._waiting -= 1
            passed = Once(self._lead.release)
            try:
                while not passed.is_made and not self._desk.stop.is_set():
                    task = self._read()
                    if task is not None:
                        task(passed)
            finally:
                passed()

    def _read(self) -> Task | None:
        """Admit what has come; one task for this thread, if another can take the lead meanwhile."""
        entries = self._claim()
        own: Task | None = None
        for task in self.take(entries):
            if len(entries) == 1 and self._waiting:
                own = task
            else:
                self._go(task)
        return own

    def _claim(self) -> list[Entry]:
        """New entries; now and then those that a router claimed which has lost the lease since and did not know it."""
        now = self._desk.clock.monotonic()
        if now >= self._look_back_at:
            self._look_back_at = now + LOOK_BACK
            left = self._desk.journal.claim(pending=True)
            if left:
                return left
        return self._desk.journal.claim(pending=False, block_ms=BLOCK_MS)

    def _go(self, task: Task) -> None:
        self._desk.send(task, None)

    def take(self, entries: list[Entry]) -> Iterator[Task]:
        """Admit entries in their order, deny them, or put them aside; what sends those that may leave at once."""
        places: list[tuple[Entry, Command]] = []
        for entry in entries:
            self._desk.count("commands")
            place = self._plain_place(entry)
            if place is None:
                # Whatever is said of this one, is said behind what came before it.
                yield from self._places.take(places, self._forget_before_ms())
                places = []
                command = self._read_command(entry)
                if command is not None and command.action == "place":
                    place = command
                elif command is not None:
                    self._admit_work(entry, command)
            if place is not None:
                places.append((entry, place))
        yield from self._places.take(places, self._forget_before_ms())

    def _plain_place(self, entry: Entry) -> Command | None:
        if entry.data is None or len(entry.data) > MAX_COMMAND:
            return None
        place = plain_place(entry.data)
        return place if place is not None and place.account == self._desk.account else None

    def _read_command(self, entry: Entry) -> Command | None:
        """The command, if it is one for this account; what else it is has been answered."""
        if entry.data is None:
            self._bury(entry, "no field d")
            return None
        command = self._read_carefully(entry, entry.data)
        if command is not None and command.account != self._desk.account:
            self._refuse(entry, command, Reason("account", f"this is the queue of {self._desk.account}"))
            return None
        return command

    def _read_carefully(self, entry: Entry, data: bytes) -> Command | None:
        try:
            wire = unpack_map(data, limit=MAX_COMMAND)
        except Unreadable as error:
            self._bury(entry, str(error))
            return None
        try:
            return Command.from_wire(wire)
        except InvalidValue as error:
            self._invalid(entry, wire, error)
            return None

    def _admit_work(self, entry: Entry, command: Command) -> None:
        """Admit any other command; a fault of ours denies it, lest it stops those behind it for ever."""
        try:
            self._begin_work(entry, command)
        except (StorageError, Stopped):
            raise
        except Exception as error:
            self._log.exception("a command failed", command=command.id)
            self._refuse(entry, command, fault(error))

    def _begin_work(self, entry: Entry, command: Command) -> None:
        work, marked = self._actions.plan(command, entry)
        wanted = work.replacement.client_oid if work.replacement is not None else None
        outcome = self._desk.journal.admit_work(
            entry, command.id, work.to_bytes(), marked, forget_before_ms=self._forget_before_ms(), wanted=wanted
        )
        if outcome == "DUPLICATE":
            taken = self._event("amend_rejected", command.id, Reason("duplicate", "the new client_oid is taken"))
            self._deny(entry, command.id, replace(taken, client_oid=command.orig_client_oid))
            return
        unanswered_before = outcome == "REPEAT" and self._works.is_unknown(command.id)
        if outcome == "ADMITTED" or (unanswered_before and command.id in self._desk.journal.work()):
            self._actions.start(work)

    def _bury(self, entry: Entry, reason: str) -> None:
        self._desk.count("dead")
        self._log.error("command cannot be read", entry=entry.id, reason=reason)
        self._desk.journal.bury(entry, reason, DEAD_KEPT)

    def _invalid(self, entry: Entry, wire: dict[str, object], error: InvalidValue) -> None:
        """Denied where the sender can be told which command it is, put aside where not."""
        command_id = wire.get("id")
        if error.field == "id" or not isinstance(command_id, str):
            self._bury(entry, str(error))
            return
        client_oid = wire.get("client_oid")
        event = self._event("command_denied", command_id, Reason("invalid", str(error)))
        if isinstance(client_oid, str) and error.field != "client_oid":
            event = replace(event, client_oid=client_oid)
        self._deny(entry, command_id, event)

    def _refuse(self, entry: Entry, command: Command, reason: Reason) -> None:
        event = replace(self._event("command_denied", command.id, reason), client_oid=command.client_oid)
        self._deny(entry, command.id, event)

    def _deny(self, entry: Entry, command_id: str, event: Event) -> None:
        self._desk.count("denied")
        self._desk.journal.admit_refused(entry, command_id, event, forget_before_ms=self._forget_before_ms())

    def _event(self, kind: EventType, command: str, reason: Reason | None) -> Event:
        return Event(self._desk.account, kind, self._desk.clock.now(), command=command[:64], reason=reason)

    def _forget_before_ms(self) -> int:
        return int(self._desk.clock.now() // _MS - self._desk.router.seen_days * _DAY_MS)
