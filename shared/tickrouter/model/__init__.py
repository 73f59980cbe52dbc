"""Values: frozen, slotted, without behaviour beyond reading themselves."""

from tickrouter.model.account import Account, Balance
from tickrouter.model.bar import Bar
from tickrouter.model.book import Book
from tickrouter.model.command import Command
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
    "Command",
    "Contract",
    "Event",
    "Feed",
    "Fill",
    "Order",
    "Reason",
    "Status",
    "Tick",
    "Trade",
]
