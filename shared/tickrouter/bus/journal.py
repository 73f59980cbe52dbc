"""The journal of an account: every step of its orders, each one atomic write that may be repeated without harm."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from tickrouter.bus import order_hash
from tickrouter.bus.balances import agreed_fields, fields_of
from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.direct import Call, Meanwhile, Part
from tickrouter.bus.scripts import Script
from tickrouter.bus.worklists import GROUP, Entry, Meta, WorkLists
from tickrouter.core.balances import Base
from tickrouter.core.order_life import Change
from tickrouter.core.recovery import Findings
from tickrouter.errors import LeaseLost, RedisForgot, StorageError
from tickrouter.model.account import Balance
from tickrouter.model.event import Event
from tickrouter.model.order import Order, Status

Admission = Literal["ADMITTED", "REPEAT", "DUPLICATE", "HALTED", "AGE"]
StepOutcome = Literal["DONE", "REPEAT", "CONFLICT", "HALT", "AGE", "CANCEL"]

RESEND_FOR = 10.0
"""Seconds for which an unanswered write is sent again before it counts as failed."""
_DEAD_BYTES = 4096
_EPOCH, _SEQ, _FILL = (msgpack.packb(name) for name in ("epoch", "seq", "fill"))
_encode = msgspec.msgpack.Encoder().encode
_SCRIPTS = ("admit", "step", "adopt", "tell", "bury", "balance", "evidence", "mark", "agreed", "rules")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A place that is admitted and sent at once.

    Attributes:
        entry: of the queue.
        change: the order as admitted, and as it is about to be sent.
        event: that tells of the admission.
        permits: the call that takes its permits; without its grant nothing may be sent.
        deadline_ms: after this (ms since 1970 UTC, Redis's clock) it is too old: AGE, and nothing is written.
    """

    entry: Entry
    change: Change
    event: Event
    permits: Call
    deadline_ms: int


