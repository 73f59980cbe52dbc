"""The ledger: what clients asked for and what became of it, in a file that survives the death of the process.

One JSON object a line, only ever appended; what one call of the exchange did is one write, before anybody is told.
A line that a death cut short is dropped at the next start. Replaying the file gives the accounts, orders and
balances again, through the same settlement that made them.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from .accounts import Account, Accounts, Keys
from .engine.events import Event, OrderEnded, OrderFilled, OrderInserted, OrderTriggered, order_of
from .engine.exchange import Exchange
from .engine.order import Method, Order, Status
from .settings import AccountSettings

FIRST_ACCOUNT_ID = 100_001


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money that came to an account from outside."""

    id: int
    account: int
    currency: str
    amount: Decimal
    time_ms: int


class Ledger:
    """The file, and what it says, in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.fills: list[OrderFilled] = []
        self.fills_of: defaultdict[int, list[OrderFilled]] = defaultdict(list)
        self.deposits: list[Deposit] = []
        self.requests: Counter[str] = Counter()
        self.sessions = 0
        self._last_account = FIRST_ACCOUNT_ID - 1
        self._entries = _read(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        os.close(self._file)

    def begin(self, wanted: Iterable[AccountSettings], now_ms: int) -> tuple[Accounts, int]:
        """Begin a run: the accounts, without their money, and the number from which its trade ids count."""
        known = {entry["key"]: int(entry["id"]) for entry in self._entries if entry["e"] == "account"}
        last = max((int(entry["number"]) for entry in self._entries if entry["e"] == "session"), default=0)
        self.sessions = sum(entry["e"] == "session" for entry in self._entries) + 1
        session = max(last + 1, now_ms * 10)
        self._write([{"e": "session", "number": session}])
        accounts = Accounts()
        self._last_account = max(known.values(), default=FIRST_ACCOUNT_ID - 1)
        for settings in wanted:
            key = settings.keys.public_key
            if key not in known:
                self._last_account += 1
                known[key] = self._last_account
                entries = [{"e": "account", "id": known[key], "key": key}]
                entries += [_deposit_entry(known[key], *balance, now_ms) for balance in settings.balances.items()]
                self._write(entries)
                self._entries += entries
            accounts.add(Account(known[key], settings.keys))
        return accounts, session

    def open_account(self, keys: Keys, balances: Mapping[str, Decimal], now_ms: int) -> Account:
        """A new account while the venue runs, with money."""
        self._last_account += 1
        account = Account(self._last_account, keys)
        self._write([{"e": "account", "id": account.id, "key": keys.public_key}])
        for currency, amount in balances.items():
            self.deposit(account, currency, amount, now_ms)
        return account

    def replay(self, exchange: Exchange, now_ms: int) -> None:
        """Give the exchange the money and orders of all runs before, and put open orders back into its books."""
        orders: dict[int, Order] = {}
        present = {account.id for account in exchange.accounts}
        for entry in self._entries:
            if entry.get("account") in present or entry["e"] == "request":
                self._replay(entry, exchange, orders)
        for order in orders.values():
            exchange.adopt(order)
        exchange.resume(now_ms)
        self._entries.clear()

    def record(self, events: Sequence[Event]) -> None:
        """Write down what one call of the exchange did."""
        entries: list[dict[str, Any]] = []
        for event in events:
            entry = _entry(event)
            if entry is not None:
                entries.append(entry)
            if isinstance(event, OrderFilled):
                self._note_fill(event)
        if entries:
            self._write(entries)

    def request(self, endpoint: str, client_id: str, status: int, now_ms: int) -> None:
        """Write down that an order request arrived, and how it was answered."""
        self.requests[f"{endpoint} {client_id}"] += 1
        self._write([{"e": "request", "endpoint": endpoint, "client_id": client_id, "status": status, "time": now_ms}])

    def deposit(self, account: Account, currency: str, amount: Decimal, now_ms: int) -> None:
        """Give an account money."""
        entry = _deposit_entry(account.id, currency, amount, now_ms)
        self._write([entry])
        self._note_deposit(entry, account)

    def _write(self, entries: Iterable[dict[str, Any]]) -> None:
        data = "".join(json.dumps(entry, default=str) + "\n" for entry in entries).encode()
        while data:
            data = data[os.write(self._file, data) :]

    def _note_fill(self, fill: OrderFilled) -> None:
        self.fills.append(fill)
        self.fills_of[fill.order_id].append(fill)

    def _note_deposit(self, entry: dict[str, Any], account: Account) -> None:
        amount = Decimal(entry["amount"])
        account.wallets[entry["currency"]].free += amount
        self.deposits.append(Deposit(len(self.deposits) + 1, account.id, entry["currency"], amount, int(entry["time"])))

    def _replay(self, entry: dict[str, Any], exchange: Exchange, orders: dict[int, Order]) -> None:
        kind, settlement = entry["e"], exchange.settlement
        if kind == "request":
            self.requests[f"{entry['endpoint']} {entry['client_id']}"] += 1
        elif kind == "deposit":
            self._note_deposit(entry, exchange.accounts.get(entry["account"]))
        elif kind == "order":
            order = order_of(_inserted(entry))
            orders[order.id] = order
            settlement.open(order)
        elif kind == "trigger":
            orders[entry["order_id"]].waiting = False
        elif kind == "fill":
            fill = _filled(entry)
            order = orders[fill.order_id]
            order.take(fill.amount)
            settlement.fill(order, fill.price, fill.amount, fill.liquidity, fill.time_ms)
            self._note_fill(fill)
        elif kind == "end":
            settlement.close(orders[entry["order_id"]], Status(entry["status"]), entry["time_ms"])


def _read(path: Path) -> list[dict[str, Any]]:
    """Whole lines of the file; a last line that was cut short is taken off it."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def _deposit_entry(account: int, currency: str, amount: Decimal, time_ms: int) -> dict[str, Any]:
    return {"e": "deposit", "account": account, "currency": currency, "amount": str(amount), "time": time_ms}


def _entry(event: Event) -> dict[str, Any] | None:
    names = {OrderInserted: "order", OrderFilled: "fill", OrderTriggered: "trigger", OrderEnded: "end"}
    name = names.get(type(event))
    if name is None:
        return None
    fields = {field: getattr(event, field) for field in event.__slots__}
    return {"e": name, **fields}


def _inserted(entry: dict[str, Any]) -> OrderInserted:
    fields = {key: value for key, value in entry.items() if key != "e"}
    fields["method"] = Method(fields["method"])
    for name in ("price", "stop_price", "asked"):
        fields[name] = Decimal(fields[name])
    return OrderInserted(**fields)


def _filled(entry: dict[str, Any]) -> OrderFilled:
    fields = {key: value for key, value in entry.items() if key != "e"}
    fields["method"] = Method(fields["method"])
    for name in ("price", "amount", "fee", "tax"):
        fields[name] = Decimal(fields[name])
    return OrderFilled(**fields)
