"""One account from lease to lease: take it, recover, route, and when it is lost or Redis forgot, begin again."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from tickrouter import logs
from tickrouter.bus.connection import Redis
from tickrouter.bus.controls import RUN
from tickrouter.bus.journal import Journal
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.lease import Lease
from tickrouter.bus.permits import Permits
from tickrouter.clock import Clock
from tickrouter.config import Config
from tickrouter.core.recovery import SECOND, Proof
from tickrouter.errors import StorageError, TickrouterError
from tickrouter.history.orders import is_unused, last_halt, last_rules
from tickrouter.model.account import Account
from tickrouter.model.order import Status
from tickrouter.transport.http import HttpClient
from tickrouter.venues.registry import trading_adapter

from .alarms import Alarms
from .controls import Told
from .desk import Desk
from .epochs import Entered, Epochs
from .parts import Parts
from .venue_link import VenueLink

RETRY = 0.2
"""Seconds between two tries to take the lease."""
FAULT_PAUSE = 1.0
"""Seconds until routing begins again that ended by a fault of the program itself."""
MARGIN = 5.0
"""Seconds that a request may take beyond its timeout to reach the venue."""


class Engine:
    """Routes one account."""

    def __init__(
        self, config: Config, account: Account, *, redis: Redis, market_redis: Redis, mongo: Any, clock: Clock
    ) -> None:
        self._config = config
        self.account = account
        self._redis = redis
        self._market_redis = market_redis
        self._mongo = mongo
        self._clock = clock
        self._stop = threading.Event()
        self._alarms = Alarms(config.alarm_url)
        self._epochs = Epochs(account, mongo, clock, self._alarms)
        self._permits = self._make_permits()
        self._desk: Desk | None = None
        self._parts: Parts | None = None
        self._unsigned: frozenset[str] = frozenset()
        self._told = Told()
        self.state = "starting"
        self.said = ""
        """The last thing that a person should know."""
        self._log = logs.get("engine").bind(account=str(account))

    def run(self) -> None:
        """Until `stop`: route whenever the lease can be had."""
        self._told = self._last_told()
        lease = Lease(self._redis, AccountKeys(str(self.account)).lease, self._config.router.lease_ms)
        while not self._stop.is_set():
            try:
                if not lease.acquire():
                    self._say("standby", "another router holds the lease")
                    self._stop.wait(min(RETRY, lease.milliseconds / 4000))
                    continue
                self._tenure(lease)
            except TickrouterError as error:
                self._say("waiting", str(error))
                self._log.error("routing interrupted", error=str(error))
                self._stop.wait(min(RETRY, lease.milliseconds / 4000))
            except Exception as error:
                # A defect of ours: the next tenure may fare better, and a person sees why this one ended.
                self._say("waiting", repr(error))
                self._log.exception("routing failed")
                self._stop.wait(FAULT_PAUSE)
        self.state = "stopped"

    def stop(self) -> None:
        """End soon; what is under way at the venue comes back first."""
        self._stop.set()
        if self._desk is not None:
            self._desk.stop.set()

    def status(self) -> dict[str, Any]:
        """For the live view and for people."""
        desk, parts = self._desk, self._parts
        status: dict[str, Any] = {"state": self.state, "said": self.said, "epoch": self._epochs.highest}
        status["alarms"] = self._alarms.count
        if desk is None or parts is None or desk.stop.is_set():
            return status
        orders = [lane.order for lane in desk.open_lanes()]
        status["open"] = len(orders)
        status["in_doubt"] = sum(order.status is Status.IN_DOUBT for order in orders)
        status["counts"] = dict(desk.counts)
        status["private_feed"] = parts.feed.state
        status["halt"] = parts.controls.halt
        status["clock_offset_ms"] = desk.venue.clock.offset / 1e6
        try:
            status["permits"] = {rule: list(used) for rule, used in desk.venue.permits_used().items()}
        except StorageError:
            status["permits"] = {}
        return status

    def _tenure(self, lease: Lease) -> None:
        stop = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(lease, stop), name=f"lease-{self.account}", daemon=True)
        renewing.start()
        token = lease.token  # of this tenure: a thread of an earlier one that comes late must not write in it
        journal = Journal(self._redis, str(self.account), lambda: token)
        desk: Desk | None = None
        try:
            self._say("recovering", "")
            journal.prepare()
            epoch = self._epochs.enter(journal)
            desk = self._desk = self._new_desk(journal, stop, epoch)
            parts = self._parts = Parts(desk, self._config, self._mongo, told=self._told)
            taken_up = parts.take_up()
            self._say("routing", f"{taken_up} open orders taken up")
            if not self._stop.is_set():
                parts.run()
            self._told = parts.controls.told
            if desk.failure is not None:
                raise desk.failure
        finally:
            stop.set()
            if desk is not None:
                desk.close()
                self._unsigned = desk.never_signed()
            self._epochs.leave(journal)
            renewing.join()
            try:
                lease.release()
            except StorageError as error:
                self._log.warning("lease not given up", error=str(error))

    def _last_told(self) -> Told:
        """What operators said while a router ran, as MongoDB's copy has it: what they said since is to be told."""
        name = str(self.account)
        try:
            halt, rules = last_halt(self._mongo, name), last_rules(self._mongo, name)
        except StorageError as error:
            self._log.warning("nobody knows what was told of halt and rules", error=str(error))
            return Told()
        set_rules = {rule: said.word for rule, said in rules.items() if said.word is not None}
        return Told((halt.word if halt is not None else None) or RUN, set_rules)

    def _renew(self, lease: Lease, stop: threading.Event) -> None:
        """A holder that finds another's token, or none, or cannot look for as long as a lease holds, stops."""
        period = lease.milliseconds / 3000
        renewed = self._clock.monotonic()
        while not stop.wait(period):
            try:
                if lease.renew():
                    renewed = self._clock.monotonic()
                    continue
                self._log.error("the lease is lost")
            except StorageError as error:
                if self._clock.monotonic() - renewed < lease.milliseconds / 1000:
                    continue
                self._log.error("the lease could not be renewed in time", error=str(error))
            stop.set()

    def _make_permits(self) -> Permits:
        """One for all tenures: what it was granted shows whether Redis forgot."""
        venue, router = self.account.venue, self._config.router
        return Permits(
            self._redis,
            venue,
            self._config.card(venue).rules,
            account=str(self.account),
            ip=router.egress,
            unused=partial(is_unused, self._mongo, venue),
            held=router.request_timeout + MARGIN,
        )

    def _new_desk(self, journal: Journal, stop: threading.Event, epoch: Entered) -> Desk:
        config, venue = self._config, self.account.venue
        card, router = config.card(venue), config.router
        name = str(self.account)
        self._permits.prepare()
        http = HttpClient(venue, timeout=router.request_timeout, connections=router.workers + 16)
        keys = config.keys(self.account)
        adapter = trading_adapter(card, key=keys.rest, socket_key=keys.socket)
        proof = Proof(
            int(card.capabilities.stamp_tolerance * SECOND),
            int(card.capabilities.visibility_lag * SECOND),
            card.capabilities.sources,
        )
        return Desk(
            account=self.account,
            config=config.accounts[name],
            router=router,
            journal=journal,
            redis=self._redis,
            market_redis=self._market_redis,
            venue=VenueLink(adapter, http, self._permits, self._clock, stop),
            proof=proof,
            clock=self._clock,
            stop=stop,
            alarms=self._alarms,
            epoch=epoch,
            unsigned=self._unsigned,
        )

    def _say(self, state: str, said: str) -> None:
        if (state, said) != (self.state, self.said):
            self._log.info(state, said=said)
        self.state, self.said = state, said
