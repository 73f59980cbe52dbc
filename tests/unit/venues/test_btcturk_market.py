"""BTCTurk's public frames to market facts; values made up after the reference's field tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickrouter.core.market import BookDiff, BookSnapshot, Joined, MarketFact, Refused, TickerSeen, TradeSeen
from tickrouter.errors import ConfigError
from tickrouter.model.contract import Contract
from tickrouter.model.record import SIZE_ROUNDED, STATISTIC_ROUNDED
from tickrouter.model.trade import Trade
from tickrouter.venues.btcturk.market import BtcturkMarket
from tickrouter.venues.card import Card, load_card
from tickrouter.venues.registry import market_adapter

CARD = load_card(Path(__file__).parents[3] / "configs/venues/btcturk.yaml")
BTC = Contract.parse("btcturk/btc.try")
NAME = str(BTC)
NOW = 1_700_000_000_000_000_000
MARKET = BtcturkMarket(CARD, [BTC])


def frame(kind: int, **fields: Any) -> bytes:
    return json.dumps([kind, {"type": kind, **fields}]).encode()


def decode(data: bytes, market: BtcturkMarket = MARKET) -> list[MarketFact]:
    return market.decode(data, NOW)


def one_refusal(data: bytes) -> Refused:
    (fact,) = decode(data)
    assert isinstance(fact, Refused)
    return fact


def trade(**fields: Any) -> dict[str, Any]:
    return {
        "D": "1700000000123",
        "I": "900000000000000001",
        "A": "0.5",
        "P": "2000000",
        "S": 1,
        "PS": "BTCTRY",
    } | fields


def ticker(**fields: Any) -> dict[str, Any]:
    return {
        "PS": "BTCTRY",
        "LA": "2000000",
        "B": "1999999",
        "BA": "0.5",
        "A": "2000001",
        "AA": "0.25",
        "V": "12",
    } | fields


def level(price: str, amount: str, change: int | None = None) -> dict[str, Any]:
    return {"P": price, "A": amount} | ({} if change is None else {"CP": change})


def test_every_channel_of_every_contract_is_joined() -> None:
    frames = [json.loads(text) for text in MARKET.subscriptions()]
    assert [(kind, body["channel"], body["event"], body["join"]) for kind, body in frames] == [
        (151, channel, "BTCTRY", True) for channel in ("ticker", "trade", "obdiff", "orderbook")
    ]


def test_a_new_book_is_asked_for_by_leaving_and_joining() -> None:
    frames = [json.loads(text)[1] for text in MARKET.resubscriptions(NAME)]
    assert [(body["channel"], body["join"]) for body in frames] == [("obdiff", False), ("obdiff", True)]


def test_a_trade_is_read() -> None:
    expected = Trade(NOW, 2000000.0, 0.5, "b", "900000000000000001", NAME, "live", 1_700_000_000_123_000_000)
    assert decode(frame(422, **trade())) == [TradeSeen(expected, True)]
    assert decode(frame(422, **trade(D=1700000000123, I=900000000000000001, P=2000000))) == [TradeSeen(expected, True)]
    assert decode(frame(422, **trade(PS="BTC_TRY"))) == [TradeSeen(expected, True)]
    assert decode(frame(422, **trade(PS=None), event="BTCTRY")) == [TradeSeen(expected, True)]


def test_the_card_says_which_side_bought() -> None:
    channels = CARD.channels.model_copy(update={"trade_buy": 0})
    other: Card = CARD.model_copy(update={"channels": channels})
    (fact,) = decode(frame(422, **trade(S=1)), BtcturkMarket(other, [BTC]))
    assert isinstance(fact, TradeSeen) and fact.trade.side == "s"
    (fact,) = decode(frame(422, **trade(S=0)))
    assert isinstance(fact, TradeSeen) and fact.trade.side == "s"


def test_a_list_of_past_trades_is_taken_but_for_what_is_wrong_in_it() -> None:
    items = [trade(I="3"), trade(I="2", P="1234567.890123456"), trade(I="1", A="x"), "junk", trade(I="0", S=7)]
    facts = decode(frame(421, symbol="BTCTRY", items=items))
    assert isinstance(facts[0], TradeSeen)
    assert (facts[0].live, facts[0].trade.source, facts[0].trade.trade_id) == (False, "backfill", "3")
    refused = [fact for fact in facts[1:] if isinstance(fact, Refused)]
    assert [fact.kind for fact in refused] == ["quarantine", "unreadable", "unreadable", "unreadable"]
    assert all(fact.contract == NAME for fact in refused)


def test_a_rounded_size_is_flagged() -> None:
    (fact,) = decode(frame(422, **trade(A="0.12345678901234567")))
    assert isinstance(fact, TradeSeen) and fact.trade.flags == SIZE_ROUNDED


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"S": 2}, "'2' is no known side"),
        ({"P": "0"}, "is no price"),
        ({"P": "nan"}, "is no number"),
        ({"A": "-1"}, "is negative"),
        ({"D": "soon"}, "is no whole number"),
        ({"D": "99999999999999999999"}, "out of range"),
        ({"I": ""}, "is no trade id"),
        ({"A": None}, "Expected"),
    ],
)
def test_a_trade_that_makes_no_sense_is_refused_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    refused = one_refusal(frame(422, **trade(**fields)))
    assert refused.kind == "unreadable"
    assert reason in refused.text


def test_a_ticker_is_read() -> None:
    expected = TickerSeen(NAME, 2000000.0, (1999999.0, 0.5), (2000001.0, 0.25), 12.0, None, None)
    assert decode(frame(402, **ticker())) == [expected]
    other = ticker(PS="ETHTRY")
    assert decode(frame(401, items=[other, ticker(), {"PS": 5}])) == [
        expected,
        Refused("unreadable", None, "Expected `str | null`, got `int` - at `$.PS`", b'{"PS": 5}'),
    ]


def test_a_ticker_is_taken_without_what_it_leaves_out() -> None:
    assert decode(frame(402, PS="BTCTRY")) == [TickerSeen(NAME, None, None, None, None, None, None)]
    (fact,) = decode(frame(402, **ticker(B="0", BA="0.0", V="0.12345678901234567")))
    assert isinstance(fact, TickerSeen)
    assert (fact.bid, fact.ask, fact.flags) == (None, (2000001.0, 0.25), STATISTIC_ROUNDED)


def test_a_ticker_whose_price_cannot_be_kept_is_quarantined() -> None:
    refused = one_refusal(frame(402, **ticker(LA="1234567.890123456")))
    assert (refused.kind, refused.contract) == ("quarantine", NAME)


def test_a_whole_book_is_read() -> None:
    body: dict[str, Any] = {
        "CS": -17,
        "PS": None,
        "event": "BTCTRY",
        "AO": [level("101", "1"), level("102", "2")],
        "BO": [level("100", "3"), level("99", "0")],
    }
    expected = ((100.0, 3.0),), ((101.0, 1.0), (102.0, 2.0))
    assert decode(frame(431, channel="obdiff", **body)) == [BookSnapshot(NAME, "obdiff", -17, *expected)]
    assert decode(frame(431, channel="orderbook", **body)) == [BookSnapshot(NAME, "orderbook", -17, *expected)]
    assert "neither obdiff nor orderbook" in one_refusal(frame(431, **body)).text


def test_a_difference_is_read_and_a_removed_level_has_size_0() -> None:
    data = frame(432, CS=5, PS="BTCTRY", AO=[level("101", "1", 0)], BO=[level("100", "3", 1), level("99", "7", 3)])
    assert decode(data) == [BookDiff(NAME, 5, ((100.0, 3.0), (99.0, 0.0)), ((101.0, 1.0),))]


@pytest.mark.parametrize("change", [2, 4, None])
def test_an_unknown_change_refuses_the_difference(change: int | None) -> None:
    refused = one_refusal(frame(432, CS=5, PS="BTCTRY", AO=[level("101", "1", change)], BO=[]))
    assert (refused.kind, refused.contract) == ("unreadable", NAME)
    assert "is no known change" in refused.text


def test_the_answer_to_a_join_is_read() -> None:
    assert decode(frame(100, ok=True, message="join|obdiff:BTCTRY")) == [
        Joined("obdiff", "BTCTRY", True, "join|obdiff:BTCTRY")
    ]
    assert decode(frame(100, ok=False, message=None)) == [Joined("", "", False, "")]


@pytest.mark.parametrize(
    "data",
    [
        frame(991, current="6.0.0", min="2.3.0"),
        frame(114, ok=True, id=0, message=None),
        frame(7777, news=[1, {"a": None}]),
        frame(422, **trade(PS="DOGETRY")),
        frame(421, symbol="DOGETRY", items=[1]),
        frame(402, **ticker(PS="DOGETRY")),
        frame(431, CS=1, PS="DOGETRY", AO=[], BO=[]),
        frame(432, CS=1, PS="DOGETRY", AO=[], BO=[]),
    ],
)
def test_other_messages_and_other_pairs_are_passed_over(data: bytes) -> None:
    assert decode(data) == []


@pytest.mark.parametrize("data", [b"", b"{}", b"[", b"[431]", b'["a",{}]', b"\xff\xfe", b"[" * 100_000, b"[422,[]]"])
def test_junk_is_refused_and_kept(data: bytes) -> None:
    refused = one_refusal(data)
    assert (refused.kind, refused.data) == ("unreadable", data)


def test_a_card_with_an_unknown_adapter_is_refused() -> None:
    assert isinstance(market_adapter(CARD, [BTC]), BtcturkMarket)
    with pytest.raises(ConfigError, match="no 'nowhere'; there are: btcturk"):
        market_adapter(CARD.model_copy(update={"adapter": "nowhere"}), [BTC])


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("ab01.-e ", max_size=8),
    st.just([]),
    st.just({}),
)
_BODIES = st.sampled_from(
    [
        (402, ticker()),
        (422, trade()),
        (421, {"symbol": "BTCTRY", "items": [trade()]}),
        (431, {"CS": 1, "PS": "BTCTRY", "channel": "obdiff", "AO": [level("2", "1")], "BO": []}),
        (432, {"CS": 1, "PS": "BTCTRY", "AO": [level("2", "1", 1)], "BO": []}),
        (100, {"ok": True, "message": "join|obdiff:BTCTRY"}),
    ]
)


@given(_BODIES, st.dictionaries(st.sampled_from(["new", "Q", "type2", "channelId"]), _VALUES))
def test_unknown_fields_change_nothing(body: tuple[int, dict[str, Any]], unknown: dict[str, Any]) -> None:
    kind, fields = body
    known = decode(json.dumps([kind, fields]).encode())
    assert known and not any(isinstance(fact, Refused) for fact in known)
    assert decode(json.dumps([kind, fields | unknown, "more"]).encode()) == known


@given(_BODIES, st.data())
def test_any_value_in_any_field_is_read_or_refused_and_never_raises(
    body: tuple[int, dict[str, Any]], data: st.DataObject
) -> None:
    kind, fields = body
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = json.dumps([kind, fields | {name: data.draw(_VALUES)}]).encode()
    for fact in decode(changed):
        assert isinstance(fact, Refused | TickerSeen | TradeSeen | BookSnapshot | BookDiff | Joined)
    assert all(fact.text for fact in decode(changed) if isinstance(fact, Refused))


@given(st.integers())
def test_any_enum_value_is_read_or_refused_with_the_reason(value: int) -> None:
    (seen,) = decode(frame(422, **trade(S=value)))
    assert isinstance(seen, TradeSeen if value in (0, 1) else Refused)
    (diff,) = decode(frame(432, CS=5, PS="BTCTRY", AO=[level("101", "1", value)], BO=[]))
    assert isinstance(diff, BookDiff if value in (0, 1, 3) else Refused)


SEEN = {
    "ws.welcome": [],
    "ws.subscribe": [],
    "ws.subscribe.obdiff": [],
    "ws.unsubscribe": [],
    "ws.result.join": [Joined],
    "ws.ticker.pair": [TickerSeen],
    "ws.ticker.all": [TickerSeen],
    "ws.trade.list": [TradeSeen] * 5,
    "ws.trade.single": [TradeSeen],
    "ws.trade.single.btcusdt": [TradeSeen],
    "ws.orderbook.full": [BookSnapshot],
    "ws.orderbook.full.2022": [BookSnapshot],
    "ws.obdiff.sequence.1.snapshot": [BookSnapshot],
    "ws.obdiff.sequence.2.stale_diff": [BookDiff],
    "ws.obdiff.sequence.3.equal_diff": [BookDiff],
    "ws.obdiff.btcusdt": [BookDiff],
    "ws.obdiff.null_ps_snapshot": [BookSnapshot],
    # The private feed is read by the trading adapter; the market adapter passes over it.
    "ws.login.ok": [],
    "ws.login.fail": [],
    "ws.balance_updated": [],
    "ws.user.order_match": [],
    # Two frames written as one: the first element is no message type.
    "ws.user.order_match.split": [Refused],
    "ws.user.order_insert": [],
    "ws.user.order_delete": [],
    "ws.user.trade": [],
}


@pytest.mark.reference
def test_every_socket_payload_collected_is_read_or_refused_for_the_stated_reason(reference: Path) -> None:
    examples = json.loads((reference / "reference/btcturk_examples.json").read_text())["examples"]
    pairs = [("btc", "try"), ("btc", "usdt"), ("ada", "try"), ("avax", "usdt"), ("dot", "try")]
    market = BtcturkMarket(CARD, [Contract("btcturk", *pair) for pair in pairs])
    found = {
        example["id"]: [type(fact) for fact in decode(json.dumps(example["payload"]).encode(), market)]
        for example in examples
        if example["id"].startswith("ws.")
    }
    assert found == SEEN
