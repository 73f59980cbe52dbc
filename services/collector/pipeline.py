"""One contract's way from market facts to records: book sync, tick merge, feed state, entry ids."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from tickrouter.config import Recording
from tickrouter.core.book_sync import BookOutcome, BookSync
from tickrouter.core.coverage import CORRECTED, SIDES_TURNED, Ledger
from tickrouter.core.market import BookDiff, BookSnapshot, MarketFact, Refused, TickerSeen, TradeSeen
from tickrouter.core.staleness import Staleness
from tickrouter.core.tick_merge import TickMerge
from tickrouter.model.book import Book
from tickrouter.model.coverage import Claim, Opening, State
from tickrouter.model.feed import Feed, FeedState
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade
from tickrouter.venues.card import Channels

from .item import CLAIM, FEED, OPENING, Item
from .loss import Loss
from .proven import Proven
from .refused_time import RefusedTime
from .session import Session
from .side_check import SideCheck
from .trade_memory import TradeMemory

_NS_PER_MS = 1_000_000
_KINDS_OF: dict[type, str] = {BookDiff: "book", BookSnapshot: "book", TickerSeen: "tick", TradeSeen: "trade"}
"""Class of a fact to the kind of record that shows its channel to be alive."""
ALL = "all"
SILENT = "silent for longer than the card allows"
EARLY_TRADES = 1000
RENEW_NS = 450_000_000
"""How often the ledger is told how far all is well."""


class Pipeline:
    """Used by one reader thread; `session` is set by the sink that holds the lease."""

    def __init__(self, contract: str, recording: Recording, channels: Channels) -> None:
        """Set up, without a session: nothing is recorded before there is one."""
        self.contract = contract
        self.session: Session | None = None
        self.wants_resync = False
        self.wants_trades = True
        """Past trades are to be asked for: at the start, and after a gap; `sides` may want them too."""
        self.sides = SideCheck()
        self.counts: Counter[str] = Counter()
        self._kinds = frozenset(recording.kinds)
        self._levels = recording.levels
        self._book_levels = recording.book_levels
        self._book_interval = recording.book_interval_ms * _NS_PER_MS
        self._merge = TickMerge(contract, recording.levels)
        self._sync = BookSync(channels.book_cut, recording.levels)
        self._staleness = Staleness(channels.stale_after)
        self._trades = TradeMemory()
        self._ledger = Ledger(contract, recording.kinds)
        self._renewed = 0
        # Seen while another collector, or nobody yet, records: they become backfill when it is our turn.
        self._early: deque[Trade] = deque(maxlen=EARLY_TRADES)
        self._states: dict[str, tuple[FeedState, str]] = {ALL: ("down", "not connected yet")}
        self._is_down = True
        # The session that was announced: `session` may change at any moment.
        self._told: Session | None = None
        self._last_seen: int | None = None
        self._lost_since: int | None = None
        self._book_told: tuple[object, object] | None = None
        self._book_time = 0
        self._book_pending = False
        self._refused = RefusedTime()

    def connected(self, now: int) -> None:
        """Every channel was asked for on a new connection."""
        self._sync.reset(now)
        self._staleness.reset(now)

    def disconnected(self, now: int, cause: str, drained: int | None = None) -> list[Item]:
        """The connection is gone: nothing that was known of the book holds any longer.

        Args:
            now: ns since 1970 UTC.
            cause: why.
            drained: when all that had arrived was last known to be read, ns. What was read after that had waited,
                so what is lost may be as old.
        """
        items: list[Item] = []
        self._merge.on_disconnect()
        self._sync.reset(now)
        self._book_pending = False
        if self._lost_since is None:
            self._lost_since = min((time for time in (self._last_seen, drained) if time is not None), default=None)
        self._states = {}
        self._tell(items, "down", cause, ALL, now)
        for kind in self._kinds:
            self._turn(items, kind, "missing", f"no connection: {cause}", now, self._lost_since)
        return items

    def ended(self, now: int) -> list[Item]:
        """The collector ends: the last word to the ledger."""
        return self._claims(self._ledger.stop(now))

    def take(self, facts: Sequence[MarketFact], now: int) -> list[Item]:
        """Take facts of this contract that came together, in their order."""
        items: list[Item] = []
        self._last_seen = now
        if self.session is not self._told or self._is_down:
            self._greet(items, now)
        heard: set[str] = set()
        tickers: list[TickerSeen] = []  # that follow each other
        for fact in facts:  # by exact type, the frequent ones first: isinstance asks the class's own class
            if type(fact) is TickerSeen:
                tickers.append(fact)
                continue
            if tickers:
                self._take_tickers(items, tickers, now, heard)
                tickers = []
            if type(fact) is BookDiff or type(fact) is BookSnapshot:
                if "book" not in heard:
                    self._hear(items, "book", now, heard)
                self._take_book(items, self._sync.apply(fact, now), now, fact.exchange_time)
            elif type(fact) is TradeSeen:
                if "trade" not in heard:
                    self._hear(items, "trade", now, heard)
                self.sides.saw(fact.trade, now)  # the socket's word alone: REST is not to be compared with itself
                self._take_trade(items, fact, now)
            elif type(fact) is Refused:
                self._take_refused(items, fact, now)
        if tickers:
            self._take_tickers(items, tickers, now, heard)
        for what, count in Counter(map(type, facts)).items():
            if (kind := _KINDS_OF.get(what)) is not None:
                self.counts[f"{kind}_facts"] += count
        return items

    def unread(self, fact: Refused, now: int) -> list[Item]:
        """Take a frame of the connection that cannot be read, so that nobody can say whose it was."""
        items: list[Item] = []
        if not self._is_down:  # else all is missing anyway
            self._take_refused(items, fact, now)
        return items

    def passed(self, now: int, drained: int | None = None) -> list[Item]:
        """Time passed: silence, a book crossed for too long, a book record that is due, a word to the ledger.

        Args:
            now: ns since 1970 UTC.
            drained: when all that had arrived was last known to be read, ns; None is now.
        """
        items: list[Item] = []
        self._announce(items, now)
        self._renew(items, now, now if drained is None else drained)
        if self._is_down:
            return items
        for kind, since in self._staleness.check(now):
            if kind in self._kinds:
                self._tell(items, "stale", SILENT, kind, now, since)
                self._turn(items, kind, "unknown", SILENT, now, since)
            if kind == "book" and self._sync.sequence is not None:
                self._sync.reset(since)  # so that a new start is due by now
                self._lose_book(items, "unknown", f"book {SILENT}", since, now)
        self._take_book(items, self._sync.check(now), now, None)
        if self._book_pending:
            self._keep_book(items, now, None)
        return items

    def lost(self, loss: Loss, sink: str, now: int) -> list[Item]:
        """A sink gave up an interval: the stream says so, and the ledger."""
        items: list[Item] = []
        self._announce(items, now)
        if loss.kind != FEED:
            cause = f"{sink}: {loss.count} {loss.kind} records given up"
            self._gap(items, cause, loss.kind, loss.since, now)
            claims = self._ledger.point(loss.kind, "missing", cause, (loss.since, loss.until + 1), now, lost=loss.ids)
            items += self._claims([claim if sink == "mongo" else replace(claim, note="redis") for claim in claims])
        return items

    def past_trades(self, trades: Sequence[Trade], now: int) -> list[Item]:
        """Trades that REST told: they check the socket's sides, and fill what a gap left out."""
        self.sides.compare(trades)
        items: list[Item] = []
        for trade in trades:
            self._take_trade(items, TradeSeen(trade, False), now)
        return items

    def sides_were_wrong(self, now: int) -> list[Item]:
        """What was recorded so far has the sides the other way round: the ledger and the feed are told."""
        items: list[Item] = []
        if "trade" in self._kinds and (since := self.sides.since) is not None:
            items += self._claims(self._ledger.point("trade", "missing", SIDES_TURNED, (since, now + 1), now))
            self._gap(items, SIDES_TURNED, "trade", since, now)
        self.sides.settle("wrong")
        return items

    def proven(self, found: Proven, now: int) -> list[Item]:
        """A hole among trades is closed, as the venue's ids prove: the ledger and the feed are told."""
        items = self._claims(self._ledger.point("trade", "backfilled", found.cause, (found.start, found.end), now))
        if items:
            told = Feed(now, self._standing("trade")[0], found.cause, self.contract, "trade", found.start)
            self._add(items, FEED, told, now)
        return items

    def _standing(self, kind: str) -> tuple[FeedState, str]:
        return self._states.get(kind) or self._states[ALL]

    def status(self) -> dict[str, Any]:
        """What the state file shows."""
        states = dict(self._states)
        state, cause = states.pop(ALL)
        bid, ask = self._merge.best
        return {
            "feed": state,
            "cause": cause,
            "kinds": {kind: value[0] for kind, value in sorted(states.items())},
            "book": "good" if self._sync.is_good else "not good",
            "session": self.session.number if self.session else None,
            "price": self._merge.last_price,
            "bid": bid,
            "ask": ask,
            "last_seen": self._last_seen,
            "counts": dict(sorted(dict(self.counts).items())),
        }

    def _greet(self, items: list[Item], now: int) -> None:
        """The first fact after a connect: the feed is live, and what lies between is missing."""
        self._announce(items, now)
        if not self._is_down:
            return
        since, self._lost_since = self._lost_since, None
        if since is None:
            self._tell(items, "live", "connected", ALL, now)
        else:
            self._states[ALL] = "live", "connected again"
            self._is_down = False
            self._gap(items, "no connection", ALL, since, now)
            self.wants_trades = True
        for kind in self._kinds:
            if kind != "book":
                self._turn(items, kind, "live", "connected", now)

    def _announce(self, items: list[Item], now: int) -> None:
        """A new session begins by saying what is missing before it and how things stand."""
        session, before = self.session, self._told
        self._told = session
        if session is None and before is not None:
            self._speak(items, self._ledger.stop(now))
        if session is None or session is before:
            return
        is_first = before is None
        self._book_told, self._book_pending = None, self._sync.is_good
        if is_first:
            opening = Opening(now, self.contract, session.number, tuple(sorted(self._kinds)), session.alive)
            items.append(Item(self.contract, OPENING, None, opening))
        self._speak(items, self._ledger.begin(session.number, now))
        if is_first and session.ended_ms:
            self._gap(items, "the collector was not running", ALL, session.ended_ms * _NS_PER_MS, now)
        while self._early:
            self._backfill(items, self._early.popleft())
        for kind, (state, cause) in list(self._states.items()):
            self._add(items, FEED, Feed(now, state, cause, self.contract, kind), now)

    def _hear(self, items: list[Item], kind: str, now: int, heard: set[str]) -> None:
        """The first fact of a kind among those that came together."""
        heard.add(kind)
        if (since := self._staleness.seen(kind, now)) is not None and kind in self._kinds:
            if kind == "book" and not self._sync.is_good:
                self._tell(items, "resync", "heard again, without a good book yet", kind, now, since)
                return
            self._tell(items, "live", "heard again", kind, now, since)
            self._turn(items, kind, "live", "heard again", now)

    def _take_tickers(self, items: list[Item], tickers: Sequence[TickerSeen], now: int, heard: set[str]) -> None:
        if "tick" not in heard:
            self._hear(items, "tick", now, heard)
        self._keep_ticks(items, self._merge.on_tickers(tickers, now), now)

    def _take_trade(self, items: list[Item], fact: TradeSeen, now: int) -> None:
        trade = fact.trade
        if not self._trades.is_news(trade.trade_id, live=fact.live):
            self.counts["trades_repeated"] += 1
            return
        if "trade" in self._kinds:
            if self._told is None:
                self._early.append(trade)
            elif fact.live:
                self._add(items, "trade", trade, now)
            else:
                self._backfill(items, trade)
        if not fact.live:
            self._merge.on_past_trade(trade)
        elif (tick := self._merge.on_trade(trade, now)) is not None:
            self._keep_ticks(items, (tick,), now)

    def _backfill(self, items: list[Item], trade: Trade) -> None:
        self.counts["trades_backfilled"] += 1
        items.append(Item(self.contract, "trade", None, replace(trade, source="backfill")))

    def _take_book(self, items: list[Item], outcome: BookOutcome, now: int, exchange_time: int | None) -> None:
        # What made it invalid may have been lost since it was last in step; ticks are made from the book too.
        since = outcome.since or now
        if outcome.invalidated is not None:
            self._tell(items, "resync", outcome.invalidated, "book", now)
            cause = f"book invalid: {outcome.invalidated}"
            self._turn(items, "book", "missing", cause, now, since)
            self._lose_book(items, "missing", cause, since, now)
        if outcome.corrected:
            self.counts["book_corrected"] += 1
            for kind in ("book", "tick"):
                items += self._claims(self._ledger.point(kind, "missing", CORRECTED, (since, now), now))
            self._gap(items, CORRECTED, "book", since, now)
        if outcome.resync:
            self.wants_resync = True
        if not self._sync.is_good:
            self._merge.on_book_lost()  # a crossed one is held back: no trade's tick is to have the levels before
        if not outcome.changed:
            return
        if "book" not in self._states or self._states["book"][0] != "live":
            self._tell(items, "live", "book complete", "book", now)
            self._turn(items, "book", "live", "book complete", now)
        bids, asks = self._sync.top(self._levels)
        if (tick := self._merge.on_book(bids, asks, now, exchange_time, self._sync.flags)) is not None:
            self._keep_ticks(items, (tick,), now)
        self._keep_book(items, now, exchange_time)

    def _lose_book(self, items: list[Item], state: State, cause: str, since: int, now: int) -> None:
        """The book is good no longer, and was not since; ticks of other causes were told with its levels meanwhile."""
        self.counts["book_invalidated"] += 1
        self._merge.on_book_lost()
        self._book_pending = False
        items += self._claims(self._ledger.point("tick", state, cause, (since, now + 1), now))

    def _keep_book(self, items: list[Item], now: int, exchange_time: int | None) -> None:
        if "book" not in self._kinds:
            return
        is_early = now - self._book_time < self._book_interval
        self._book_pending = is_early or not self._sync.is_good or not self._sync.is_read
        if self._book_pending:
            return
        levels = self._sync.top(self._book_levels)
        if levels != self._book_told:
            self._book_told, self._book_time = levels, now
            book = Book(now, *levels, self.contract, self._sync.sequence, exchange_time, self._sync.flags)
            self._add(items, "book", book, now)

    def _keep_ticks(self, items: list[Item], ticks: Sequence[Tick], now: int) -> None:
        if ticks and "tick" in self._kinds:
            self._add_all(items, "tick", ticks, now)

    def _take_refused(self, items: list[Item], fact: Refused, now: int) -> None:
        self.counts[fact.kind] += 1
        if self._told is not None and (hole := self._refused.hole(fact, now)) is not None:
            self._gap(items, hole.cause, ALL, now, now)
            for kind in self._kinds:
                items += self._claims(self._ledger.point(kind, hole.state, hole.cause, (hole.start, hole.end), now))

    def _gap(self, items: list[Item], cause: str, kind: str, since: int, now: int) -> None:
        """Say that records are missing, and how the feed stands since."""
        self._add(items, FEED, Feed(now, "gap", cause, self.contract, kind, since), now)
        state, standing = self._standing(kind)
        self._add(items, FEED, Feed(now, state, standing, self.contract, kind), now)

    def _tell(
        self, items: list[Item], state: FeedState, cause: str, kind: str, now: int, since: int | None = None
    ) -> None:
        self._states[kind] = state, cause
        if kind == ALL:
            self._is_down = state == "down"
        self._add(items, FEED, Feed(now, state, cause, self.contract, kind, since), now)

    def _add(self, items: list[Item], kind: str, record: Trade | Book | Feed, now: int) -> None:
        self._add_all(items, kind, (record,), now)

    def _add_all(self, items: list[Item], kind: str, records: Sequence[Tick | Trade | Book | Feed], now: int) -> None:
        session = self._told
        if session is not None:
            self.counts[kind] += len(records)
            ids = session.ids[kind].take(len(records), now)
            self._ledger.stored(kind, ids[0], ids[-1], len(ids))
            items += [Item(self.contract, kind, one, record) for one, record in zip(ids, records, strict=True)]

    def _renew(self, items: list[Item], now: int, drained: int) -> None:
        if now - self._renewed >= RENEW_NS or now < self._renewed:
            self._renewed = now
            self._speak(items, self._ledger.renew(drained))

    def _turn(self, items: list[Item], kind: str, state: State, cause: str, now: int, since: int | None = None) -> None:
        self._speak(items, self._ledger.turn(kind, state, cause, now, since))

    def _speak(self, items: list[Item], claims: list[Claim]) -> None:
        if any(not claim.is_open for claim in claims):  # what is told behind it holds over holes told before
            self._refused.forget()
        items += self._claims(claims)

    def _claims(self, claims: list[Claim]) -> list[Item]:
        return [Item(self.contract, CLAIM, None, claim) for claim in claims]
