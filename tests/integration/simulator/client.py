"""A plain client of the simulated venue: requests for REST, websocket-client for the socket."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import requests
import websocket

from tests.simulation import Simulation

BIDS = [("100.00", "1"), ("99.50", "2")]
ASKS = [("101.00", "2"), ("102.25", "3")]


class Client:
    """Signed REST calls; answers are read with exact numbers."""

    def __init__(self, venue: Simulation) -> None:
        self.venue = venue
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **parameters: Any) -> requests.Response:
        headers = self.venue.headers() if path.startswith("/api/v1/") else None
        return self.session.get(self.venue.base + path, params=parameters, headers=headers, timeout=10)

    def data(self, path: str, **parameters: Any) -> Any:
        """The `data` of an answer that must be good."""
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)["data"]

    def order(self, side: str, method: str, quantity: str, **fields: str) -> requests.Response:
        body = {"pairSymbol": "BTCUSDT", "orderType": side, "orderMethod": method, "quantity": quantity, **fields}
        return self.session.post(
            self.venue.base + "/api/v1/order", data=json.dumps(body), headers=self.venue.headers(), timeout=10
        )

    def placed(self, side: str, method: str, quantity: str, **fields: str) -> int:
        """Id of an order that must be taken."""
        answer = self.order(side, method, quantity, **fields)
        assert answer.status_code == 200, answer.text
        number: int = answer.json()["data"]["id"]
        return number

    def cancel(self, order_id: int) -> requests.Response:
        return self.session.delete(
            f"{self.venue.base}/api/v1/order", params={"id": order_id}, headers=self.venue.headers(), timeout=10
        )

    def one(self, order_id: int) -> Any:
        return self.data(f"/api/v1/order/{order_id}")

    def wallet(self, symbol: str) -> Any:
        return next(row for row in self.data("/api/v1/users/balances") if row["asset"] == symbol)


class Feed:
    """A socket; frames are kept in the order in which they came."""

    def __init__(self, venue: Simulation) -> None:
        self.venue = venue
        self.socket = websocket.create_connection(venue.socket, timeout=10)
        self.frames: list[tuple[int, dict[str, Any]]] = []

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, kind: int, **body: Any) -> None:
        self.socket.send(json.dumps([kind, {"type": kind, **body}]))

    def join(self, channel: str, event: str = "BTCUSDT") -> None:
        """Join and wait for the answer."""
        self.send(151, channel=channel, event=event, join=True)
        self.wait(lambda kind, body: kind == 100 and body["message"] == f"join|{channel}:{event}")

    def login(self, **changed: Any) -> dict[str, Any]:
        keys = self.venue.keys
        message = f"{keys.socket_public_key}3000".encode()
        digest = hmac.digest(base64.b64decode(keys.socket_private_key), message, "sha256")
        body = {
            "publicKey": keys.socket_public_key,
            "timestamp": time.time_ns() // 1_000_000,
            "nonce": 3000,
            "signature": base64.b64encode(digest).decode(),
        }
        self.send(114, **(body | changed))
        return self.wait(lambda kind, _: kind == 114)

    def read(self) -> tuple[int, dict[str, Any]]:
        """The next frame."""
        kind, body = json.loads(self.socket.recv(), parse_float=Decimal)
        self.frames.append((kind, body))
        return kind, body

    def wait(self, wanted: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """Read on until a frame is the wanted one; `recv` gives up after 10 s."""
        while True:
            kind, body = self.read()
            if wanted(kind, body):
                return body

    def next(self, wanted: int) -> dict[str, Any]:
        """The next frame of a type."""
        return self.wait(lambda kind, _: kind == wanted)

    def of(self, wanted: int) -> list[dict[str, Any]]:
        """All frames of a type so far."""
        return [body for kind, body in self.frames if kind == wanted]
