"""BTCTurk's bars by REST, minute by minute (BTCTurk reference, sections 1.4 and 9)."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from tickrouter.errors import InvalidValue, Unreadable
from tickrouter.model.bar import Bar
from tickrouter.model.contract import Contract
from tickrouter.venues.btcturk.numbers import price, size
from tickrouter.venues.request import Answer, Request

PERIOD = "1m"
MINUTE = 60_000_000_000
_PATH = "/v1/klines/history"
_SECOND = 1_000_000_000


class _Klines(msgspec.Struct, rename={"state": "s", "start": "t", "open": "o", "high": "h", "low": "l", "close": "c"}):
    state: str
    start: list[int] = []
    open: list[float] = []
    high: list[float] = []
    low: list[float] = []
    close: list[float] = []
    volume: list[float] = msgspec.field(name="v", default_factory=list)


_answer = msgspec.json.Decoder(_Klines)


def bars_request(host: str, contract: Contract, start: int, end: int) -> Request:
    """The minutes of start <= time < end, ns, both whole minutes: other ones shift the answer (section 1.4)."""
    query = {"symbol": contract.symbol, "resolution": "1", "from": start // _SECOND, "to": end // _SECOND}
    return Request("GET", f"{host}{_PATH}?{urlencode(query)}", f"GET {_PATH}", {"Accept": "application/json"})


def read_bars(answer: Answer, contract: Contract, start: int, end: int) -> list[Bar]:
    """The bars of an answer with start <= time < end; minutes without a trade are not among them.

    Raises:
        Unreadable: another status, no such form, or lists of unequal length, which is a broken answer (section 9).
    """
    try:
        if answer.status != 200:
            raise InvalidValue("status", f"{answer.status}")
        found = _answer.decode(answer.body)
        if found.state not in ("ok", "no_data"):
            raise InvalidValue("s", f"{found.state[:20]!r} is neither ok nor no_data")
        rows = zip(found.start, found.open, found.high, found.low, found.close, found.volume, strict=True)
        bars = [_bar(contract, *row) for row in rows]
    except (msgspec.DecodeError, InvalidValue, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"GET {_PATH}: {str(error)[:200]}") from error
    return [bar for bar in bars if start <= bar.time < end]


def _bar(contract: Contract, second: int, *figures: float) -> Bar:
    first, high, low, last = (price(name, value) for name, value in zip("ohlc", figures[:4], strict=True))
    volume, _ = size("v", figures[4])
    if second % 60 or not low <= min(first, last) <= max(first, last) <= high:
        raise InvalidValue("t", f"{second} is no minute's bar: {figures}")
    return Bar(second * _SECOND, PERIOD, first, high, low, last, volume, str(contract))
