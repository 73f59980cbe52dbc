"""Stored bars: made from stored trades when their period is over, corrected when trades come late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pymongo import ReplaceOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.bars import PERIODS, combine, length_of, moment, resample
from tickrouter.history.connection import Document
from tickrouter.history.documents import to_document
from tickrouter.history.queries import History
from tickrouter.model.bar import Bar
from tickrouter.model.trade import Trade

LATE: Final = 30_000_000_000
"""How long a minute is given for its last trades to arrive, ns."""
SKEW: Final = 120_000_000_000
"""How far the venue's clock and ours may be apart when trades are looked for, ns."""
_MINUTE: Final = PERIODS["1m"]
_LONGER: Final = ("5m", "1h", "1d")
_AT_ONCE: Final = PERIODS["1h"]
_NS_PER_MS = 1_000_000


class BarStore:
    """The bars of one contract."""

    def __init__(self, db: Database[Document], contract: str) -> None:
        """Nothing is read yet."""
        self._db = db
        self._contract = contract
        self._name = f"{contract}#bars"

    def advance(self) -> int:
        """Make the bars of minutes that are over, at most an hour of them, and make again what trades that were read
        after the fact belong to. Returns how many were written.

        Raises:
            StorageError: MongoDB did not answer; may be repeated.
        """
        over, made, late = self._over(), *self._position()
        if over is None or made is None:
            return 0
        written = 0
        until = min(over, made - made % _AT_ONCE + _AT_ONCE)
        if made < until:
            written = self._make(made, until, until)
            self._tell({"time": until})
        fresh, seen = self._late(late)
        for minute in sorted({one - one % _MINUTE for one in fresh if one < until}):
            written += self._make(minute, minute + _MINUTE, max(made, until))
        if seen > late:
            self._tell({"late": seen})
        return written

    def take(self, minutes: Sequence[Bar]) -> int:
        """Put the venue's own bars of one minute in the place of ours, and make the longer ones around them anew.

        Args:
            minutes: by time, of minutes that are over.

        Returns:
            How many were written.

        Raises:
            StorageError: MongoDB did not answer; may be repeated.
        """
        if not minutes:
            return 0
        start, end = minutes[0].time, minutes[-1].time + _MINUTE
        known = {bar.time: bar for bar in stored_bars(self._db, self._contract, "1m", start, end)}
        written = self._put([bar for bar in minutes if bar != known.get(bar.time)])
        return written + self._lengthen(start, end, self._position()[0] or 0)

    def _make(self, start: int, end: int, made: int) -> int:
        """Write the bars of start <= time < end (whole minutes, ns), and the longer ones around that are over."""
        trades = trades_of(self._db, self._contract, start, end)
        written = sum(self._write(period, resample(trades, period), start, end) for period in ("1s", "1m"))
        return written + self._lengthen(start, end, made)

    def _lengthen(self, start: int, end: int, made: int) -> int:
        """Make the longer bars around start <= time < end that are over at `made`, out of the minutes."""
        written = 0
        for period in _LONGER:
            length = PERIODS[period]
            low, high = start - start % length, min(end + -end % length, made - made % length)
            if low < high:
                minutes = stored_bars(self._db, self._contract, "1m", low, high)
                written += self._write(period, combine(minutes, period), low, high)
        return written

    def _late(self, since: int) -> tuple[list[int], int]:
        """Moments of trades that were read after the fact since a time (ns), and the time of the last one."""
        query: Document = {"contract": self._contract, "ms": None, "n": None, "time": {"$gt": since}}
        try:
            found = [Trade.from_dict(document) for document in self._db["trades"].find(query)]
        except PyMongoError as error:
            raise StorageError(f"MongoDB: trades: {error}") from error
        return [moment(trade) for trade in found], max((trade.time for trade in found), default=since)

    def _over(self) -> int | None:
        """Up to where every minute is over and all its trades are stored, ns."""
        try:
            found = list(self._db["through"].find({"contract": self._contract}))
        except PyMongoError as error:
            raise StorageError(f"MongoDB: through: {error}") from error
        # One sink stores all kinds in order: what one kind has reached, the others have too.
        latest = max((int(entry["ms"]) for entry in found), default=None)
        if latest is None:
            return None
        moment = latest * _NS_PER_MS - LATE
        return moment - moment % _MINUTE

    def _position(self) -> tuple[int | None, int]:
        """Where to go on: behind the last bars, else the minute of the first trade; and the last late trade's time."""
        try:
            found = self._db["archive"].find_one({"_id": self._name}) or {}
        except PyMongoError as error:
            raise StorageError(f"MongoDB: archive: {error}") from error
        late = int(found.get("late", 0))
        if "time" in found:
            return int(found["time"]), late
        trade: Trade | None = next(iter(History[Trade](self._db, "trade", self._contract, 0)), None)
        return None if trade is None else moment(trade) - moment(trade) % _MINUTE, late

    def _tell(self, fields: Document) -> None:
        try:
            self._db["archive"].update_one({"_id": self._name}, {"$set": fields}, upsert=True)
        except PyMongoError as error:
            raise StorageError(f"MongoDB: archive: {error}") from error

    def _write(self, period: str, bars: list[Bar], start: int, end: int) -> int:
        known = {bar.time: bar for bar in stored_bars(self._db, self._contract, period, start, end)}
        fresh = [bar for bar in bars if _is_news(bar, known.get(bar.time))]
        return self._put(fresh)

    def _put(self, fresh: list[Bar]) -> int:
        if not fresh:
            return 0
        documents = [to_document(bar) for bar in fresh]
        try:
            self._db["bars"].bulk_write([ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents])
        except PyMongoError as error:
            raise StorageError(f"MongoDB: bars: {error}") from error
        return len(fresh)


