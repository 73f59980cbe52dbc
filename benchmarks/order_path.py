"""From a command in the queue to its event, through a router process, against a bare post of the same order.

The clock starts before the command's XADD leaves and stops when the order's event with the venue's acceptance has come
to a reader who was waiting for it, and not for the event of its admission, which comes before. The bare post is
`requests.Session().post` of the same signed order to the same simulated venue, from an account of its own. Orders go
one after the other and rest in the book; between two series they are cancelled, unmeasured.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import hiredis
import requests
import yaml

from benchmarks.report import Figure, ratios
from services.simulator.settings import demo_account
from services.stack.servers import Server
from tests.routing import CONTRACT, Routing, routing
from tests.simulation import Simulation, start_simulator
from tests.waiting import until
from tickrouter.bus.codec import pack_map, unpack_map
from tickrouter.bus.connection import connect

ORDERS = 300
"""Orders in a series."""
WARM = 100
"""Orders before the first series, uncounted."""
FLOOD = 2000
"""Orders at once, where it is the rate that counts."""
PATIENCE = 30.0
PRICE = "100"
BIDS, ASKS = [("99.00", "1000000")], [("200.00", "1000000")]
_UNLIMITED = 1_000_000
LEAST_RATE = 1000.0
"""Orders a second that one router has to take to a venue of 20 ms."""


class Strategy:
    """What waits for events is a program of its own at the lowest cost: two connections, commands packed by hand."""

    def __init__(self, redis_url: str, routed: Routing) -> None:
        self._client: Any = connect(redis_url)
        self._sends = self._client.connection_pool.get_connection()
        self._hears = self._client.connection_pool.get_connection()
        self._keys = routed.keys
        self._account = routed.account
        self._seen = b"0"

    def skip(self) -> None:
        """Pass over the events so far."""
        newest = self._client.xrevrange(self._keys.events, count=1)
        self._seen = newest[0][0] if newest else b"0"

    def order(self) -> float:
        """Place one order; seconds until its acceptance was read.

        Raises:
            RuntimeError: it was not accepted.
        """
        client_oid = uuid.uuid4().hex
        command = self._place(client_oid)
        self._seen = _next(self._seen)
        self._wait_for_more()
        began = time.perf_counter()
        self._sends.send_packed_command([command])
        while True:
            answer = self._hears.read_response()
            ended = time.perf_counter()
            if answer is None:
                raise RuntimeError(f"no event of {client_oid}")
            statuses = [self._status(entry, client_oid) for entry in _entries(answer)]
            if statuses[-1] == "New":
                self._sends.read_response()
                return ended - began
            if statuses[-1] not in ("PendingNew", None):
                raise RuntimeError(f"{client_oid} is {statuses[-1]}")
            self._wait_for_more()

    def flood(self, count: int) -> float:
        """Place so many orders at once; orders a second, until the last acceptance was read.

        Raises:
            RuntimeError: one was not accepted.
        """
        waiting = {uuid.uuid4().hex for _ in range(count)}
        commands = [self._place(client_oid) for client_oid in waiting]
        began = time.perf_counter()
        self._sends.send_packed_command([b"".join(commands)])
        while waiting:
            self._wait_for_more()
            answer = self._hears.read_response()
            if answer is None:
                raise RuntimeError(f"no event of {len(waiting)} orders")
            for self._seen, (_, data) in _entries(answer):
                event = unpack_map(data)
                if event.get("status") == "New":
                    waiting.discard(event["client_oid"])
                elif event.get("client_oid") in waiting and event.get("status") != "PendingNew":
                    raise RuntimeError(f"an order is {event.get('status')}: {event.get('reason')}")
        ended = time.perf_counter()
        for _ in commands:
            self._sends.read_response()
        return count / (ended - began)

    def cancel_all(self) -> None:
        """Cancel what rests, and wait until it is gone."""
        fields = {"id": uuid.uuid4().hex, "account": self._account, "action": "cancel_all"}
        self._client.xadd(self._keys.orders, {"d": pack_map(fields)})
        until(lambda: not self._client.scard(self._keys.open), PATIENCE)
        self.skip()

    def close(self) -> None:
        """Let the connections go."""
        for connection in (self._sends, self._hears):
            connection.disconnect()
        self._client.close()

    def _place(self, client_oid: str) -> bytes:
        """The XADD of a place."""
        fields = {"id": uuid.uuid4().hex, "account": self._account, "action": "place", "client_oid": client_oid}
        fields |= {"contract": CONTRACT, "type": "limit", "side": "b", "price": PRICE, "amount": "0.5"}
        packed: bytes = hiredis.pack_command(("XADD", self._keys.orders, "*", "d", pack_map(fields)))
        return packed

    def _wait_for_more(self) -> None:
        command = ("XREAD", "COUNT", "100", "BLOCK", "5000", "STREAMS", self._keys.events, self._seen)
        self._hears.send_packed_command([hiredis.pack_command(command)])

    def _status(self, entry: Any, client_oid: str) -> str | None:
        self._seen, (_, data) = entry
        event = unpack_map(data)
        return event["status"] if event.get("client_oid") == client_oid else None


def _next(event: bytes) -> bytes:
    """The id behind an event's: their numbers have no hole, so it is known before that event is there."""
    epoch, _, number = event.partition(b"-")
    return b"%s-%d" % (epoch, int(number or 0) + 1)


def _entries(answer: Any) -> Any:
    """Of the one stream that was asked for; maps of the newer protocol come as dictionaries."""
    ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
    return entries


