"""The collection `coverage`: claims as documents, written by collectors, painted together by readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pymongo
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.core.coverage import NOT_MADE, opened, paint
from tickrouter.errors import StorageError
from tickrouter.history.connection import Document
from tickrouter.history.names import EXPIRED
from tickrouter.model.coverage import Claim, Interval, Opening

LEASE_NS = 2_000_000_000
"""How long a collector may have lived after its last word where no later sign of life is known."""


def claim_id(claim: Claim) -> str:
    """`_id` of a claim: the same claim told again takes its place."""
    return f"{claim.contract}#{claim.kind}#{claim.name}"


class CoverageWriter:
    """Writes claims; harmless to repeat, in any order."""

    def __init__(self, db: Database[Document], timeout: float = 5.0) -> None:
        """Set up; nothing is sent. `timeout` in seconds."""
        self._coverage = db["coverage"]
        self._timeout = timeout

    def prepare(self) -> None:
        """Make the indexes.

        Raises:
            StorageError: MongoDB did not answer.
        """
        head = [("contract", ASCENDING), ("kind", ASCENDING)]
        with _storage_errors(self._timeout):
            self._coverage.create_index([*head, ("end", ASCENDING)])
            self._coverage.create_index([*head, ("session", ASCENDING), ("told", ASCENDING)])

    def tell(self, claims: Sequence[Claim]) -> None:
        """Write claims down, durably.

        Raises:
            StorageError: MongoDB did not confirm.
        """
        if not claims:
            return
        updates = []
        for claim in claims:
            fields = claim.to_dict()
            # A claim that was told before only ever grows, whatever order a repeat comes in; a closed one stays so.
            updates.append(
                UpdateOne(
                    {"_id": claim_id(claim)},
                    [
                        {"$replaceWith": {"$mergeObjects": [{"$literal": fields}, "$$ROOT"]}},
                        {
                            "$set": {
                                **{
                                    name: {
                                        "$cond": [{"$gt": ["$end", claim.end]}, f"${name}", {"$literal": fields[name]}]
                                    }
                                    for name in ("first", "last", "count")
                                },
                                "is_open": {"$and": ["$is_open", claim.is_open]},
                            }
                        },
                        {"$set": {"end": {"$max": ["$end", claim.end]}}},
                    ],
                    upsert=True,
                )
            )
        with _storage_errors(self._timeout):
            self._coverage.bulk_write(updates, ordered=True)

    def open_session(self, opening: Opening) -> None:
        """Close what the sessions before left open, and claim what lies between.

        Raises:
            StorageError: MongoDB did not confirm; may be repeated.
        """
        claims: list[Claim] = []
        before = {"contract": opening.contract, "session": {"$lt": opening.session}, "note": ""}
        with _storage_errors(self._timeout):
            for kind in opening.kinds:
                own = before | {"kind": kind}
                last = self._coverage.find_one(own, {"end": 1}, sort=[("end", DESCENDING)])
                if last is not None:
                    is_open = self._coverage.find_one(own | {"is_open": True}, {"_id": 1}) is not None
                    end = int(last["end"])
                    claims += opened(opening if opening.alive else _guessed(opening, end), kind, end, is_open)
        self.tell(claims)
        with _storage_errors(self._timeout):
            self._coverage.update_many(before | {"is_open": True}, {"$set": {"is_open": False}})


def claims_of(
    db: Database[Document], contract: str, kind: str, start: int, end: int | None, timeout: float = 10.0
) -> list[Claim]:
    """Claims of a contract and kind that touch start <= time < end (ns; None for all behind), notes included.

    Raises:
        StorageError: MongoDB did not answer.
        InvalidValue: a document is no claim.
    """
    query: Document = {"contract": contract, "kind": kind, "end": {"$gte": start}}
    if end is not None:
        query["start"] = {"$lt": end}
    with _storage_errors(timeout):
        return [Claim.from_dict(found) for found in db["coverage"].find(query)]


def spoken_until(db: Database[Document], contract: str, kind: str) -> int | None:
    """Up to when the ledger speaks of a kind (ns), for bars up to when they are made; None where it does not speak.

    Raises:
        StorageError: MongoDB did not answer.
    """
    query: Document = {"contract": contract, "kind": "trade" if kind == "bar" else kind, "note": ""}
    with _storage_errors(10.0):
        last = db["coverage"].find_one(query | {"name": {"$ne": EXPIRED}}, {"end": 1}, sort=[("end", DESCENDING)])
        if last is None:
            return None
        made = db["archive"].find_one({"_id": f"{contract}#bars"}) if kind == "bar" else None
    spoken = int(last["end"])
    return spoken if kind != "bar" else min(spoken, int((made or {}).get("time", 0)))


def coverage(
    db: Database[Document], contract: str, kind: str, start: int, end: int | None = None, *, made: bool = False
) -> list[Interval]:
    """What history has of start <= time < end, interval by interval without a gap; with end None, up to the last claim.

    With `made`, of bars: what is stored of them, not what the trades would make; those that are still to be made are
    unknown.

    Raises:
        StorageError: MongoDB did not answer.
    """
    claims = claims_of(db, contract, "trade" if kind == "bar" else kind, start, end)
    if kind == "bar":
        # Bars are as whole as the trades that they are made of, but kept for a time of their own.
        claims = [claim for claim in claims if claim.name != EXPIRED] + claims_of(db, contract, kind, start, end)
    last = max((claim.end for claim in claims if not claim.note), default=start)
    if not made or kind != "bar":
        return paint(claims, start, last if end is None else end)
    with _storage_errors(10.0):
        upto = int((db["archive"].find_one({"_id": f"{contract}#bars"}) or {}).get("time", 0))
    if end is None:
        return paint(claims, start, max(start, min(last, upto)))
    found = paint(claims, start, max(start, min(end, upto)))
    return [*found, Interval(max(start, upto), end, "unknown", NOT_MADE)] if max(start, upto) < end else found


def _guessed(opening: Opening, end: int) -> Opening:
    return Opening(opening.time, opening.contract, opening.session, opening.kinds, end + LEASE_NS)


@contextmanager
def _storage_errors(timeout: float) -> Iterator[None]:
    try:
        with pymongo.timeout(timeout):
            yield
    except PyMongoError as error:
        raise StorageError(f"MongoDB: coverage: {type(error).__name__}: {str(error)[:300]}") from error