def _is_news(bar: Bar, known: Bar | None) -> bool:
    """True unless it stands there, the venue gave it or a part of it (which does not count trades) and not of the new
    one, or it was made from more trades."""
    if known is None or bar.trades is None:
        return bar != known
    return known.trades is not None and (bar.trades or 0) >= known.trades and bar != known


def trades_of(db: Database[Document], contract: str, start: int, end: int) -> list[Trade]:
    """Trades made in start <= moment < end, by the venue's clock.

    Those that were read long after the fact are found too: they are few, and looked up by that.

    Raises:
        StorageError: MongoDB did not answer.
    """
    history: History[Trade] = History(db, "trade", contract, max(0, start - SKEW), end + SKEW)
    found = {trade.trade_id: trade for trade in history if start <= moment(trade) < end}
    for trade in _late_of(db, contract, {"$gte": start, "$lt": end}):
        found.setdefault(trade.trade_id, trade)
    return list(found.values())


def _late_of(db: Database[Document], contract: str, moments: Document) -> list[Trade]:
    """Those that were read after the fact and are not archived."""
    late: Document = {"contract": contract, "n": None, "ms": None, "exchange_time": moments}
    try:
        return [Trade.from_dict(document) for document in db["trades"].find(late)]
    except PyMongoError as error:
        raise StorageError(f"MongoDB: trades: {error}") from error


def stored_bars(db: Database[Document], contract: str, period: str, start: int, end: int | None) -> Iterator[Bar]:
    """Stored bars of one period with start <= time < end, by time.

    Raises:
        InvalidValue: no such period.
        StorageError: MongoDB did not answer.
    """
    length_of(period)
    return iter(History[Bar](db, "bar", contract, start, end, period=period))


def bars(db: Database[Document], contract: str, period: str, start: int, end: int | None) -> Iterator[Bar]:
    """Bars with start <= time < end: stored ones, then those that the newest trades make, the running one included.

    Raises:
        InvalidValue: no such period.
        StorageError: MongoDB did not answer.
    """
    length = length_of(period)
    return _bars(db, contract, period, length, start, end)


def _bars(
    db: Database[Document], contract: str, period: str, length: int, start: int, end: int | None
) -> Iterator[Bar]:
    last = None
    for bar in stored_bars(db, contract, period, start, end):
        last = bar.time
        yield bar
    begin = start + -start % length if last is None else last + length
    newest: Any = History[Trade](db, "trade", contract, max(0, begin - SKEW))
    late = {trade.trade_id: trade for trade in _late_of(db, contract, {"$gte": begin})}
    running = (trade for trade in newest if moment(trade) >= begin and trade.trade_id not in late)
    for bar in _in_turn(running, period, list(late.values())):
        if end is None or bar.time < end:
            yield bar


def _in_turn(trades: Iterable[Trade], period: str, late: list[Trade]) -> Iterator[Bar]:
    """Bars of trades that come in order but for `SKEW`, held for about a day, and of those that came late."""
    held, length = list(late), PERIODS[period]
    latest, told = 0, None
    for trade in trades:
        held.append(trade)
        latest, told = max(latest, moment(trade)), moment(trade) if told is None else told
        if latest - SKEW - told >= PERIODS["1d"]:
            told = latest - SKEW - (latest - SKEW) % length
            yield from resample([one for one in held if moment(one) < told], period)
            held = [one for one in held if moment(one) >= told]
    yield from resample(held, period)
