"""Writing what a router and a collector write, in the wire forms, without either."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tickrouter.bus import order_hash
from tickrouter.bus.codec import pack_map, pack_record
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys, MarketKeys
from tickrouter.core.entry_ids import EntryIds, text_of
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.order import Order, Status
from tickrouter.model.tick import Tick

TIME = 1_785_585_600_000_000_000
"""2026-08-01 12:00 UTC."""
_MS = 1_000_000


class RouterPen:
    """Publishes numbered events of one account."""

    def __init__(self, redis: Redis, account: str, epoch: int = 1) -> None:
        self.redis = redis
        self.account = account
        self.keys = AccountKeys(account)
        self.epoch = epoch
        self.seq = 0
        self.fill_seq = 0

    def event(self, **fields: Any) -> str:
        """One event; returns its entry id."""
        self.seq += 1
        return self._add(self.keys.events, self.seq, self._body(fields))

    def fill(self, client_oid: str, amount: str = "0.5") -> str:
        """One execution, in both streams; returns its fill id."""
        self.seq += 1
        self.fill_seq += 1
        fill = {"seq": self.fill_seq, "trade_id": str(700 + self.fill_seq), "price": "1000.5", "amount": amount}
        fill |= {"fee": "0.45", "fee_currency": "try", "liquidity": "taker", "time": TIME}
        head = {"type": "fill", "client_oid": client_oid, "contract": "btcturk/btc.try", "side": "b"}
        body = self._body(head | {"status": "PartiallyFilled", "fill": fill})
        self._add(self.keys.events, self.seq, body)
        return self._add(self.keys.fills, self.fill_seq, body)

    def order(self, client_oid: str, status: Status = Status.NEW, step: int = 1) -> Order:
        """The journal's hash of an order."""
        order = Order(
            Account.parse(self.account), client_oid, "c-1", Contract("btcturk", "btc", "try"), "b", "limit", TIME
        )
        order = Order(
            **{name: getattr(order, name) for name in order.__slots__}
            | {"status": status, "step": step, "amount": Decimal(1), "price": Decimal("1000.5"), "tags": {"a": 1}}
        )
        self.redis.hset(self.keys.order(client_oid), mapping=order_hash.to_hash(order))
        return order

    def _body(self, fields: dict[str, Any]) -> bytes:
        head = {"epoch": self.epoch, "seq": self.seq, "time": TIME + self.seq, "account": self.account}
        return pack_map(head | {"type": "order"} | fields)

    def _add(self, key: str, number: int, body: bytes) -> str:
        return self.redis.xadd(key, {"d": body}, id=f"{self.epoch}-{number}").decode()


class CollectorPen:
    """Writes ticks of one contract into Redis and MongoDB, each when it is told to."""

    def __init__(self, redis: Redis, db: Any, contract: str, session: int = 1, start: int = TIME) -> None:
        self.start = start
        self.redis = redis
        self.contract = contract
        self.key = MarketKeys(contract).stream("tick")
        self.writer = MarketWriter(db)
        self.ids = EntryIds(session)
        self.rows: list[Row] = []

    def record(self, count: int, *, redis: bool = True) -> list[Tick]:
        """The next ticks; prices count from 1, times are 1 ms apart."""
        fresh = []
        for _ in range(count):
            number = len(self.rows) + 1
            time = self.start + number * _MS
            level = ((float(number), 1.0),)
            tick = Tick(time, float(number), None, level, (), self.contract, "trade", time - 5)
            self.rows.append(Row("tick", self.ids.next(time), tick))
            if redis:
                self.redis.xadd(self.key, {"d": pack_record(tick)}, id=text_of(self.rows[-1].id))
            fresh.append(tick)
        return fresh

    def store(self, first: int, last: int, *, through: int | None = None) -> None:
        """Ticks first to last, counted from 1, into MongoDB; then say how far it is complete."""
        self.writer.write(self.rows[first - 1 : last])
        if through is not None:
            self.writer.tell_through({(self.contract, "tick"): self.rows[through - 1].id})

    def trim(self, kept: int) -> None:
        """Keep the newest entries of the stream only."""
        self.redis.xtrim(self.key, maxlen=kept, approximate=False)
