"""Trades that were read after the fact and came live too: the live copy stands, and only it is told.

In one collection the second takes the first one's place. Once the first is archived the two stand apart, with times
of their own, until the packer joins them: a reader in between has to see to it. So does one that meets a trade which
was read after the fact though it is archived: a venue's list of past trades may reach back for days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tickrouter.errors import StorageError
from tickrouter.history.chunk_reader import LIVE, Chunk, ChunkReader
from tickrouter.history.connection import Document

if TYPE_CHECKING:
    from tickrouter.history.columns import Columns


_AT_ONCE = 2_000
"""Trades looked up by one call."""


class Superseded:
    """What one reading of a contract's trades leaves out."""

    def __init__(self, reader: ChunkReader) -> None:
        """Nothing is read yet. `reader`: of the contract's trades."""
        self._reader = reader
        self._db: Database[Document] = reader.db
        self._told: set[str] = set()

    def documents(self, documents: list[Document]) -> list[Document]:
        """Without live ones whose copy this reading has told already: they came while it went on. Without those, read
        after the fact, that are archived.

        Raises:
            StorageError: MongoDB did not answer.
        """
        blank = {one["_id"]: str(one.get("trade_id")) for one in documents if one["ms"] is None}
        if blank and (archived := self._reader.by_trade(blank.values())):
            documents = [one for one in documents if blank.get(one["_id"]) not in archived]
        if self._told:
            documents = [one for one in documents if one["ms"] is None or one["_id"] not in self._told]
        self._told.update(one["_id"] for one in documents if one["ms"] is None)
        return documents

    def rows(self, chunk: Chunk, columns: Columns) -> Columns | None:
        """A chunk's rows without those of which a live copy stands among the documents.

        None where the chunk has just been replaced: the live copies may have gone into the other one.

        Raises:
            StorageError: MongoDB did not answer.
        """
        import numpy as np

        from tickrouter.history.removal import document_names

        valid = columns["n"].valid
        blank = np.zeros(columns.rows, bool) if valid is None else ~valid
        rows = np.flatnonzero(blank)
        names = document_names(columns.take(rows))
        try:
            live = self._live(names)
            # Asked last: the packer removes documents only when the chunk that has them is live.
            if self._is_replaced(chunk):
                return None
        except PyMongoError as error:
            raise StorageError(f"MongoDB: trades: {error}") from error
        self._told.update(name for name in names if name not in live)
        if not live:
            return columns
        keep = np.ones(columns.rows, bool)
        keep[[row for row, name in zip(rows.tolist(), names, strict=True) if name in live]] = False
        return columns.take(keep)

    def _live(self, names: list[str]) -> set[Any]:
        found: set[Any] = set()
        for start in range(0, len(names), _AT_ONCE):
            query = {"_id": {"$in": names[start : start + _AT_ONCE]}, "n": {"$ne": None}}
            found |= {one["_id"] for one in self._db["trades"].find(query, {"_id": 1})}
        return found

    def _is_replaced(self, chunk: Chunk) -> bool:
        chunks = self._db["chunks"]
        if chunks.find_one({"replaces": chunk.id, "state": LIVE}, {"_id": 1}) is not None:
            return True
        return chunks.find_one({"_id": chunk.id, "state": LIVE}, {"_id": 1}) is None
