"""Orders as MongoDB's copy has them, read back as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64
from msgspec.structs import fields
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError, Unreadable
from tickrouter.history.connection import Document
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Reason
from tickrouter.model.fill import Fill
from tickrouter.model.money import plain
from tickrouter.model.order import Order, Replacement, Status

_FINAL = [str(status) for status in Status if status.is_final]
_NAMES = tuple(field.name for field in fields(Order))


def copy_of(db: Database[Document], account: Account, client_oid: str) -> Order | None:
    """An order as it was copied last, or None.

    Raises:
        StorageError: MongoDB did not answer.
        Unreadable: the document is no order.
    """
    try:
        found = db.orders.find_one({"_id": f"{account}#{client_oid}"})
    except PyMongoError as error:
        raise StorageError(f"MongoDB: orders of {account}: {error}") from error
    return _order(found) if found is not None else None


def open_copies(db: Database[Document], account: Account) -> list[Order]:
    """Orders that were not final when they were copied last.

    Raises:
        StorageError: MongoDB did not answer.
        Unreadable: a document is no order.
    """
    try:
        return [_order(row) for row in db.orders.find({"account": str(account), "status": {"$nin": _FINAL}})]
    except PyMongoError as error:
        raise StorageError(f"MongoDB: orders of {account}: {error}") from error


def _order(document: Document) -> Order:
    try:
        given = {name: _value(name, document[name]) for name in _NAMES if document.get(name) is not None}
        return Order(**given)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"orders: {document.get('_id')}: {error!r}") from error


def _value(name: str, stored: Any) -> Any:
    match name:
        case "account":
            return Account.parse(stored)
        case "contract":
            return Contract.parse(stored)
        case "status":
            return Status(stored)
        case "reason":
            return Reason.from_wire(stored)
        case "replacement":
            return Replacement.from_wire(stored)
        case "fills":
            return {row["trade_id"]: _fill(row) for row in stored}
    return _plain(stored)


def _fill(row: dict[str, Any]) -> Fill:
    return Fill.from_wire({name: _text(value) for name, value in row.items()})


def _text(value: Any) -> Any:
    return plain(value.to_decimal()) if isinstance(value, Decimal128) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal128):
        number: Decimal = value.to_decimal()
        return number
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