class BarePost:
    """The floor: one session, one post after the other."""

    def __init__(self, venue: Simulation) -> None:
        self._venue = venue
        self._session = requests.Session()

    def order(self) -> float:
        """Post one order; seconds until its answer was read.

        Raises:
            RuntimeError: it was not accepted.
        """
        fields = {"quantity": "0.5", "price": PRICE, "stopPrice": "0", "newOrderClientId": uuid.uuid4().hex}
        fields |= {"orderMethod": "limit", "orderType": "buy", "pairSymbol": "BTCUSDT"}
        body, headers = json.dumps(fields, separators=(",", ":")).encode(), self._venue.headers()
        began = time.perf_counter()
        answer = self._session.post(self._venue.base + "/api/v1/order", data=body, headers=headers, timeout=10)
        ended = time.perf_counter()
        if answer.status_code != 200:
            raise RuntimeError(f"the venue said {answer.status_code}: {answer.text[:200]}")
        return ended - began

    def cancel_all(self) -> None:
        """Cancel what rests."""
        address = self._venue.base + "/api/v1/"
        headers = {"headers": self._venue.headers(), "timeout": 10}
        shown = self._session.get(address + "openOrders?pairSymbol=BTCUSDT", **headers).json()["data"]
        for order in (*shown["bids"], *shown["asks"]):
            self._session.delete(f"{address}order?id={order['id']}", headers=self._venue.headers(), timeout=10)

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()


def measure(
    name: str,
    redis: Server,
    mongo_url: str,
    folder: Path,
    rounds: int,
    *,
    latency_ms: float = 0.0,
    private_feed: bool = False,
    target: float | None = None,
    floor: float | None = None,
) -> Iterator[Figure]:
    """The figures of one setting; the two ways take turns within a round.

    Args:
        name: of the figures.
        redis: holds the queue and the journal.
        mongo_url: of the router's MongoDB.
        folder: for the files of venue and router.
        rounds: how many, after one that warms up.
        latency_ms: that the venue spends on a request, half of it after executing.
        private_feed: the router also listens to the venue's private socket, which may tell of an order before its
            answer is back; without it, the answer is what counts.
        target: aimed at, of the order path's p50 over the bare post's.
        floor: what it has to reach.
    """
    with _running(redis, mongo_url, folder / name, latency_ms, private_feed=private_feed) as (ours, bare):
        series = _series(ours, bare, rounds)
    yield from _figures(name, *series, target, floor)


def measure_rate(redis: Server, mongo_url: str, folder: Path, rounds: int, *, latency_ms: float) -> Iterator[Figure]:
    """Orders a second through one router, all commands in the queue at once; for the arguments see `measure`."""
    with _running(redis, mongo_url, folder / "order_rate", latency_ms, private_feed=False) as (ours, _):
        ours.skip()
        runs = []
        for number in range(rounds + 1):
            rate = ours.flood(FLOOD if number else WARM)
            ours.cancel_all()
            if number:
                runs.append(rate)
    yield Figure("order_rate.slow_venue", "1/s", "higher", tuple(runs), floor=LEAST_RATE)


@contextmanager
def _running(
    redis: Server, mongo_url: str, folder: Path, latency_ms: float, *, private_feed: bool
) -> Iterator[tuple[Strategy, BarePost]]:
    """A router at a venue, and both ways to place."""
    accounts = (demo_account(), demo_account())
    with start_simulator(folder, limits=False, latency_ms=latency_ms, accounts=accounts) as venue:
        venue.book("BTCUSDT", BIDS, ASKS)
        account = f"b{uuid.uuid4().hex[:8]}"
        servers = {"redis_url": redis.url, "mongo_url": mongo_url}
        with routing(venue, folder, account, socket_key=private_feed, **servers) as routed:
            _lift_limits(folder / "btcturk.yaml")
            routed.config["router"] |= {"lease_ms": 3000, "request_timeout": 10.0, "poll_interval": 5.0}
            routed.start()
            venue.keys = accounts[1].keys
            ours, bare = Strategy(redis.url, routed), BarePost(venue)
            try:
                yield ours, bare
            finally:
                ours.close()
                bare.close()


def _series(ours: Strategy, bare: BarePost, rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of every order, round by round, of both."""
    found: tuple[list[list[float]], list[list[float]]] = ([], [])
    for number in range(rounds + 1):
        count = ORDERS if number else WARM
        for way, times in zip((ours, bare), found, strict=True):
            if isinstance(way, Strategy):
                way.skip()
            series = [way.order() for _ in range(count)]
            way.cancel_all()
            if number:
                times.append(series)
    return found


def _figures(
    name: str, ours: list[list[float]], bare: list[list[float]], target: float | None, floor: float | None
) -> Iterator[Figure]:
    middle, tail = [], []
    for way, rounds in (("router", ours), ("bare_post", bare)):
        middle.append(Figure(f"{name}.{way}.p50", "ms", "lower", tuple(median(times) * 1e3 for times in rounds)))
        tail.append(Figure(f"{name}.{way}.p99", "ms", "lower", tuple(_p99(times) * 1e3 for times in rounds)))
    yield from (middle[0], tail[0], middle[1], tail[1])
    yield ratios(f"{name}.against_bare_post", middle[0], middle[1], "lower", target, floor)


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def _lift_limits(card_file: Path) -> None:
    """Every window stays, and is asked for; it only never fills."""
    card = yaml.safe_load(card_file.read_text(encoding="utf-8"))
    for rule in card["limits"]:
        rule["limit"] = _UNLIMITED
    card_file.write_text(yaml.safe_dump(card), encoding="utf-8")
