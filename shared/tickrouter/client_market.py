"""The market half of the client: live ticks, trades and books, and history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeVar, overload

from tickrouter.bus.codec import unpack_record
from tickrouter.bus.keys import MarketKeys
from tickrouter.bus.subscribe import last_entry
from tickrouter.client_base import ClientBase
from tickrouter.errors import InvalidValue
from tickrouter.history import queries
from tickrouter.history.bar_query import Bars
from tickrouter.history.complete import require_whole
from tickrouter.history.queries import History
from tickrouter.model.book import Book
from tickrouter.model.contract import Contract
from tickrouter.model.feed import Feed
from tickrouter.model.moment import Moment, nanoseconds
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade
from tickrouter.tape.market import MarketTape, Store
from tickrouter.tape.store import MarketStore, NoStore

R = TypeVar("R", bound=Tick | Trade | Book)

_KINDS = {"tick": "tick", "trade": "trade", "book": "book", "ticks": "tick", "trades": "trade", "books": "book"}
_KINDS |= {"bar": "bar", "bars": "bar"}


class MarketClient(ClientBase):
    """Market data of any contract that is recorded."""

    def ticks(self, contract: str, since: Moment | None = None, *, block: float | None = None) -> Iterator[Tick | Feed]:
        """Ticks of a contract from a moment on: history, then live, as one tape without hole or repeat.

        A client with the `prefix` of a replay gets the replay's: those of its stream alone, from a moment of the past.

        Args:
            contract: any accepted name, e.g. `btcturk/btc.usdt`.
            since: first receive time: ns since 1970 UTC, ISO text, or a datetime (UTC where it has no zone); 0 is
                everything; None is what comes from now on, which needs no MongoDB.
            block: end when nothing came for that many seconds; None never ends.

        Yields:
            Ticks in the order of the stream. Where records are missing in Redis and MongoDB both, a `Feed` with
            state `gap` stands in their place; `since` and `time` are its ends, `cause` says what is known.

        Raises:
            InvalidValue: no such name or moment.
            StorageError: MongoDB did not answer at the beginning, or Redis did not for 30 s.
        """
        return self._tape(Tick, "tick", contract, since, block)

    def trades(
        self, contract: str, since: Moment | None = None, *, block: float | None = None
    ) -> Iterator[Trade | Feed]:
        """Public trades of a contract; all else as `ticks`."""
        return self._tape(Trade, "trade", contract, since, block)

    def books(self, contract: str, since: Moment | None = None, *, block: float | None = None) -> Iterator[Book | Feed]:
        """Order books of a contract; all else as `ticks`."""
        return self._tape(Book, "book", contract, since, block)

    def last_tick(self, contract: str) -> Tick | None:
        """The newest tick, or None before the first; of a replay, if the client follows one.

        Raises:
            InvalidValue: no such name.
            StorageError: Redis did not answer, or MongoDB, which is asked where the stream is empty.
            Unreadable: the newest entry is no tick.
        """
        name = str(Contract.parse(contract))
        entry = last_entry(self._redis, MarketKeys(name, self._prefix).stream("tick"))
        if entry is not None:
            return unpack_record(Tick, entry.data)
        if self._prefix:
            return None
        stored = queries.newest(self._db(), "tick", name)
        return stored if isinstance(stored, Tick) else None

    def latest(self, contract: str, kind: str = "ticks") -> Tick | Trade | Book | None:
        """The newest stored record of a kind, or None before the first.

        Raises:
            InvalidValue: no such name or kind.
            StorageError: MongoDB did not answer.
        """
        return self._stored_record(contract, kind, None)

    def as_of(
        self, contract: str, time: Moment, kind: str = "ticks", complete: bool = False
    ) -> Tick | Trade | Book | None:
        """The state at a moment: the last record that was received then or before, archived or not; None before all.

        `as_of(contract, time, "books")` is the order book at a time.

        Args:
            contract: any accepted name.
            time: see `ticks`.
            kind: `ticks`, `trades` or `books`.
            complete: `HistoryGap` where something is missing or unknown between that record and the moment: another
                may have come.

        Raises:
            InvalidValue: no such name, moment or kind.
            StorageError: MongoDB did not answer.
            HistoryGap: with `complete`.
        """
        moment = nanoseconds("time", time)
        found = self._stored_record(contract, kind, moment)
        if complete:
            since = 0 if found is None else found.time
            require_whole(self._db(), str(Contract.parse(contract)), _KINDS[kind], since, moment)
        return found

    def bars(
        self, contract: str, period: str, start: Moment, end: Moment | None = None, complete: bool = False
    ) -> Bars:
        """Bars with start <= time < end: stored ones, then those that the newest trades make, the running one included.

        Go through them, or take `.to_numpy()`, `.to_pandas()`, `.to_arrow()`, `.to_polars()`; `.coverage` says what
        there is of their trades.

        Args:
            contract: any accepted name.
            period: `1s`, `1m`, `5m`, `1h` or `1d`; all begin at multiples of it since 1970 UTC.
            start: see `ticks`; 0 is the beginning.
            end: the same; None for all there is.
            complete: `HistoryGap` where trades of that time are missing or unknown.

        Raises:
            InvalidValue: no such name, moment or period, or the end is before the start.
            StorageError: while going through it, MongoDB did not answer.
            HistoryGap: while going through it, with `complete`.
        """
        name = str(Contract.parse(contract))
        first, last = _span(start, end)
        return Bars(self._db(), name, period, first, last, complete)

    @overload
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None = None,
        kind: Literal["ticks", "tick"] = "ticks",
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Tick]: ...
    @overload
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None,
        kind: Literal["trades", "trade"],
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Trade]: ...
    @overload
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None = None,
        *,
        kind: Literal["trades", "trade"],
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Trade]: ...
    @overload
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None,
        kind: Literal["books", "book"],
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Book]: ...
    @overload
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None = None,
        *,
        kind: Literal["books", "book"],
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Book]: ...
    def history(
        self,
        contract: str,
        start: Moment,
        end: Moment | None = None,
        kind: str = "ticks",
        columns: list[str] | None = None,
        complete: bool = False,
    ) -> History[Any]:
        """Stored records with start <= time < end, archived or not: go through them, or take `.to_numpy()`,
        `.to_pandas()`, `.to_arrow()`, `.to_polars()`, or `.batches()` of arrays where they do not fit into memory.

        Args:
            contract: any accepted name.
            start: see `ticks`; 0 is the beginning.
            end: the same; None for all there is.
            kind: `ticks`, `trades`, `books` or `bars` (of all periods; see `bars` for those of one).
            columns: of the frame: the record's fields, and of ticks and books `bid1`, `bid1_size`, `ask1`,
                `ask1_size`, `bid2` ...; None takes the usual ones.
            complete: `HistoryGap` where something is missing or unknown; without it, `.coverage` says what.

        Raises:
            InvalidValue: no such name, moment, kind or column, or the end is before the start.
            StorageError: while going through it, MongoDB did not answer.
            HistoryGap: while going through it, with `complete`.
        """
        if kind not in _KINDS:
            raise InvalidValue("kind", f"{kind!r} is not one of ticks, trades, books, bars")
        name = str(Contract.parse(contract))
        first, last = _span(start, end)
        chosen = tuple(columns) if columns else None
        return History(self._db(), _KINDS[kind], name, first, last, chosen, complete=complete)

    def _stored_record(self, contract: str, kind: str, until: int | None) -> Tick | Trade | Book | None:
        if _KINDS.get(kind, "bar") == "bar":
            raise InvalidValue("kind", f"{kind!r} is not one of ticks, trades, books")
        found = queries.newest(self._db(), _KINDS[kind], str(Contract.parse(contract)), until)
        return found if isinstance(found, Tick | Trade | Book) else None

    def _tape(
        self, record: type[R], kind: str, contract: str, since: Moment | None, block: float | None
    ) -> Iterator[R | Feed]:
        name = str(Contract.parse(contract))
        start = None if since is None else nanoseconds("since", since)
        stream = self._follower(self._redis, MarketKeys(name, self._prefix).stream(kind))

        def store() -> Store:
            return NoStore() if self._prefix else MarketStore(self._db(), kind, name)

        return MarketTape(record, name, kind, stream, store).play(start, block)


def _span(start: Moment, end: Moment | None) -> tuple[int, int | None]:
    first = nanoseconds("start", start)
    last = None if end is None else nanoseconds("end", end)
    if last is not None and last < first:
        raise InvalidValue("end", f"{end} is before {start}")
    return first, last
