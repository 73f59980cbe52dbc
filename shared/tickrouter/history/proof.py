"""Is a hole among trades closed? Only the venue's ids prove it: they rise by one from trade to trade."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.connection import Document

MOST = 10_000
"""Trades of a hole that are looked for at most."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Every id between the last trade before a hole and the first behind it is stored.

    Attributes:
        before: id of the last trade recorded live before the hole.
        after: id of the first one behind it.
        trades: how many there are in between.
    """

    before: int
    after: int
    trades: int


def proof(db: Database[Document], contract: str, start: int, end: int) -> Proof | None:
    """The proof that no trade of start <= time < end is lacking, or None as long as there is none.

    Args:
        db: where the trades are.
        contract: canonical name.
        start: of the hole, ns since 1970 UTC, by our receive time.
        end: its end.

    Raises:
        StorageError: MongoDB did not answer.
    """
    own = {"contract": contract, "source": "live"}
    try:
        first = db["trades"].find_one(
            own | {"time": {"$lt": start}}, {"trade_id": 1}, sort=[("time", DESCENDING), ("n", DESCENDING)]
        )
        last = db["trades"].find_one(
            own | {"time": {"$gte": end}}, {"trade_id": 1}, sort=[("time", ASCENDING), ("n", ASCENDING)]
        )
        if first is None or last is None:
            return None
        if not (first["trade_id"].isdecimal() and last["trade_id"].isdecimal()):
            return None
        before, after = int(first["trade_id"]), int(last["trade_id"])
        between = after - before - 1
        if not 0 <= between <= MOST:
            return None
        keys = [f"{contract}#t{number}" for number in range(before + 1, after)]
        stored = db["trades"].count_documents({"_id": {"$in": keys}}) if keys else 0
    except PyMongoError as error:
        raise StorageError(f"MongoDB: trades: {error}") from error
    return Proof(before, after, between) if stored == between else None
