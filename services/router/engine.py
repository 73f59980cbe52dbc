"""One account from lease to lease: take it, recover, route, and when it is lost or Redis forgot, begin again."""

from __future__ import annotations

import threading
from typing import Any

from tickrouter import logs
from tickrouter.bus.connection import Redis
from tickrouter.bus.journal import Journal, Meta
from tickrouter.bus.keys import AccountKeys
from tickrouter.bus.lease import Lease
from tickrouter.bus.permits import Permits
from tickrouter.clock import Clock
from tickrouter.config import Config
from tickrouter.core.facts import Forgotten, Interrupted
from tickrouter.core.recovery import SECOND, Proof
from tickrouter.errors import StorageError, TickrouterError, VenueError
from tickrouter.history.orders import highest_epoch, last_halt
from tickrouter.model.account import Account
from tickrouter.model.event import Event, Reason
from tickrouter.model.order import Status
from tickrouter.transport.http import HttpClient
from tickrouter.venues.registry import trading_adapter

from .balances import Balances
from .desk import Desk
from .intake import Intake
from .lane import Lane
from .private_feed import PrivateFeed
from .resolver import Resolver
from .sender import Sender
from .tracker import Tracker
from .venue_link import Stopped, VenueLink
from .works import Work, Works

RETRY = 0.2
"""Seconds between two tries to take the lease."""
SYMBOLS_TRIES = 3
MARGIN = 5.0
"""Seconds that a request may take beyond its timeout to reach the venue."""
CLOCK_EVERY = 60.0
"""Seconds between two measurements of the venue's clock."""


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
        self._desk: Desk | None = None
        self._feed: PrivateFeed | None = None
        self._highest_epoch = 0
        self._highest_rev = 0
        self.state = "starting"
        self.said = ""
        """The last thing that a person should know."""
        self._log = logs.get("engine").bind(account=str(account))

    def run(self) -> None:
        """Until `stop`: route whenever the lease can be had."""
        lease = Lease(self._redis, AccountKeys(str(self.account)).lease, self._config.router.lease_ms)
        while not self._stop.is_set():
            try:
                if not lease.acquire():
                    self._say("standby", "another router holds the lease")
                    self._stop.wait(RETRY)
                    continue
                self._tenure(lease)
            except TickrouterError as error:
                self._say("waiting", str(error))
                self._log.error("routing interrupted", error=str(error))
                self._stop.wait(RETRY)
        self.state = "stopped"

    def stop(self) -> None:
        """End soon; what is under way at the venue comes back first."""
        self._stop.set()
        if self._desk is not None:
            self._desk.stop.set()

    def status(self) -> dict[str, Any]:
        """For the live view and for people."""
        desk = self._desk
        status: dict[str, Any] = {"state": self.state, "said": self.said, "epoch": self._highest_epoch}
        if desk is not None and not desk.stop.is_set():
            lanes = [lane.order for lane in desk.open_lanes()]
            status["open"] = len(lanes)
            status["in_doubt"] = sum(order.status is Status.IN_DOUBT for order in lanes)
            status["counts"] = dict(desk.counts)
            status["private_feed"] = self._feed.state if self._feed else "down"
            try:
                status["permits"] = {rule: list(used) for rule, used in desk.venue.permits_used().items()}
            except StorageError:
                status["permits"] = {}
        return status

    # --- one tenure

    def _tenure(self, lease: Lease) -> None:
        stop = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(lease, stop), name=f"lease-{self.account}", daemon=True)
        renewing.start()
        journal = Journal(self._redis, str(self.account), lambda: lease.token)
        desk: Desk | None = None
        try:
            self._say("recovering", "")
            journal.prepare()
            opened = self._open(journal)
            desk = self._desk = self._new_desk(journal, stop)
            self._route(desk, opened)
            if desk.failure is not None:
                raise desk.failure
        finally:
            stop.set()
            if desk is not None:
                desk.close()
            self._highest_rev = max(self._highest_rev, journal.rev)
            renewing.join()
            try:
                lease.release()
            except StorageError as error:
                self._log.warning("lease not given up", error=str(error))

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

    def _open(self, journal: Journal) -> int | None:
        """Go on in the epoch that is open, or open a new one; the time of its opening, ns, if it is new."""
        meta = journal.meta()
        run_id = journal.run_id()
        whole = meta.epoch > 0 and meta.run_id == run_id and meta.rev >= self._highest_rev
        copied_epoch = highest_epoch(self._mongo, str(self.account)) if not whole else 0
        if whole and meta.epoch >= self._highest_epoch:
            journal.go_on(meta)
            self._highest_epoch = meta.epoch
            return None
        return self._new_epoch(journal, meta, run_id, copied_epoch)

    def _new_epoch(self, journal: Journal, meta: Meta, run_id: str, copied_epoch: int) -> int:
        now = self._clock.now()
        before = max(meta.epoch, copied_epoch, self._highest_epoch)
        first = before == 0
        text = "first" if first else f"Redis was restarted or forgot; last known {meta.epoch}-{meta.seq}"
        event = Event(self.account, "epoch", now, reason=Reason("epoch", text), alarm=None if first else "redis_forgot")
        halt = "run" if first else last_halt(self._mongo, str(self.account)) or "run"
        journal.open_epoch(before + 1, run_id, event, halt)
        self._highest_epoch, self._highest_rev = before + 1, journal.rev
        self._log.warning("epoch opened", epoch=before + 1, why=text)
        return now

    def _new_desk(self, journal: Journal, stop: threading.Event) -> Desk:
        config, venue = self._config, self.account.venue
        card = config.card(venue)
        name = str(self.account)
        permits = Permits(
            self._redis,
            venue,
            card.rules,
            account=name,
            ip=config.router.egress,
            held=config.router.request_timeout + MARGIN,
        )
        http = HttpClient(venue, timeout=config.router.request_timeout, connections=config.router.workers + 16)
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
            router=config.router,
            journal=journal,
            redis=self._redis,
            market_redis=self._market_redis,
            venue=VenueLink(adapter, http, permits, self._clock, stop),
            proof=proof,
            clock=self._clock,
            stop=stop,
        )

    def _route(self, desk: Desk, opened: int | None) -> None:
        works = Works(desk)
        tracker = Tracker(desk, works)
        sender = Sender(desk, tracker, works)
        intake = Intake(desk, sender, tracker, works, self._denial())
        balances = Balances(desk)
        self._feed = PrivateFeed(desk, self._config.card(self.account.venue).hosts.socket, tracker, balances)
        self._learn(desk)
        lanes = [desk.add(order) for order in desk.journal.open_orders()]
        for lane in lanes:
            self._take_up(lane, opened, sender, tracker)
        for command, data in desk.journal.work().items():
            work = Work.from_bytes(command, data)
            targets = [lane for lane in map(desk.lane, sorted(work.waiting)) if lane is not None]
            intake.start(work, targets)
        tracker.sweep()
        parts = {
            "intake": intake.run,
            "places": sender.run_places,
            "cancels": sender.run_cancels,
            "returns": desk.venue.run_returns,
            "tracker": tracker.run,
            "resolver": Resolver(desk).run,
            "feed": self._feed.run,
            "balances": balances.run,
            "clock": lambda: self._keep_time(desk),
        }
        threads = [
            threading.Thread(target=self._part, args=(desk, run), name=f"{part}-{self.account}", daemon=True)
            for part, run in parts.items()
        ]
        self._say("routing", f"{len(lanes)} open orders taken up")
        for thread in threads:
            thread.start()
        while not desk.stop.wait(0.5):
            if self._stop.is_set():
                break
        desk.stop.set()
        sender.wake()
        for thread in threads:
            thread.join(timeout=5)

    @staticmethod
    def _part(desk: Desk, run: Any) -> None:
        try:
            run()
        except Stopped:
            pass
        except Exception as error:
            desk.fail(error if isinstance(error, TickrouterError) else StorageError(f"a part failed: {error!r}"))
            if not isinstance(error, TickrouterError):
                logs.get("engine").exception("a part of the router failed")

    def _take_up(self, lane: Lane, opened: int | None, sender: Sender, tracker: Tracker) -> None:
        """Go on with an order that an earlier tenure left, as its journal shows it."""
        order = lane.order
        if opened is not None and not order.status.is_final:
            lane.apply(Forgotten(opened))
        elif order.status is Status.PENDING_NEW and order.stamp is not None:
            lane.apply(Interrupted())
        elif order.status is Status.PENDING_NEW:
            sender.place(lane)
        elif order.exchange_oid is not None:
            tracker.look(lane)

    def _denial(self) -> Reason | None:
        mode = self._config.accounts[str(self.account)].mode
        if mode == "live" or self._config.is_local(self.account.venue):
            return None
        return Reason(
            "paper", f"{self.account} is of mode paper and the venue is a live one; write mode: live to trade"
        )

    def _learn(self, desk: Desk) -> None:
        """The venue's clock and contracts; without them routing begins all the same, and they are asked again."""
        try:
            desk.venue.measure_clock()
            desk.venue.adapter.learn(
                desk.venue.ask(lambda _stamp: desk.venue.adapter.symbols(), desk.venue.adapter.read_symbols)
            )
        except VenueError as error:
            self._log.warning("the venue's clock and contracts were not read", error=str(error))

    def _keep_time(self, desk: Desk) -> None:
        while not desk.stop.wait(CLOCK_EVERY):
            self._learn(desk)

    def _say(self, state: str, said: str) -> None:
        if (state, said) != (self.state, self.said):
            self._log.info(state, said=said)
        self.state, self.said = state, said
