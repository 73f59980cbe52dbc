"""BTCTurk's public REST calls that a collector needs: past trades (BTCTurk reference, sections 1.4 and 9)."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from tickrouter.core.market import MarketFact, Refused, TradeSeen
from tickrouter.errors import InvalidValue
from tickrouter.model.contract import Contract
from tickrouter.model.record import SIZE_ROUNDED
from tickrouter.model.trade import Side, Trade
from tickrouter.venues.btcturk.numbers import Text, price, size
from tickrouter.venues.request import Answer, Request

LAST = 50
"""Most trades that one answer holds (section 9)."""
_PATH = "/api/v2/trades"
_SIDES: dict[str, Side] = {"buy": "b", "sell": "s"}
_NS_PER_MS = 1_000_000


class _Row(msgspec.Struct):
    tid: int | str
    price: Text
    amount: Text
    side: str
    # One client of 2025 reads `timestamp` where the documentation has `date` (section 1.4).
    date: int | None = None
    timestamp: int | None = None


class _Trades(msgspec.Struct):
    success: bool
    data: list[msgspec.Raw]


_answer = msgspec.json.Decoder(_Trades)
_row = msgspec.json.Decoder(_Row)


def trades_request(host: str, contract: Contract) -> Request:
    """The newest trades of a contract."""
    query = urlencode({"pairSymbol": contract.symbol, "last": LAST})
    return Request("GET", f"{host}{_PATH}?{query}", f"GET {_PATH}", {"Accept": "application/json"})


def read_trades(answer: Answer, contract: Contract, now: int) -> list[MarketFact]:
    """What an answer says, oldest first; what cannot be read is `Refused`. Raises nothing.

    Unlike the socket's, their side is a word, so it needs no card.
    """
    name = str(contract)
    try:
        if answer.status != 200:
            raise InvalidValue("status", f"{answer.status}")
        rows = _answer.decode(answer.body).data
    except (msgspec.DecodeError, InvalidValue, UnicodeDecodeError, RecursionError) as error:
        return [Refused("unreadable", name, f"GET {_PATH}: {str(error)[:200]}", answer.body[:4096])]
    facts: list[MarketFact] = []
    for raw in reversed(rows):
        try:
            facts.append(TradeSeen(_trade(_row.decode(raw), name, now), False))
        except (msgspec.DecodeError, InvalidValue, UnicodeDecodeError) as error:
            facts.append(Refused("unreadable", name, f"GET {_PATH}: {str(error)[:200]}", bytes(raw)))
    return facts


def _trade(row: _Row, contract: str, now: int) -> Trade:
    amount, rounded = size("amount", row.amount)
    side = _SIDES.get(row.side.lower())
    if side is None:
        raise InvalidValue("side", f"{row.side[:20]!r} is no known side")
    stamp = row.date if row.date is not None else row.timestamp
    moment = None if stamp is None else stamp * _NS_PER_MS
    flags = SIZE_ROUNDED if rounded else 0
    return Trade(now, price("price", row.price), amount, side, str(row.tid), contract, "backfill", moment, flags)
