"""What MongoDB's copy of an account knows: the router asks it when Redis forgot."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.core import risk_word
from tickrouter.errors import StorageError
from tickrouter.history.connection import DURABLE, Document


def highest_epoch(db: Database[Document], account: str) -> int:
    """The highest epoch that was recorded, or is among the copied events; 0 where there is none.

    Raises:
        StorageError: MongoDB did not answer, so nothing can be said.
    """
    found = _newest(db, {"account": account})
    try:
        recorded = db.epochs.find_one({"_id": account})
    except PyMongoError as error:
        raise StorageError(f"MongoDB: epochs of {account}: {error}") from error
    return max(int(known["epoch"]) if known else 0 for known in (found, recorded))


def record_epoch(db: Database[Document], account: str, epoch: int) -> None:
    """Keep, for good, that an epoch was opened.

    Raises:
        StorageError: MongoDB did not acknowledge it.
    """
    try:
        epochs = db.get_collection("epochs", write_concern=DURABLE)
        epochs.update_one({"_id": account}, {"$max": {"epoch": epoch}}, upsert=True)
    except PyMongoError as error:
        raise StorageError(f"MongoDB: epochs of {account}: {error}") from error


@dataclass(frozen=True, slots=True)
class Said:
    """What an operator said, and the number of the event that told it.

    `word` is `run` or `halt:…`, or a risk rule's text: None where the configuration's counts again.
    """

    word: str | None
    epoch: int
    seq: int


def last_halt(db: Database[Document], account: str) -> Said | None:
    """The operator's last word; None where there never was one.

    Raises:
        StorageError: MongoDB did not answer.
    """
    found = _newest(db, {"account": account, "type": "halt"})
    return Said(str(found["fact"]), int(found["epoch"]), int(found["seq"])) if found and found.get("fact") else None


def last_rules(db: Database[Document], account: str) -> dict[str, Said]:
    """The operator's last word on each risk rule that was ever set.

    Raises:
        StorageError: MongoDB did not answer.
    """
    found: dict[str, Said] = {}
    try:
        for event in db.events.find({"account": account, "type": "risk"}).sort([("epoch", 1), ("seq", 1)]):
            heard = risk_word.heard(str(event["fact"]))
            if heard is not None:
                found[heard[0]] = Said(heard[1], int(event["epoch"]), int(event["seq"]))
    except PyMongoError as error:
        raise StorageError(f"MongoDB: events of {account}: {error}") from error
    return found


def is_known(db: Database[Document], account: str, client_oid: str) -> bool:
    """True if the copy knows an order of this client id.

    Raises:
        StorageError: MongoDB did not answer.
    """
    try:
        return db.orders.find_one({"_id": f"{account}#{client_oid}"}, {"_id": 1}) is not None
    except PyMongoError as error:
        raise StorageError(f"MongoDB: orders of {account}: {error}") from error


def is_unused(db: Database[Document], venue: str) -> bool:
    """True if the copy knows no order of any account at a venue.

    Raises:
        StorageError: MongoDB did not answer.
    """
    try:
        # Ids begin with the account, which begins with the venue; "0" is what follows "/".
        return db.orders.find_one({"_id": {"$gte": f"{venue}/", "$lt": f"{venue}0"}}, {"_id": 1}) is None
    except PyMongoError as error:
        raise StorageError(f"MongoDB: orders at {venue}: {error}") from error


def _newest(db: Database[Document], query: Document) -> Document | None:
    try:
        return db.events.find_one(query, sort=[("epoch", DESCENDING), ("seq", DESCENDING)])
    except PyMongoError as error:
        raise StorageError(f"MongoDB: events of {query['account']}: {error}") from error
