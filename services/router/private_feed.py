"""The venue's private socket: executions as they happen, and hints where to look."""

from __future__ import annotations

import random

from tickrouter import logs
from tickrouter.core.facts import VenueFill, VenueOrder
from tickrouter.errors import SocketClosed, Unreadable
from tickrouter.transport.socket import Socket
from tickrouter.venues.trading import Hint, LoggedIn

from .balances import Balances
from .desk import Desk
from .tracker import Tracker
from .venue_link import Stopped

CONNECT = "CONNECT socket"
"""Endpoint by which connections are counted."""
CONNECT_TIMEOUT = 5.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two connections: doubled, with chance, so as to stay inside the venue's limit."""
HEARD = 0.25
"""Seconds of waiting after which the end of the tenure is noticed."""


class PrivateFeed:
    """Listens; without a key for the socket, polling alone finds the fills."""

    def __init__(self, desk: Desk, url: str, tracker: Tracker, balances: Balances) -> None:
        self._desk = desk
        self._url = url
        self._tracker = tracker
        self._balances = balances
        self._log = logs.get("private_feed")
        self.state = "down"

    def run(self) -> None:
        """Until the tenure ends: connect, log in, listen, and again."""
        if self._desk.venue.adapter.login(0) is None:
            self.state = "off"
            self._log.warning("no key for the private socket: fills are found by polling, later than they could be")
            return
        pause = FIRST_PAUSE
        while not self._desk.stop.is_set():
            try:
                self._listen()
                pause = FIRST_PAUSE
            except Stopped:
                return
            except SocketClosed as error:
                if self.state == "live":
                    pause = FIRST_PAUSE
                self.state = "down"
                self._log.warning("private socket is down", error=str(error), again_in=pause)
            self._desk.stop.wait(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _listen(self) -> None:
        grant = self._desk.venue.needed(CONNECT)
        try:
            socket = Socket.connect(self._url, CONNECT_TIMEOUT)
        finally:
            self._desk.venue.give_back(grant)
        try:
            socket.send(self._desk.venue.adapter.login(self._desk.venue.clock.now()) or "")
            while not self._desk.stop.is_set():
                frame = socket.recv(HEARD)
                if frame is not None:
                    self._desk.guarded(self._take, frame)
        finally:
            socket.close()

    def _take(self, frame: bytes) -> None:
        try:
            facts = self._desk.venue.adapter.read_private(frame)
        except Unreadable as error:
            self._desk.count("unreadable_private_frames")
            self._log.error("unreadable private frame", error=str(error), frame=frame[:500])
            return
        for fact in facts:
            if isinstance(fact, VenueFill):
                if not self._tracker.executed(fact, "private message"):
                    self._desk.count("foreign_executions")
                self._balances.soon()
            elif isinstance(fact, VenueOrder):
                self._tracker.seen(fact, "private message")
            elif isinstance(fact, Hint):
                self._hint(fact)
            elif isinstance(fact, LoggedIn):
                self._logged_in(fact)

    def _hint(self, hint: Hint) -> None:
        if hint.exchange_oid is None:
            self._balances.soon()
            return
        lane = self._desk.lane_of(hint.exchange_oid)
        if lane is not None and not lane.order.is_done:
            # The execution itself usually follows within moments and makes the look needless.
            self._tracker.look(lane, 0.1)

    def _logged_in(self, fact: LoggedIn) -> None:
        self.state = "live" if fact.ok else "refused"
        if fact.ok:
            self._log.info("private socket is live")
            # What happened while nobody listened is not repeated.
            self._tracker.sweep()
        else:
            self._log.error(
                "the private socket refused the login; it needs a key of the WebSocket kind", text=fact.text
            )
