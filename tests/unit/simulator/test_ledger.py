"""The ledger gives orders and balances back, wherever the process died."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.accounts import Accounts
from services.simulator.engine.exchange import Exchange, Placement, ShortOfFunds
from services.simulator.engine.order import Method, Order
from services.simulator.engine.settlement import need
from services.simulator.ledger import Ledger
from services.simulator.pairs import PAIRS
from services.simulator.settings import AccountSettings
from tests.unit.simulator.making import PAIR, START, keys_of

ANN = AccountSettings(keys_of("ann"), START)


class _Run:
    """One run of a venue on a folder, without its network."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.jsonl")
        accounts, session = self.ledger.begin([ANN], now_ms=1_700_000_000_000)
        self.session = session
        self.exchange = Exchange(PAIRS, accounts, session)
        self.ledger.replay(self.exchange, now_ms=1_700_000_000_000)
        self.note()

    def note(self) -> None:
        self.ledger.record(self.exchange.drain())

    def place(self, side: Any, quantity: str, price: str, method: Method = Method.LIMIT, stop: str = "0") -> Order:
        (account,) = self.exchange.accounts
        wish = Placement(account.id, PAIR, side, method, Decimal(quantity), Decimal(price), Decimal(stop), "mine")
        order = self.exchange.place(wish, 1_700_000_000_001)
        self.note()
        return order

    def house(self, side: Any, amount: str, price: str) -> None:
        self.exchange.submit_house(PAIR, side, "limit", Decimal(price), Decimal(amount), 1_700_000_000_002)
        self.note()

    def money(self) -> dict[str, tuple[Decimal, Decimal]]:
        (account,) = self.exchange.accounts
        return {symbol: (wallet.free, wallet.locked) for symbol, wallet in account.wallets.items()}


def _facts(order: Order) -> tuple[Any, ...]:
    return (
        order.id,
        order.status,
        order.amount,
        order.left,
        order.budget,
        order.locked,
        order.waiting,
        order.first_price,
    )


def _fill_a_run(run: _Run) -> None:
    run.house("sell", "2", "100")
    run.place("buy", "50.05", "0", Method.MARKET)
    run.place("buy", "3", "100")
    run.place("sell", "1", "96", Method.STOP_LIMIT, "95")
    run.place("sell", "1", "120")
    run.house("sell", "0.25", "100")
    run.exchange.cancel(run.place("sell", "4", "130").id, 1_700_000_000_003)
    run.note()


def test_a_new_run_goes_on_where_the_last_one_stood(tmp_path: Path) -> None:
    first = _Run(tmp_path)
    _fill_a_run(first)
    first.ledger.close()
    second = _Run(tmp_path)
    assert second.money() == first.money()
    assert [_facts(order) for order in second.exchange.orders.values()] == [
        _facts(order) for order in first.exchange.orders.values()
    ]
    assert second.ledger.fills == first.ledger.fills
    ((_, bid),) = first.exchange.book(PAIR)[0]
    assert second.exchange.book(PAIR) == ([(Decimal(100), bid)], [(Decimal(120), Decimal(1))])
    assert second.session > first.session
    assert second.place("sell", "1", "140").id == max(first.exchange.orders) + 1
    second.ledger.close()


def test_money_and_requests_are_counted_once(tmp_path: Path) -> None:
    first = _Run(tmp_path)
    (account,) = first.exchange.accounts
    first.ledger.deposit(account, "BTC", Decimal("0.5"), 1)
    first.ledger.request("POST /api/v1/order", "mine", 400, 1)
    first.ledger.close()
    second = _Run(tmp_path)
    assert second.money()["BTC"][0] == START["BTC"] + Decimal("0.5")
    assert second.ledger.requests == {"POST /api/v1/order mine": 1}
    assert [deposit.amount for deposit in second.ledger.deposits] == [*START.values(), Decimal("0.5")]
    second.ledger.close()


def test_the_orders_of_an_account_that_is_not_configured_stay_in_the_file(tmp_path: Path) -> None:
    first = _Run(tmp_path)
    first.place("sell", "1", "120")
    first.ledger.close()
    other = Ledger(tmp_path / "ledger.jsonl")
    accounts, session = other.begin([], now_ms=1)
    exchange = Exchange(PAIRS, accounts, session)
    other.replay(exchange, now_ms=1)
    other.close()
    assert exchange.orders == {} and session > first.session
    again = _Run(tmp_path)
    assert len(again.exchange.orders) == 1
    again.ledger.close()


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1))
def test_a_file_cut_at_any_byte_is_read_as_far_as_it_goes(part: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = _Run(folder)
        _fill_a_run(whole)
        whole.ledger.close()
        data = whole.ledger.path.read_bytes()
        whole.ledger.path.write_bytes(data[: int(len(data) * part)])
        run = _Run(folder)
        held: dict[str, Decimal] = {"BTC": Decimal(0), "USDT": Decimal(0)}
        for order in run.exchange.open_orders.values():
            held["USDT" if order.is_buy else "BTC"] += need(order)
        assert {symbol: run.money()[symbol][1] for symbol in held} == held
        assert set(run.exchange.orders) <= set(whole.exchange.orders)
        run.ledger.close()
        again = _Run(folder)
        assert again.money() == run.money()
        again.ledger.close()


def test_an_order_that_cannot_be_paid_leaves_no_line(tmp_path: Path) -> None:
    run = _Run(tmp_path)
    before = run.ledger.path.read_bytes()
    try:
        run.place("sell", "5000", "100")
    except ShortOfFunds as short:
        assert not short.in_orders
    run.note()
    assert run.ledger.path.read_bytes() == before
    assert isinstance(run.exchange.accounts, Accounts)
    run.ledger.close()
