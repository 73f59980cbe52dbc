"""Broken routers: each does one thing wrong that the order protocol forbids, and must be caught by the proofs.

A twin is made in the forked child, by replacing a function of the real router; the product knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any


def journal_after_sending() -> None:
    """The step `sending` is written when the answer is back, together with what it says."""
    from services.router.lane import Lane
    from tickrouter.bus.journal import Journal
    from tickrouter.core.facts import Sending
    from tickrouter.core.order_life import Change

    real_apply, real_admit = Lane.apply, Journal.admit_sending
    held: dict[str, tuple[Any, Sending]] = {}

    def admit_sending(self: Any, leaving: Any, **given: Any) -> Any:
        for one in leaving:
            order, before = one.change.order, one.change.before
            held[order.client_oid] = before, Sending(order.stamp, order.digest)
        unsent = [replace(one, change=Change(one.change.before, one.change.before, ())) for one in leaving]
        return real_admit(self, unsent, **given)

    def apply(self: Any, fact: Any, **given: Any) -> Any:
        if isinstance(fact, Sending):
            held[self.order.client_oid] = self.order, fact
            return "DONE"
        late = held.pop(self.order.client_oid, None)
        if late is not None:
            self.order, sending = late
            real_apply(self, sending)
        return real_apply(self, fact, **given)

    Journal.admit_sending = admit_sending
    Lane.apply = apply


def sign_again_on_waking() -> None:
    """The request is signed when it leaves, not before it is journaled: a router that slept sends a fresh stamp."""
    from services.router.venue_link import VenueLink

    real = VenueLink.exchange

    def exchange(self: Any, request: Any, *rest: Any) -> Any:
        if request.method == "POST":
            fresh = self.adapter._signer.headers(self.clock.stamp() // 1_000_000)
            request = replace(request, headers={**request.headers, **fresh})
        return real(self, request, *rest)

    VenueLink.exchange = exchange


def resend_on_timeout() -> None:
    """A request without an answer is sent once more, as HTTP libraries like to do."""
    from services.router.venue_link import VenueLink
    from tickrouter.errors import AmbiguousError

    real = VenueLink.exchange

    def exchange(self: Any, request: Any, *rest: Any) -> Any:
        try:
            return real(self, request, *rest)
        except AmbiguousError:
            return real(self, request, *rest)

    VenueLink.exchange = exchange


def absence_believed_at_once() -> None:
    """What no source shows was never placed: no quiet window."""
    import services.router.resolver as resolver
    from tickrouter.core.recovery import SECOND

    real = resolver.judge

    def judge(order: Any, evidence: Any, proof: Any) -> Any:
        return real(order, evidence, replace(proof, tolerance=0, lag=-3600 * SECOND))

    resolver.judge = judge


def no_epoch() -> None:
    """Whatever Redis holds is taken for the truth."""
    import services.router.epochs as epochs
    from tickrouter.bus.journal import Journal
    from tickrouter.bus.scripts import Script
    from tickrouter.errors import RedisForgot

    real_enter, real_call = epochs.Epochs.enter, Script.call

    def enter(self: Any, journal: Any) -> Any:
        meta = journal.meta()
        if not meta.epoch:
            return real_enter(self, journal)
        journal.go_on(meta)
        return epochs.Entered(meta.epoch, False, 0, 0)

    def call(self: Any, redis: Any, keys: Any, args: Any) -> Any:
        try:
            return real_call(self, redis, keys, args)
        except RedisForgot:
            self.load(redis)
            return real_call(self, redis, keys, args)

    epochs.Epochs.enter = enter
    Script.call = call
    Journal._rev = property(lambda _self: -1, lambda _self, _value: None)


def fence_by_counter() -> None:
    """The lease's token is a counter in Redis: after Redis forgot, an old holder's number is given out again."""
    from tickrouter.bus.lease import Lease

    def acquire(self: Any) -> bool:
        counter = f"fence:{self._key}"
        token = str(int(self._redis.get(counter) or 0) + 1)
        if not self._redis.set(self._key, token, nx=True, px=self.milliseconds):
            return False
        self._redis.set(counter, token)
        self.token = token
        return True

    Lease.acquire = acquire


def leave_what_another_took() -> None:
    """Whoever has the lease reads what is new in the queue, and nothing that a router took which had lost it."""
    import services.router.intake as intake

    intake.LOOK_BACK = float("inf")


TWINS: Mapping[str, Callable[[], None]] = {
    "journal after sending": journal_after_sending,
    "sign again on waking": sign_again_on_waking,
    "resend on timeout": resend_on_timeout,
    "absence believed at once": absence_believed_at_once,
    "no epoch": no_epoch,
    "fence by counter": fence_by_counter,
    "leave what another took": leave_what_another_took,
}