class Journal(WorkLists):
    """Writes for one account, under its lease."""

    def __init__(self, redis: Redis, account: str, token: Callable[[], str]) -> None:
        super().__init__(redis, account)
        self._token = token
        self._rev = 0
        self._rev_lock = threading.Lock()
        self._scripts = {name: Script("guard", name, mark=account) for name in _SCRIPTS}
        self._epoch = Script("epoch", mark=account)

    # --- opening

    @storage_errors("prepare")
    def prepare(self) -> None:
        """Load the scripts and make the queue's group. Only the lease holder may."""
        for script in (*self._scripts.values(), self._epoch):
            script.load(self._redis)
        try:
            self._redis.xgroup_create(self.keys.orders, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def go_on(self, meta: Meta) -> None:
        """Continue in the epoch that is open."""
        self._rev = meta.rev

    @storage_errors("open epoch")
    def open_epoch(
        self,
        epoch: int,
        run_id: str,
        event: Event,
        halt: str,
        *,
        opened_ms: int = 0,
        known_from_ms: int = 0,
        halt_forgotten: bool = False,
    ) -> None:
        """Open an epoch; numbers begin again at 1. For the two times see `Meta`; they are 0 for an account's first.

        `halt` is the operator's last word, for a Redis that has none; with `halt_forgotten` also for one that says run.

        Raises:
            LeaseLost: the lease is another's.
        """
        keys = [self.keys.meta, self.keys.lease, self.keys.events, self.keys.fills, self.keys.halt]
        args = [self._token(), epoch, run_id, _raw(_split(event)), halt, opened_ms, known_from_ms]
        args.append(int(halt_forgotten))
        outcome, rev = self._checked(self._epoch.call(self._redis, keys, args))
        self._rev = int(rev)
        if outcome not in (b"DONE", b"REPEAT"):
            raise StorageError(f"the epoch could not be opened: {outcome!r}")

    def taken_up(self, epoch: int) -> None:
        """Every order that was open is known in this epoch, those that Redis forgot as in doubt."""
        self._write("mark", [], ["taken_up", epoch])

    @property
    def rev(self) -> int:
        """The highest number of a write that Redis acknowledged."""
        return self._rev

    # --- writing

    def admit_place(self, entry: Entry, order: Order, event: Event, *, forget_before_ms: int) -> Admission:
        """Admit a place, or write its denial: an order that is final already does not go to the open ones.

        DUPLICATE and HALTED have written nothing: the caller says what comes of the command.
        """
        return self._admit(entry, order.command, *self._place(order, event), forget_before_ms)

    def admit_sending(
        self, leaving: Sequence[Leaving], *, forget_before_ms: int, meanwhile: Meanwhile | None
    ) -> list[tuple[Admission, Any]]:
        """Admit places whose requests are signed already, all in one write, each with the call that takes its permits.

        Args:
            leaving: in the order of the queue.
            forget_before_ms: see `admit_refused`.
            meanwhile: called while the answers are on their way.

        Returns:
            For each what came of it (AGE, HALTED and DUPLICATE have written nothing), and the answer of its permits.
        """
        writes = [self._leaving(one, forget_before_ms) for one in leaving]
        answers = self._exchange("admit", writes, [one.permits for one in leaving], meanwhile)
        outcomes = [self._outcome(answer) for answer in answers[1::2]]
        return list(zip(outcomes, answers[::2], strict=True))

    def _leaving(self, one: Leaving, forget_before_ms: int) -> tuple[list[str], list[Part]]:
        orders, body = self._place(one.change.order, one.event)
        body["fields"] += _flat(order_hash.fact_field(one.change.before))
        body["deadline"] = one.deadline_ms
        return self._admission(one.entry, one.change.order.command, orders, body, forget_before_ms)

    def admit_work(
        self,
        entry: Entry,
        command: str,
        work: bytes,
        marked: list[str],
        *,
        forget_before_ms: int,
        wanted: str | None = None,
    ) -> Admission:
        """Admit any other command; the orders `marked` are asked to be cancelled from here on.

        `wanted` is the client id that an amend's new order is to have: DUPLICATE, and nothing written, if it is taken.
        """
        keys = [self.keys.order(oid) for oid in marked]
        body: dict[str, Any] = {"kind": "work", "work": work}
        if wanted is not None:
            keys.append(self.keys.order(wanted))
            body["wanted"] = 1
        return self._admit(entry, command, keys, body, forget_before_ms)

    def admit_refused(self, entry: Entry, command: str, event: Event, *, forget_before_ms: int) -> Admission:
        """Take a command off the queue that comes to nothing but an event."""
        return self._admit(entry, command, [], {"kind": "refused", "event": _split(event)}, forget_before_ms)

    def _place(self, order: Order, event: Event) -> tuple[list[str], dict[str, Any]]:
        body = {
            "kind": "place",
            "client_oid": order.client_oid,
            "is_open": not order.is_done,
            "sends": order.status is Status.PENDING_NEW,
            "fields": _flat(order_hash.to_hash(order)),
            "event": _split(event),
        }
        return [self.keys.order(order.client_oid)], body

    def _admission(
        self, entry: Entry, command: str, orders: list[str], body: dict[str, Any], forget_before_ms: int
    ) -> tuple[list[str], list[Part]]:
        keys = self.keys
        names = [keys.orders, keys.seen, keys.events, keys.fills, keys.open, keys.work, keys.halt, *orders]
        return names, [entry.id, command, entry.ms, forget_before_ms, _raw(body)]

    def _admit(
        self, entry: Entry, command: str, orders: list[str], body: dict[str, Any], forget_before_ms: int
    ) -> Admission:
        outcome: Admission = self._write("admit", *self._admission(entry, command, orders, body, forget_before_ms))
        return outcome

    def step(
        self,
        change: Change,
        *,
        guard_ms: int | None = None,
        watch: int | Literal[False] | None = None,
    ) -> StepOutcome:
        """Write one step of an order with its events.

        Args:
            change: the order before and after, and its events.
            guard_ms: before a request leaves: look again at halt, cancel and this deadline (ms since 1970 UTC).
            watch: deadline in ms until which a NeverPlaced order is looked for, or False to end that.

        Raises:
            LeaseLost, RedisForgot, StorageError: not written, as far as known.
        """
        before, after = change.before, change.order
        fields, unset = order_hash.changes(before, after)
        body: dict[str, Any] = {
            "step": after.step,
            "client_oid": after.client_oid,
            "fields": _flat(fields),
            "unset": unset or None,
            "events": [_split(event) for event in change.events],
            "guard": guard_ms,
            "watch": watch,
        }
        if after.is_done != before.is_done:
            body["open"] = not after.is_done
        if after.exchange_oid is not None and after.exchange_oid != before.exchange_oid:
            body["exchange_oid"] = after.exchange_oid
        keys = self.keys
        names = [keys.order(after.client_oid), keys.open, keys.events, keys.fills, keys.xoid, keys.watch, keys.halt]
        if change.child is not None:
            names.append(keys.order(change.child.client_oid))
            fields = order_hash.to_hash(change.child)
            told = body["events"].pop()
            body["child"] = {"client_oid": change.child.client_oid, "fields": _flat(fields), "event": told}
        outcome: StepOutcome = self._write("step", names, [_raw(_without_none(body))])
        return outcome

    def adopt(self, order: Order, events: tuple[Event, ...]) -> bool:
        """Write an order that the journal does not know; False if it knows one of that client id."""
        body = {
            "client_oid": order.client_oid,
            "fields": _flat(order_hash.to_hash(order)),
            "is_open": not order.is_done,
            "exchange_oid": order.exchange_oid,
            "events": [_split(event) for event in events],
        }
        keys = self.keys
        names = [keys.order(order.client_oid), keys.open, keys.events, keys.fills, keys.xoid]
        return bool(self._write("adopt", names, [_raw(_without_none(body))]) == "DONE")

    def tell(self, events: tuple[Event, ...], *, command: str | None = None) -> bool:
        """Publish events of no order, ending a command's work; False if that had ended before."""
        body = _without_none({"events": [_split(event) for event in events], "command": command})
        names = [self.keys.events, self.keys.fills, self.keys.work]
        return bool(self._write("tell", names, [_raw(body)]) == "DONE")

    def keep_evidence(self, client_oid: str, findings: Findings) -> None:
        """Keep what was found out about an order in doubt, beside its steps."""
        self._write("evidence", [self.keys.order(client_oid)], [order_hash.packed_findings(findings)])

    def write_balances(self, balances: tuple[Balance, ...]) -> None:
        """Replace the snapshot of the balances; a router that lost its lease does not."""
        if balances:
            self._write("balance", [self.keys.balance], [*fields_of(balances)])

    def write_agreed(self, bases: Mapping[str, Base], epoch: int) -> None:
        """Keep totals on which venue and journal agree."""
        if bases:
            self._write("agreed", [self.keys.agreed], [*agreed_fields(bases, epoch)])

    def restore_rules(self, rules: Mapping[str, str | None], *, is_wiped: bool) -> None:
        """Set risk rules again that Redis forgot, or lift them (None); what a wiped one holds was said since."""
        body = {
            "set": [part for rule, text in rules.items() if text is not None for part in (rule, text)],
            "unset": [rule for rule, text in rules.items() if text is None],
            "is_wiped": is_wiped,
        }
        self._write("rules", [self.keys.risk], [_raw(body)])

    def bury(self, entry: Entry, reason: str, kept: int) -> None:
        """Put an entry that cannot be read aside."""
        data = entry.data or b""
        digest = hashlib.sha256(data).hexdigest()
        args: list[Part] = [entry.id, reason[:500], data[:_DEAD_BYTES], digest, len(data), kept]
        self._write("bury", [self.keys.orders, self.keys.dead], args)

    def _write(self, name: str, keys: list[str], args: list[Part]) -> Any:
        """Call one script; what it says."""
        return self._outcome(self._exchange(name, [(keys, args)])[0])

    def _exchange(
        self,
        name: str,
        writes: list[tuple[list[str], list[Part]]],
        permits: Sequence[Call] = (),
        meanwhile: Meanwhile | None = None,
    ) -> list[Any]:
        """Call a script, once for each of `writes`, until all answer, each behind its own of `permits`.

        Each may be repeated without harm, so what is unanswered is sent again.
        """
        deadline = time.monotonic() + RESEND_FOR
        while True:
            guard: list[Part] = [self._token(), self._rev]
            calls: list[Call] = [
                (self._scripts[name], [self.keys.meta, self.keys.lease, *keys], [*guard, *args])
                for keys, args in writes
            ]
            if permits:
                calls = [call for pair in zip(permits, calls, strict=True) for call in pair]
            try:
                return self._direct.call_all(*calls, meanwhile=meanwhile)
            except (RedisConnectionError, RedisTimeout) as error:
                if time.monotonic() > deadline:
                    raise StorageError(f"Redis did not answer {name} for {RESEND_FOR:.0f} s: {error}") from error
                time.sleep(0.02)
            except RedisError as error:
                raise StorageError(f"Redis refused {name}: {error}") from error

    def _outcome(self, answer: list[Any]) -> Any:
        outcome, rev = self._checked(answer)
        with self._rev_lock:
            self._rev = max(self._rev, int(rev))
        return outcome.decode()

    @staticmethod
    def _checked(answer: list[Any]) -> tuple[bytes, int]:
        if answer[0] == b"LEASE":
            raise LeaseLost("another router, or none, holds the lease")
        if answer[0] == b"FORGOT":
            raise RedisForgot("Redis is behind what it acknowledged")
        return answer[0], answer[1]


def _raw(body: Any) -> bytes:
    """msgpack of the old form, whose raw strings Lua reads as bytes."""
    packed: bytes = msgpack.packb(body, use_bin_type=False)
    return packed


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _flat(fields: dict[str, order_hash.Value]) -> list[order_hash.Value]:
    return [part for pair in fields.items() for part in pair]


def _split(event: Event) -> list[bytes]:
    """An event's bytes around the numbers that the script puts in: epoch, seq, and a fill's own."""
    wire = event.to_wire()
    size = len(wire) + 2 + (1 if event.fill else 0)
    parts = [b"\xde" + size.to_bytes(2, "big") + _EPOCH, _SEQ, _inside(wire)]
    if event.fill is not None:
        fill = event.fill.to_wire()
        parts[2] += _FILL + b"\xde" + (len(fill) + 1).to_bytes(2, "big") + _SEQ
        parts.append(_inside(fill))
    return parts


def _inside(fields: dict[str, Any]) -> bytes:
    """A map's msgpack without the head that tells its size: one byte up to 15 fields, else three."""
    return _encode(fields)[1 if len(fields) < 16 else 3 :]
