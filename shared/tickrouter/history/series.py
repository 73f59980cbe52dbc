"""What is recorded: contracts and kinds, as MongoDB knows them."""

from __future__ import annotations

from typing import NamedTuple

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.connection import Document
from tickrouter.history.documents import KINDS


class Series(NamedTuple):
    """All records of one contract and kind."""

    contract: str
    kind: str


def recorded_series(db: Database[Document]) -> list[Series]:
    """Every series of which something is stored; where there are trades, there are bars.

    Raises:
        StorageError: MongoDB did not answer.
    """
    try:
        found = list(db["through"].find({}, {"contract": 1, "kind": 1}))
    except PyMongoError as error:
        raise StorageError(f"MongoDB: through: {error}") from error
    known = {Series(entry["contract"], entry["kind"]) for entry in found if entry.get("kind") in KINDS}
    known |= {Series(one.contract, "bar") for one in known if one.kind == "trade"}
    # Trades before bars: what is made from them is there when its turn comes.
    return sorted(known, key=lambda one: (one.contract, one.kind != "trade", one.kind))
