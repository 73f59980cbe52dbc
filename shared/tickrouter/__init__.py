"""tickrouter: ticks in, orders out, fills back, over Redis and MongoDB.

`Client` is all that a trading program needs; the rest is what it hands out and raises. Each name is imported when
it is first used: a process that needs only the errors does not load the drivers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickrouter.client import Client
    from tickrouter.errors import ConfigError, HistoryGap, InvalidValue, StorageError, TickrouterError, Unreadable
    from tickrouter.model.account import Account, Balance
    from tickrouter.model.bar import Bar
    from tickrouter.model.book import Book
    from tickrouter.model.contract import Contract
    from tickrouter.model.event import Event, Reason
    from tickrouter.model.feed import Feed
    from tickrouter.model.fill import Fill
    from tickrouter.model.order import Order, Status
    from tickrouter.model.tick import Tick
    from tickrouter.model.trade import Trade

__all__ = [
    "Account",
    "Balance",
    "Bar",
    "Book",
    "Client",
    "ConfigError",
    "Contract",
    "Event",
    "Feed",
    "Fill",
    "HistoryGap",
    "InvalidValue",
    "Order",
    "Reason",
    "Status",
    "StorageError",
    "Tick",
    "TickrouterError",
    "Trade",
    "Unreadable",
]

_ERRORS = frozenset({"ConfigError", "HistoryGap", "InvalidValue", "StorageError", "TickrouterError", "Unreadable"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "client" if name == "Client" else "errors" if name in _ERRORS else "model"
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
