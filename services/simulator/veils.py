"""What an account is shown of its orders: hidden for a while, or under an altered client id. The ledger stays true."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .problems import refused
from .request import Answer, of_problem

LISTINGS: Mapping[str, str] = {
    "open_orders": "/api/v1/openorders",
    "all_orders": "/api/v1/allorders",
    "one_order": "/api/v1/order/",
    "trades": "/api/v1/users/transactions/trade",
}
"""Sources that a veil may lie over, and how their paths begin. `frames` are the private messages."""
SOURCES = (*LISTINGS, "frames")
ECHOES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "dashes": lambda text: str(uuid.UUID(text)) if len(text) == 32 else text,
    "none": lambda _text: "",
}
"""How a venue may give a client id back."""
_CLIENT_IDS = ("orderClientId", "newOrderClientId", "clientId")
_ORDER_IDS = ("orderId", "id")


@dataclass(frozen=True, slots=True)
class Veil:
    """Hides one order of an account in some sources until a time."""

    account: str
    order_id: int
    until: float
    sources: frozenset[str]


class Veils:
    """All veils. `now` of the calls is monotonic seconds."""

    def __init__(self) -> None:
        self._veils: list[Veil] = []
        self._echoes: dict[str, str] = {}

    def hide(self, veil: Veil) -> None:
        """Lay a veil over an order."""
        self._veils.append(veil)

    def echo(self, account: str, mode: str) -> None:
        """Give back the account's client ids altered; see `ECHOES`."""
        self._echoes[account] = mode

    def clear(self) -> None:
        """Show everything as it is."""
        self._veils.clear()
        self._echoes.clear()

    def answer(self, account: str, path: str, answer: Answer, now: float) -> Answer:
        """An answer to an account as it is shown."""
        source = next((name for name, start in LISTINGS.items() if path.lower().startswith(start)), None)
        hidden = self._hidden(account, source, now) if source else frozenset()
        echo = self._echoes.get(account)
        if answer.status != 200 or (not hidden and echo is None):
            return answer
        body = json.loads(answer.body)
        if isinstance(body.get("data"), dict) and body["data"].get("id") in hidden:
            return of_problem(refused("Order not found"))
        body["data"] = _shown(body.get("data"), hidden, ECHOES[echo] if echo else None)
        return replace(answer, body=json.dumps(body, separators=(",", ":")).encode())

    def frame(self, account: str, frame: str, now: float) -> str | None:
        """A private message as it is shown; None if it is hidden."""
        hidden = self._hidden(account, "frames", now)
        echo = self._echoes.get(account)
        if not hidden and echo is None:
            return frame
        kind, body = json.loads(frame)
        order_id = body.get("orderId", body.get("id"))
        if kind != 201 and order_id in hidden:
            return None
        return json.dumps([kind, _shown(body, frozenset(), ECHOES[echo] if echo else None)])

    def _hidden(self, account: str, source: str | None, now: float) -> frozenset[int]:
        if not self._veils:
            return frozenset()
        self._veils = [veil for veil in self._veils if veil.until > now]
        return frozenset(veil.order_id for veil in self._veils if veil.account == account and source in veil.sources)


def _shown(data: Any, hidden: frozenset[int], echo: Callable[[str], str] | None) -> Any:
    if isinstance(data, list):
        return [_shown(row, hidden, echo) for row in data if not _is_hidden(row, hidden)]
    if not isinstance(data, dict):
        return data
    if "asks" in data and "bids" in data:
        return {side: _shown(rows, hidden, echo) for side, rows in data.items()}
    return {
        key: echo(value) if echo is not None and key in _CLIENT_IDS and isinstance(value, str) else value
        for key, value in data.items()
    }


def _is_hidden(row: Any, hidden: frozenset[int]) -> bool:
    if not isinstance(row, dict):
        return False
    name = next((name for name in _ORDER_IDS if name in row), None)
    return name is not None and row[name] in hidden
