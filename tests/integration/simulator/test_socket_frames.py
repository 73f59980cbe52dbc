"""The socket over the wire: greeting, joins, market frames, login and private messages."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from pathlib import Path

import websocket

from tests.integration.simulator.client import Client, Feed
from tests.simulation import Simulation, start_simulator
from tests.waiting import until


def test_greeting_join_and_leave(venue: Simulation) -> None:
    with Feed(venue) as feed:
        assert feed.read() == (991, {"type": 991, "current": "6.0.0", "min": "2.3.0"})
        feed.join("trade")
        assert feed.frames[-1] == (100, {"type": 100, "ok": True, "message": "join|trade:BTCUSDT"})
        feed.send(151, channel="trade", event="BTCUSDT", join=False)
        assert feed.wait(lambda kind, body: kind == 100)["message"] == "leave|trade:BTCUSDT"
        venue.trade("BTCUSDT", "100.75", "1", "buy")
        feed.join("ticker", "all")
        feed.next(401)
        assert feed.of(422) == []


def test_a_channel_that_does_not_exist_is_answered_not_ok(venue: Simulation) -> None:
    with Feed(venue) as feed:
        for channel, event in (("weather", "BTCUSDT"), ("trade", "NOPE"), ("obdiff", "all")):
            feed.join(channel, event)
            assert feed.frames[-1][1] == {"type": 100, "ok": False, "message": f"join|{channel}:{event}"}


def test_what_is_no_message_is_answered_and_the_socket_lives(venue: Simulation) -> None:
    with Feed(venue) as feed:
        for text in ("nonsense", "[]", '"[151,{}]"', "[151]", '["a",{}]', "[1,2]", "{}", "\u00e7", "[" * 100_000):
            feed.socket.send(text)
            assert feed.next(100) == {"type": 100, "ok": False, "message": "invalid message"}
        feed.join("trade")


def test_trades_list_first_then_each_once(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.join("trade")
        (first,) = feed.next(421)["items"]
        assert (first["P"], first["A"], first["S"]) == ("100.5000000000", "0.1000000000", 1)
        venue.trade("BTCUSDT", "100.25", "0.12345678", "sell")
        trade = feed.next(422)
        assert set(trade) == {"D", "I", "A", "P", "PS", "S", "channel", "event", "type"}
        assert (trade["P"], trade["A"], trade["S"], trade["PS"]) == ("100.2500000000", "0.1234567800", 0, "BTCUSDT")
        assert int(trade["I"]) == int(first["I"]) + 1 and isinstance(trade["D"], str)
        feed.send(101, code=421, channel="trade", event="BTCUSDT")
        assert [item["I"] for item in feed.next(421)["items"]] == [trade["I"], first["I"]]


def test_a_book_begins_with_the_number_of_the_next_difference(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.join("obdiff")
        book = feed.next(431)
        assert [level["P"] for level in book["BO"]] == ["100", "99.5"]
        assert [level["P"] for level in book["AO"]] == ["101", "102.25"]
        assert (book["channel"], book["event"], book["PS"]) == ("obdiff", "BTCUSDT", "BTCUSDT")
        assert feed.next(432)["CS"] == book["CS"] - 1, "the stale one that the live venue sends"
        venue.levels("BTCUSDT", bids=[("100.00", "0"), ("99.50", "4"), ("99.75", "1")])
        difference = feed.next(432)
        assert difference["CS"] == book["CS"]
        changes = {level["P"]: (level["A"], level["CP"]) for level in difference["BO"]}
        assert changes == {"99.5": ("4", 0), "99.75": ("1", 1), "100": ("1", 3)}


def test_tickers_and_full_books_come_again_and_again(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.join("ticker")
        feed.join("ticker", "all")
        feed.join("orderbook")
        feed.wait(lambda *_: min(len(feed.of(kind)) for kind in (401, 402, 431)) >= 3)
    ticker = feed.of(402)[-1]
    assert all(isinstance(ticker[key], str) for key in ("B", "A", "BA", "AA", "LA", "V", "AV", "D", "DP"))
    assert (ticker["B"], ticker["BA"], ticker["LA"], ticker["PId"]) == ("100", "1", "100.5", 19)
    assert feed.of(401)[-1]["items"] == [
        {key: ticker[key] for key in ticker if key not in ("channel", "event", "type")}
    ]
    assert {book["channel"] for book in feed.of(431)} == {"orderbook"}


def test_login_signs_key_and_nonce(venue: Simulation) -> None:
    with Feed(venue) as feed:
        answer = feed.login()
        assert (answer["ok"], answer["message"]) == (True, None) and answer["id"] > 0
        assert feed.login() == {"type": 114, "ok": False, "id": 0, "message": "Unauthorized - Invalid Request"}


def test_a_rest_key_cannot_log_in(venue: Simulation) -> None:
    with Feed(venue) as feed:
        answer = feed.login(publicKey=venue.keys.public_key)
        assert (answer["ok"], answer["message"]) == (False, "Unauthorized - Invalid Public key")
        assert feed.login(timestamp=None)["message"] == "Unauthorized - Invalid Request"
        assert feed.login()["ok"] is True


def _kinds_until(feed: Feed, last: int) -> list[int]:
    before = len(feed.frames)
    feed.next(last)
    return [kind for kind, _ in feed.frames[before:]]


def test_the_life_of_an_order_in_private_messages(venue: Simulation, client: Client) -> None:
    with Feed(venue) as feed:
        feed.login()
        order_id = client.placed("sell", "limit", "1", price="100.50", newOrderClientId="mine")
        assert _kinds_until(feed, 201) == [451, 201]
        insert = feed.of(451)[0]
        assert (insert["id"], insert["orderType"], insert["method"], insert["numLeft"]) == (order_id, 1, 0, "1")
        venue.levels("BTCUSDT", bids=[("100.75", "0.25")])
        assert _kinds_until(feed, 201) == [441, 423, 201]
        venue.trade("BTCUSDT", "100.90", "5", "buy")
        assert _kinds_until(feed, 201) == [441, 423, 452, 201]
    match, fill, delete = feed.of(441)[0], feed.of(423), feed.of(452)[0]
    assert (match["id"], match["isBid"], match["amount"], match["clientId"]) == (
        order_id,
        False,
        "0.2500000000",
        "mine",
    )
    assert "type" not in fill[0]
    assert [row["preciseAmount"] for row in fill] == [Decimal("-0.25"), Decimal("-0.75")]
    assert (delete["id"], Decimal(delete["numLeft"]), delete["newOrderClientId"]) == (order_id, 0, "mine")
    assert feed.of(201)[0]["payload"] == "19,2,10"
    rows = client.data("/api/v1/users/transactions/trade", orderId=order_id)
    assert rows == fill[::-1], "the socket and REST tell the same"


def test_a_cancel_is_told_by_452(venue: Simulation, client: Client) -> None:
    with Feed(venue) as feed:
        feed.login()
        order_id = client.placed("buy", "limit", "1", price="90")
        client.cancel(order_id)
        delete = feed.next(452)
    assert (delete["id"], delete["numLeft"]) == (order_id, "1.0000000000000000")


def test_private_messages_go_to_their_owner_only(venue: Simulation, client: Client) -> None:
    with Feed(venue) as stranger:
        client.placed("buy", "limit", "1", price="90")
        stranger.join("ticker")
        stranger.next(402)
        assert {kind for kind, _ in stranger.frames} == {991, 100, 402}


def test_a_ping_is_answered_with_its_payload(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.read()
        feed.socket.ping("are you there")
        opcode, data = feed.socket.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")


def test_logout_closes_the_socket(venue: Simulation) -> None:
    with Feed(venue) as feed:
        feed.read()
        feed.send(113)
        opcode, data = feed.socket.recv_data(control_frame=True)
        assert (opcode, struct.unpack("!H", data[:2])[0]) == (websocket.ABNF.OPCODE_CLOSE, 1000)


def test_a_client_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    with start_simulator(tmp_path, socket_buffer=200_000, book_interval_ms=5.0) as venue:
        levels = [(f"{price / 100:.2f}", "1.12345678") for price in range(10_000, 20_000)]
        venue.book("BTCUSDT", bids=[], asks=levels)
        with Feed(venue) as feed:
            feed.send(151, channel="orderbook", event="BTCUSDT", join=True)
            until(lambda: venue.counts()["sockets"] == 1)
            for _ in range(60):
                feed.send(151, channel="obdiff", event="BTCUSDT", join=True)
            until(lambda: venue.counts()["sockets"] == 0)
        with Feed(venue) as other:
            other.join("ticker")


def test_frames_are_one_array_of_type_and_object(venue: Simulation) -> None:
    with Feed(venue) as feed:
        for channel in ("ticker", "trade", "orderbook", "obdiff"):
            feed.join(channel)
        for _ in range(12):
            kind, body = json.loads(feed.socket.recv())
            assert body["type"] == kind
