"""Control calls, on a port of their own: faults, the ledger, counts, and a hand on the house's side.

| call | what |
|---|---|
| `GET /health` | `{"ok": true}` |
| `POST /fault`, `GET /faults`, `DELETE /faults` | make a fault (see `faults.KINDS`), list the waiting, forget all |
| `GET /ledger` | orders, fills, balances and requests of all runs; `?client_id=` and `?account=` pick |
| `GET /counts` | requests by endpoint, refusals by limit, sockets, frames sent, trades by pair, of this run |
| `GET /trades?pair=` | trades sent: all with `record_frames`, else the latest 1,000 of this run |
| `GET /book?pair=` | the book as published |
| `POST /clock` | `{"skew_ms": n}` sets the venue's clock wrong |
| `POST /deposit` | `{"currency", "amount", "account"}`; the account's public key may be left out where there is one |
| `POST /account` | keys: an account more, with play money, until the venue ends |
| `POST /fill` | `{"client_id", "amount"}`: fill resting orders of that client id at their own price |
| `POST /market` | `{"running": true}` starts a market that was held |
| `POST /book`, `POST /levels` | `{"pair", "bids", "asks"}`: replace the house's book, or set some levels |
| `POST /trade` | `{"pair", "price", "amount", "side"}`: print a trade of the outside market |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tickrouter.errors import InvalidValue

from .accounts import Account, Accounts, Keys
from .clock import VenueClock
from .driver import Driver
from .engine.exchange import LevelOf
from .faults import Faults
from .ledger import Ledger
from .limits import Limits
from .order_rows import order_row
from .pairs import CURRENCIES, find_pair
from .publisher import Publisher
from .request import Answer, Request, bare
from .rest import Rest
from .settings import DEMO_BALANCES
from .tape import Tape
from .text import plain


class Control:
    """Answers control calls; see the table above."""

    def __init__(
        self,
        *,
        driver: Driver,
        accounts: Accounts,
        ledger: Ledger,
        limits: Limits,
        faults: Faults,
        publisher: Publisher,
        rest: Rest,
        tape: Tape,
        clock: VenueClock,
        market_runs: asyncio.Event,
    ) -> None:
        self._driver = driver
        self._accounts = accounts
        self._ledger = ledger
        self._limits = limits
        self._faults = faults
        self._publisher = publisher
        self._rest = rest
        self._tape = tape
        self._clock = clock
        self._market_runs = market_runs
        self._calls: dict[str, Callable[[Request], object]] = {
            "GET /health": lambda _request: {"ok": True},
            "POST /fault": self._add_fault,
            "GET /faults": lambda _request: faults.rows(),
            "DELETE /faults": self._clear_faults,
            "GET /ledger": self._read_ledger,
            "GET /counts": self._read_counts,
            "GET /trades": self._read_trades,
            "GET /book": self._read_book,
            "POST /clock": self._set_clock,
            "POST /deposit": self._deposit,
            "POST /account": self._add_account,
            "POST /fill": self._fill,
            "POST /market": self._run_market,
            "POST /book": self._replace_book,
            "POST /levels": self._apply_levels,
            "POST /trade": self._print_trade,
        }

    async def serve(self, request: Request) -> Answer:
        """Answer one call: 200 with JSON, 400 with the reason, or 404."""
        call = self._calls.get(f"{request.method} {request.path}")
        if call is None:
            return bare({"error": f"no such call; there are: {', '.join(self._calls)}"}, 404)
        try:
            return bare(call(request))
        except (InvalidValue, KeyError, TypeError, ValueError, RecursionError, InvalidOperation) as error:
            return bare({"error": f"{type(error).__name__}: {error}"}, 400)

    def _add_fault(self, request: Request) -> object:
        return self._faults.add(_body(request), self._publisher).row()

    def _clear_faults(self, _request: Request) -> object:
        self._faults.clear()
        return {"ok": True}

    def _read_ledger(self, request: Request) -> object:
        client_id, key = request.first("client_id"), request.first("account")
        owner = self._account(key).id if key else None
        orders = [
            {**order_row(order), "account": order.account, "asked": plain(order.asked), "waiting": order.waiting}
            for order in self._driver.exchange.orders.values()
            if (not client_id or order.client_id == client_id) and (owner is None or order.account == owner)
        ]
        ids = {order["id"] for order in orders}
        client_ids = {order["orderClientId"] for order in orders}
        fills = [
            {
                "trade_id": str(fill.trade_id),
                "order_id": fill.order_id,
                "client_id": fill.client_id,
                "pair": fill.pair,
                "side": fill.side,
                "price": plain(fill.price),
                "amount": plain(fill.amount),
                "fee": plain(fill.fee),
                "tax": plain(fill.tax),
                "liquidity": fill.liquidity,
                "time": fill.time_ms,
            }
            for fill in self._ledger.fills
            if fill.order_id in ids
        ]
        balances = {
            account.keys.public_key: {
                symbol: {"free": plain(wallet.free), "locked": plain(wallet.locked)}
                for symbol, wallet in account.wallets.items()
            }
            for account in self._accounts
            if owner is None or account.id == owner
        }
        return {
            "orders": orders,
            "fills": fills,
            "balances": balances,
            "requests": {
                name: times
                for name, times in self._ledger.requests.items()
                if not (client_id or key) or name.rpartition(" ")[2] in client_ids
            },
            "sessions": self._ledger.sessions,
        }

    def _read_counts(self, _request: Request) -> object:
        sessions = self._publisher.sessions
        return {
            "requests": dict(self._rest.counts),
            "refused": dict(self._limits.refused),
            "refused_total": self._limits.refused.total(),
            "sockets": len(sessions),
            "logged_in": sum(session.account is not None for session in sessions),
            "topics": sorted({"/".join(topic) for session in sessions for topic in session.topics}),
            "frames": dict(self._publisher.sent),
            "trades": dict(self._tape.counts),
        }

    def _read_trades(self, request: Request) -> object:
        pair = _pair(request.first("pair"))
        return {"pair": pair, "count": self._tape.counts[pair], "trades": self._tape.all(pair)}

    def _read_book(self, request: Request) -> object:
        pair = _pair(request.first("pair"))
        bids, asks = self._driver.book(pair)
        return {
            "pair": pair,
            "number": self._driver.exchange.next_number(pair),
            "bids": [[plain(price), plain(amount)] for price, amount in bids],
            "asks": [[plain(price), plain(amount)] for price, amount in asks],
        }

    def _set_clock(self, request: Request) -> object:
        self._clock.skew_ms = int(_body(request)["skew_ms"])
        return {"skew_ms": self._clock.skew_ms}

    def _deposit(self, request: Request) -> object:
        body = _body(request)
        account = self._account(body.get("account"))
        currency = str(body["currency"])
        if currency not in CURRENCIES:
            raise InvalidValue("currency", f"{currency!r} is none of {', '.join(CURRENCIES)}")
        self._ledger.deposit(account, currency, _number("amount", body["amount"]), self._driver.now_ms())
        return {"free": plain(account.wallets[currency].free)}

    def _add_account(self, request: Request) -> object:
        body = _body(request)
        keys = Keys(
            str(body["public_key"]),
            str(body["private_key"]),
            str(body["socket_public_key"]),
            str(body["socket_private_key"]),
        )
        if self._accounts.of_key(keys.public_key) is not None:
            raise InvalidValue("public_key", "is another account's")
        account = self._ledger.open_account(keys, DEMO_BALANCES, self._driver.now_ms())
        self._accounts.add(account)
        return {"id": account.id}

    def _fill(self, request: Request) -> object:
        body = _body(request)
        client_id, amount = str(body["client_id"]), _number("amount", body["amount"])
        found = [order.id for order in self._driver.exchange.open_orders.values() if order.client_id == client_id]
        return {"filled": [plain(self._driver.fill(order_id, amount)) for order_id in found]}

    def _account(self, public_key: object) -> Account:
        accounts = [one for one in self._accounts if public_key in (None, one.keys.public_key)]
        if len(accounts) != 1:
            raise InvalidValue("account", f"{public_key!r} names {len(accounts)} accounts")
        return accounts[0]

    def _run_market(self, request: Request) -> object:
        if _body(request).get("running") is not True:
            raise InvalidValue("running", "must be true: a market that runs is not stopped")
        self._market_runs.set()
        return {"running": True}

    def _replace_book(self, request: Request) -> object:
        body = _body(request)
        pair = _pair(body["pair"])
        self._driver.replace_book(pair, _levels(body["bids"]), _levels(body["asks"]), self._driver.now_ms())
        return {"ok": True}

    def _apply_levels(self, request: Request) -> object:
        body = _body(request)
        pair = _pair(body["pair"])
        bids, asks = _levels(body.get("bids", ())), _levels(body.get("asks", ()))
        self._driver.apply_levels(pair, bids, asks, self._driver.now_ms())
        return {"ok": True}

    def _print_trade(self, request: Request) -> object:
        body = _body(request)
        side = body["side"]
        if side not in ("buy", "sell"):
            raise InvalidValue("side", f"{side!r} is neither buy nor sell")
        price, amount = _number("price", body["price"]), _number("amount", body["amount"])
        self._driver.print_trade(_pair(body["pair"]), price, amount, side, self._driver.now_ms())
        return {"ok": True}


def _body(request: Request) -> Mapping[str, Any]:
    found = json.loads(request.body or b"{}")
    if not isinstance(found, dict):
        raise InvalidValue("body", "is no JSON object")
    return found


def _pair(name: str) -> str:
    pair = find_pair(str(name))
    if pair is None:
        raise InvalidValue("pair", f"{name!r} is none of this venue's pairs")
    return pair.name


def _levels(rows: Any) -> list[LevelOf]:
    """Levels from lists of two texts."""
    return [(_number("price", price), _number("amount", amount, least=Decimal(0))) for price, amount in rows]


def _number(field: str, text: object, least: Decimal = Decimal("1e-18")) -> Decimal:
    number = Decimal(str(text))
    if not number.is_finite() or number < least:
        raise InvalidValue(field, f"{text!r} is not a finite number of at least {least}")
    return number
