"""BTCTurk's private calls: what is asked, and what the answers mean."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tickrouter.core.facts import VenueFill, VenueOrder, VenueState
from tickrouter.errors import AmbiguousError, DefiniteError, Unreadable
from tickrouter.model.account import Account
from tickrouter.model.command import Command
from tickrouter.model.contract import Contract
from tickrouter.model.order import Order
from tickrouter.venues.btcturk.signing import Signer
from tickrouter.venues.btcturk.trading import BtcturkTrading
from tickrouter.venues.card import load_card
from tickrouter.venues.request import Answer
from tickrouter.venues.trading import CannotDo, Hint, LoggedIn

CARD = load_card(Path(__file__).parents[3] / "configs/venues/btcturk.yaml")
SIGNER = Signer("11111111-2222-3333-4444-555555555555", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
ADAPTER = BtcturkTrading(CARD, SIGNER, SIGNER)
CONTRACT = Contract("btcturk", "btc", "usdt")
STAMP = 1_700_000_000_000_000_000
ROW: dict[str, Any] = {
    "id": 5001,
    "price": "61000.00",
    "amount": "0.50000000",
    "quantity": "0.0000000000000001",
    "stopPrice": "0",
    "pairSymbol": "BTCUSDT",
    "pairSymbolNormalized": "BTC_USDT",
    "type": "buy",
    "method": "limit",
    "orderClientId": "f" * 32,
    "time": 0,
    "updateTime": 1700000000123,
    "status": "Partial",
    "leftAmount": "0.30000000",
}
EXECUTION: dict[str, Any] = {
    "id": 1181163798924649001,
    "orderId": 5001,
    "orderClientId": "f" * 32,
    "timestamp": 1700000000456,
    "numeratorSymbol": "BTC",
    "denominatorSymbol": "USDT",
    "orderType": "sell",
    "price": "61000.00",
    "amount": "-0.2000",
    "fee": "-10.98",
    "tax": "-1.02",
}


def answer(data: Any = None, *, status: int = 200, body: bytes | None = None, **extra: Any) -> Answer:
    fields = {"data": data, "success": True, "message": "SUCCESS", "code": 0} | extra
    return Answer(status, json.dumps(fields).encode() if body is None else body)


def an_order(**changes: Any) -> Order:
    order = Order(
        Account("btcturk", "main"), "a" * 32, "c1", CONTRACT, "b", "limit", STAMP, Decimal("61000"), Decimal("8.1E-7")
    )
    return replace(order, **changes)


def a_place(**changes: Any) -> Command:
    fields: dict[str, Any] = {"type": "limit", "price": Decimal(61000), "amount": Decimal("0.01"), "side": "b"}
    fields |= {"contract": CONTRACT, "client_oid": "a" * 32}
    return Command("c1", "place", Account("btcturk", "main"), **(fields | changes))


def test_a_place_is_plain_decimals_and_signed_with_its_stamp() -> None:
    request = ADAPTER.place(an_order(), STAMP)
    assert json.loads(request.body) == {
        "quantity": "0.00000081",
        "price": "61000",
        "stopPrice": "0",
        "newOrderClientId": "a" * 32,
        "orderMethod": "limit",
        "orderType": "buy",
        "pairSymbol": "BTCUSDT",
    }
    assert request.endpoint == "POST /api/v1/order"
    assert request.headers["X-Stamp"] == "1700000000000"
    assert request.headers["Content-Type"] == "application/json"
    assert "X-Signature" not in repr(request)


def test_a_market_buy_sends_its_quote_amount() -> None:
    order = an_order(type="market", price=None, amount=None, quote_amount=Decimal(100))
    assert json.loads(ADAPTER.place(order, STAMP).body)["quantity"] == "100"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"type": "market", "price": None}, "unit"),
        ({"amount": None, "quote_amount": Decimal(100)}, "unit"),
        ({"side": "s", "type": "market", "price": None, "amount": None, "quote_amount": Decimal(1)}, "unit"),
        ({"options": {"post_only": True}}, "options"),
        ({"reduce_only": True}, "options"),
        ({"contract": Contract("btcturk", "btc", "usdt", "perp")}, "contract"),
    ],
)
def test_what_the_venue_has_not_is_said_before_anything_is_sent(changes: dict[str, Any], kind: str) -> None:
    with pytest.raises(CannotDo) as caught:
        ADAPTER.check(a_place(**changes))
    assert caught.value.reason.kind == kind


def test_what_the_venue_has_passes() -> None:
    ADAPTER.check(a_place())
    ADAPTER.check(a_place(type="market", price=None, amount=None, quote_amount=Decimal(100)))
    ADAPTER.check(a_place(type="market", side="s", price=None))


def symbol_row(**changes: Any) -> dict[str, Any]:
    return {
        "name": "BTCUSDT",
        "nameNormalized": "BTC_USDT",
        "status": "TRADING",
        "numeratorScale": 4,
        "denominatorScale": 2,
        "hasFraction": False,
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "10", "minExchangeValue": "9.91"}],
        "orderMethods": ["MARKET", "LIMIT", "STOP_LIMIT"],
    } | changes


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"price": Decimal("61000.5")}, "scale"),
        ({"amount": Decimal("0.00001")}, "scale"),
        ({"amount": Decimal("0.0001")}, "min_notional"),
        ({"type": "stop_market", "price": None, "stop_price": Decimal(62000)}, "market_closed"),
        ({"contract": Contract("btcturk", "doge", "usdt")}, "contract"),
    ],
)
def test_the_venues_own_list_is_checked_once_it_is_known(changes: dict[str, Any], kind: str) -> None:
    adapter = BtcturkTrading(CARD, SIGNER)
    adapter.learn(adapter.read_symbols(answer({"symbols": [symbol_row()]})))
    adapter.check(a_place())
    with pytest.raises(CannotDo) as caught:
        adapter.check(a_place(**changes))
    assert caught.value.reason.kind == kind


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(None, status=400, success=False, message="FAILED_MIN_TOTAL_AMOUNT", code=1123), "invalid_order"),
        (
            answer(None, status=400, success=False, message="FAILED_ORDER_WITH_OPEN_ORDERS", code=1123),
            "insufficient_balance",
        ),
        (answer(None, status=400, success=False, message="Order not found", code=1152), "order_not_found"),
        (answer(None, status=401, success=True, message="Unauthorized - Invalid Nonce", code=1037), "nonce"),
        (answer(None, status=401, success=True, message="Unauthorized - Invalid Signature", code=1037), "auth"),
        (Answer(401, b""), "auth"),
        (Answer(429, b"", 55.0), "rate_limit"),
        (answer(None, status=429, success=False, message="TOO_MANY_REQUESTS", code=429), "rate_limit"),
        (answer(None, success=False, message="ORDER_METHOD_NOT_SUPPORTED"), "invalid_order"),
        (answer(None, status=400, success=False, message="SOMETHING_NEW", code=9999), "other"),
    ],
)
def test_refusals_are_definite(given: Answer, kind: str) -> None:
    with pytest.raises(DefiniteError) as caught:
        ADAPTER.read_placed(given)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "given",
    [
        Answer(500, b"<html>Bad gateway</html>"),
        Answer(503, b""),
        Answer(504, json.dumps({"success": False, "message": "INTERNAL_ERROR", "code": "INTERNAL_ERROR"}).encode()),
        Answer(200, b"<html>ok</html>"),
        Answer(200, b""),
        Answer(200, b"[]"),
        Answer(403, b"<html>cloudflare</html>"),
        answer({"no": "id"}),
        answer(None, success=False, message="INTERNAL_ERROR", code="INTERNAL_ERROR"),
    ],
)
def test_anything_else_is_ambiguous(given: Answer) -> None:
    with pytest.raises(AmbiguousError):
        ADAPTER.read_placed(given)


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_answer_does_more_than_raise_one_of_the_two(body: bytes, status: int) -> None:
    with pytest.raises((DefiniteError, AmbiguousError)):
        ADAPTER.read_placed(Answer(status, body))


def test_orders_are_read_by_amount_and_rest() -> None:
    (order,) = ADAPTER.read_orders(answer({"asks": [], "bids": [ROW]}))
    assert (order.exchange_oid, order.client_oid) == ("5001", "f" * 32)
    assert (order.filled, order.state, order.time) == (Decimal("0.2"), VenueState.OPEN, 1700000000123000000)
    (closed,) = ADAPTER.read_orders(answer(ROW | {"status": "Closed", "leftAmount": "0.0000000000000000"}))
    assert (closed.filled, closed.state) == (Decimal("0.5"), VenueState.CLOSED)
    (stop,) = ADAPTER.read_orders(answer([ROW | {"method": "STOP_LIMIT", "status": "Something new"}]))
    assert (stop.type, stop.state) == ("stop_limit", VenueState.OPEN)


def test_executions_are_positive_exact_and_cost_fee_and_tax() -> None:
    text = json.dumps(EXECUTION)[:-1] + ', "preciseAmount": -0.2000000100000000}'
    (row,) = ADAPTER.read_executions(Answer(200, f'{{"data":[{text}],"success":true}}'.encode()))
    assert row.fill.trade_id == "1181163798924649001"
    assert row.fill.amount == Decimal("0.20000001")
    assert (row.fill.fee, row.fill.fee_currency) == (Decimal("12.00"), "usdt")
    assert row.side == "s"


def test_balances_tolerate_the_comma_and_refuse_both_marks() -> None:
    row = {"asset": "TRY", "balance": "27223,73", "free": "22349,37", "locked": "4874.36"}
    (balance,) = ADAPTER.read_balances(answer([row]), STAMP)
    assert (balance.currency, balance.total, balance.locked) == ("try", Decimal("27223.73"), Decimal("4874.36"))
    with pytest.raises(AmbiguousError, match="both decimal marks"):
        ADAPTER.read_balances(answer([row | {"balance": "27.223,73"}]), STAMP)


def test_all_orders_asks_in_seconds_and_executions_in_ms() -> None:
    listed = ADAPTER.all_orders(CONTRACT, STAMP, STAMP + 1_500_000_000, STAMP)
    assert "startTime=1700000000&endTime=1700000002&limit=1000" in listed.url
    assert (
        "startDate=1700000000000&endDate=1700000001500"
        in ADAPTER.executions(CONTRACT, STAMP, STAMP + 1_500_000_000, STAMP).url
    )


def frame(number: int, **inner: Any) -> bytes:
    return json.dumps([number, inner]).encode()


def test_private_messages() -> None:
    (execution,) = ADAPTER.read_private(frame(423, **EXECUTION))
    assert isinstance(execution, VenueFill)
    assert ADAPTER.read_private(frame(441, id=5001, clientId="x", amount="1")) == (Hint("5001", "x"),)
    assert ADAPTER.read_private(frame(452, id=5001, numLeft="9", newOrderClientId="y")) == (Hint("5001", "y"),)
    inserted = {"id": 5001, "symbol": "BTCUSDT", "method": 0, "orderType": 1, "price": "61000.0", "amount": "0.5"}
    (order,) = ADAPTER.read_private(frame(451, **inserted, newOrderClientId="z"))
    assert isinstance(order, VenueOrder)
    assert (order.contract, order.side, order.filled, order.state) == (CONTRACT, "s", 0, VenueState.OPEN)
    assert ADAPTER.read_private(frame(451, id=5001, newOrderClientId="old")) == (Hint("5001", "old"),)
    assert ADAPTER.read_private(frame(201, payload="1,2,3")) == (Hint(None),)
    assert ADAPTER.read_private(frame(114, ok=False, message="Unauthorized - Invalid Public key")) == (
        LoggedIn(False, "Unauthorized - Invalid Public key"),
    )
    assert ADAPTER.read_private(frame(999, new="thing")) == ()


@given(
    st.binary(max_size=100) | st.builds(lambda n: json.dumps([n, {"a": 1}]).encode(), st.sampled_from([114, 423, 441]))
)
def test_a_private_frame_is_read_or_refused(data: bytes) -> None:
    try:
        ADAPTER.read_private(data)
    except Unreadable as error:
        assert "private frame" in str(error)


@pytest.mark.reference
def test_every_private_payload_of_the_reference_is_read(reference: Path) -> None:
    examples = json.loads((reference / "reference/btcturk_examples.json").read_text())["examples"]
    refused: dict[str, str] = {}
    read = 0
    for example in examples:
        payload, path = example["payload"], example.get("path", "")
        text = payload if example.get("payload_is_raw_text") else json.dumps(payload)
        if example.get("transport") == "ws" and example["direction"] == "in":
            frames = payload if isinstance(payload[0], list) else [payload]
            for one in frames:
                ADAPTER.read_private(json.dumps(one).encode())
            read += 1
        elif example.get("http_status", 200) != 200:
            with pytest.raises((DefiniteError, AmbiguousError)):
                ADAPTER.read_placed(Answer(example["http_status"], text.encode()))
            read += 1
        elif example.get("direction") != "request" and path.startswith("/api/v1/"):
            if example.get("fragment"):
                text = json.dumps({"data": payload if path == "/api/v1/order" else [payload], "success": True})
            given = Answer(200, text.encode())
            try:
                if "transactions" in path:
                    ADAPTER.read_executions(given)
                elif "balances" in path:
                    ADAPTER.read_balances(given, STAMP)
                elif example.get("method") == "POST":
                    ADAPTER.read_placed(given)
                elif example.get("method") == "DELETE":
                    ADAPTER.read_canceled(given)
                else:
                    ADAPTER.read_orders(given)
                read += 1
            except AmbiguousError as error:
                refused[example["id"]] = str(error)
    # Deposits and withdrawals are no executions of orders.
    assert set(refused) == {"rest.transactions.crypto"}, refused
    assert read > 30
