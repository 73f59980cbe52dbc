"""Who gets which frame: joined channels, and the private messages of accounts that have logged in."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from . import frames
from .accounts import Account
from .candles import Candles
from .clock import VenueClock
from .engine.events import BookChanged, Event, OrderEnded, OrderFilled, OrderInserted, TradePrinted
from .engine.exchange import Exchange
from .frame_record import FrameRecord
from .pairs import CURRENCIES, PAIRS
from .session import Session, Topic
from .tape import Tape
from .veils import Veils

BOOK_DEPTH = 100
"""Levels a side in channel `orderbook` (BTCTurk reference, section 4.3)."""
ROOM = 256 * 1024
PRIVATE = "private"
"""Name under which faults know the messages of an account."""
_CHANNELS = ("ticker", "trade", "orderbook", "obdiff")


class Adversary(Protocol):
    """Asked about frames before they are sent; see `faults.Faults`."""

    @property
    def veils(self) -> Veils: ...

    def skips(self, channel: str, event: str, kind: int, account: str = "") -> bool: ...

    def merges(self, account: str) -> bool: ...


class Publisher:
    """Fans frames out to sessions.

    Args:
        exchange, tape, candles, clock: what the frames are made of.
        faults: asked about each frame.
        record: where market frames are noted, those that a fault leaves out too, or None.
    """

    def __init__(
        self,
        exchange: Exchange,
        tape: Tape,
        candles: Candles,
        clock: VenueClock,
        faults: Adversary,
        record: FrameRecord | None = None,
    ) -> None:
        self.sessions: set[Session] = set()
        self.sent: Counter[str] = Counter()
        self._exchange = exchange
        self._tape = tape
        self._candles = candles
        self._clock = clock
        self._faults = faults
        self._record = record
        self._joined: defaultdict[Topic, set[Session]] = defaultdict(set)
        self._users: defaultdict[int, set[Session]] = defaultdict(set)
        self._differences: dict[str, BookChanged] = {}

    def add(self, session: Session) -> None:
        """Take in a new connection and greet it."""
        self.sessions.add(session)
        session.put(frames.hello())

    def remove(self, session: Session) -> None:
        """Forget a connection."""
        self.sessions.discard(session)
        for topic in session.topics:
            self._joined[topic].discard(session)
        if session.account is not None:
            self._users[session.account.id].discard(session)

    def join(self, session: Session, channel: str, event: str) -> bool:
        """Join a channel, answer, and send its first message; False if there is no such channel."""
        if not _exists(channel, event):
            session.put(frames.result(f"join|{channel}:{event}", ok=False))
            return False
        session.topics.add((channel, event))
        self._joined[channel, event].add(session)
        session.put(frames.result(f"join|{channel}:{event}", ok=True))
        self.send_first(session, channel, event)
        return True

    def leave(self, session: Session, channel: str, event: str) -> bool:
        """Leave a channel and answer; False if it was not joined."""
        joined = (channel, event) in session.topics
        session.topics.discard((channel, event))
        self._joined[channel, event].discard(session)
        session.put(frames.result(f"leave|{channel}:{event}", ok=joined))
        return joined

    def login(self, session: Session, account: Account) -> None:
        """From now on the session gets the account's messages."""
        session.account = account
        self._users[account.id].add(session)

    def send_first(self, session: Session, channel: str, event: str) -> None:
        """What a channel begins with. After a book of `obdiff` comes the difference before it, stale as live."""
        if channel == "trade":
            self._put([session], channel, event, 421, frames.trade_list(event, self._tape.latest(event)))
        elif channel == "obdiff":
            self._put([session], channel, event, 431, self._book(channel, event, None))
            if (stale := self._differences.get(event)) is not None:
                self._put([session], channel, event, 432, frames.difference(stale))
        elif channel == "orderbook":
            self._put([session], channel, event, 431, self._book(channel, event, BOOK_DEPTH))
        else:
            self._send_ticker([session], event)

    def record(self, events: Sequence[Event]) -> None:
        """Send what the events mean to those who joined."""
        hints: dict[tuple[int, str], None] = {}
        matches = self._merged(events)
        for event in events:
            if isinstance(event, TradePrinted):
                if joined := self._joined.get(("trade", event.pair)):
                    self._put(joined, "trade", event.pair, 422, frames.trade(event))
            elif isinstance(event, BookChanged):
                self._differences[event.pair] = event
                if joined := self._joined.get(("obdiff", event.pair)):
                    self._put(joined, "obdiff", event.pair, 432, frames.difference(event))
            elif isinstance(event, OrderInserted | OrderFilled | OrderEnded) and self._users.get(event.account):
                self._tell(event, matches)
                hints[event.account, event.pair] = None
        for account, name in hints:
            pair = PAIRS[name]
            frame = frames.balance_changed(account, pair, CURRENCIES[pair.base].id, CURRENCIES[pair.quote].id)
            self._put(self._users[account], PRIVATE, name, 201, frame, self._key(account))

    async def pace(self, interval: float) -> None:
        """Send tickers and full books each `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            for (channel, event), joined in list(self._joined.items()):
                if joined and channel == "orderbook":
                    self._put(joined, channel, event, 431, self._book(channel, event, BOOK_DEPTH))
                elif joined and channel == "ticker":
                    self._send_ticker(joined, event)

    async def room(self) -> None:
        """Return when no session has much waiting."""
        await asyncio.sleep(0)
        while any(session.waiting > ROOM for session in self.sessions):
            await asyncio.sleep(0.001)

    def drop(self, private: bool | None, count: int | None, account: str = "") -> int:
        """Cut sockets: the logged-in ones, the others, or (None) any; with `account`, those of one public key.

        Returns:
            How many were cut.
        """
        found = [one for one in self.sessions if private is None or private == (one.account is not None)]
        if account:
            found = [one for one in found if one.account is not None and one.account.keys.public_key == account]
        for session in found[:count]:
            session.cut()
        return len(found[:count])

    def ticker_items(self) -> list[dict[str, Any]]:
        """Tickers of all pairs that have traded."""
        return [item for pair in PAIRS if (item := self._ticker_item(pair)) is not None]

    def _ticker_item(self, name: str) -> dict[str, Any] | None:
        last = self._exchange.last(name)
        if last is None:
            return None
        day = self._candles.day(name, self._clock.now_ms())
        return frames.ticker_item(PAIRS[name], last, day, *self._exchange.best(name))

    def _send_ticker(self, sessions: Sequence[Session] | set[Session], event: str) -> None:
        if event == "all":
            self._put(sessions, "ticker", event, 401, frames.tickers(self.ticker_items()))
        elif (item := self._ticker_item(event)) is not None:
            self._put(sessions, "ticker", event, 402, frames.ticker(item))

    def _book(self, channel: str, pair: str, depth: int | None) -> str:
        return frames.book(channel, pair, self._exchange.next_number(pair), *self._exchange.book(pair, depth))

    def _merged(self, events: Sequence[Event]) -> dict[int, OrderFilled | None]:
        """Of orders whose matches are told together: the one message, by the identity of the event that it takes."""
        told: dict[int, OrderFilled | None] = {}
        by_order: defaultdict[int, list[OrderFilled]] = defaultdict(list)
        for event in events:
            if isinstance(event, OrderFilled) and self._users.get(event.account):
                by_order[event.order_id].append(event)
        for fills in by_order.values():
            if len(fills) > 1 and self._faults.merges(self._key(fills[0].account)):
                told |= {id(fill): None for fill in fills}
                told[id(fills[-1])] = replace(fills[-1], amount=sum((fill.amount for fill in fills), Decimal(0)))
        return told

    def _tell(self, event: OrderInserted | OrderFilled | OrderEnded, matches: Mapping[int, OrderFilled | None]) -> None:
        pair = PAIRS[event.pair]
        if isinstance(event, OrderInserted):
            self._put_private(event, 451, frames.order_insert(event, pair))
        elif isinstance(event, OrderFilled):
            match = matches.get(id(event), event)
            if match is not None:
                self._put_private(event, 441, frames.order_match(match, pair))
            self._put_private(event, 423, frames.user_trade(event, pair))
        elif event.rested or event.status == "Canceled":
            self._put_private(event, 452, frames.order_delete(event, pair))

    def _put_private(self, event: OrderInserted | OrderFilled | OrderEnded, kind: int, frame: str) -> None:
        account = self._key(event.account)
        shown = self._faults.veils.frame(account, frame, self._clock.monotonic())
        if shown is not None:
            self._put(self._users[event.account], PRIVATE, event.pair, kind, shown, account)

    def _key(self, account: int) -> str:
        return self._exchange.accounts.get(account).keys.public_key

    def _put(
        self,
        sessions: Sequence[Session] | set[Session],
        channel: str,
        event: str,
        kind: int,
        frame: str,
        account: str = "",
    ) -> None:
        if self._record is not None and not account and sessions:
            self._record.note(channel, event, kind, frame)
        if self._faults.skips(channel, event, kind, account):
            return
        self.sent[f"{channel}:{kind}"] += len(sessions)
        for session in sessions:
            session.put(frame)


def _exists(channel: str, event: str) -> bool:
    if channel not in _CHANNELS:
        return False
    return event in PAIRS or (channel == "ticker" and event == "all")
