"""Packing documents into chunks, so that a death between any two steps loses nothing and doubles nothing.

A chunk is *prepared* (written, not to be read), *live*, or *replaced* (its rows stand in another live chunk). One
packing is: read documents; write the chunk, prepared; read it back and compare count and digest; make it live; remove
exactly the documents that it holds, by their `_id`; note that it is settled. Whoever comes next settles what is left
over: a prepared chunk is thrown away, for its documents are all still there; a live one has its documents removed
again. Documents are never removed by a range: one that came into the range meanwhile would be lost.

A live chunk that names another in `replaces` takes its place for all readers, in the one step that makes it live; the
other is marked replaced when it is settled, and thrown away when something is settled after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bson.binary import Binary
from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from tickrouter.errors import StorageError
from tickrouter.history import chunks as codec
from tickrouter.history.chunk_reader import LIVE, Chunk
from tickrouter.history.columns import Columns, digest, joined
from tickrouter.history.connection import Document
from tickrouter.history.documents import COLLECTIONS
from tickrouter.history.packable import Packable, Selection, columns_of, id_range, in_order
from tickrouter.history.removal import remove_known, remove_packed

PREPARED: Final = "prepared"
REPLACED: Final = "replaced"
_LARGEST = 15_000_000
"""Bytes of a chunk's payloads; MongoDB takes documents of 16 MiB."""


@dataclass(slots=True)
class Packed:
    """What some packing did.

    Attributes:
        chunks: made live.
        rows: in them.
        removed: documents removed, those included whose record was archived before.
        refused: documents left where they are, for what they say is not what their kind can hold.
        last: time of the last row, ns, or None.
        first: time of the first row, ns, or None.
    """

    chunks: int = 0
    rows: int = 0
    removed: int = 0
    refused: int = 0
    first: int | None = None
    last: int | None = None


class Archive:
    """The archive of one contract and kind. Several may work at once: one of them wins, the others change nothing."""

    def __init__(self, db: Database[Document], kind: str, contract: str, rows: int = codec.ROWS) -> None:
        """Nothing is read yet.

        Args:
            db: with durable writes.
            kind: `tick`, `trade`, `book` or `bar`.
            contract: canonical name.
            rows: of a full chunk.
        """
        self._db = db
        self._kind = kind
        self._contract = contract
        self._rows = rows
        self._mine = {"contract": contract, "kind": kind}
        self._documents = db[COLLECTIONS[kind]]
        self._chunks = db["chunks"]
        majority, primary = ReadConcern("majority"), ReadPreference.PRIMARY
        self._stored = self._chunks.with_options(read_concern=majority, read_preference=primary)
        self._packable = Packable(db, kind, contract, rows)

    def settle(self) -> int:
        """Bring to an end what an earlier packing left; returns how many documents were removed.

        Raises:
            StorageError: MongoDB did not answer; may be repeated.
        """
        try:
            removed = 0
            self._chunks.delete_many(self._mine | {"state": REPLACED})
            for left in list(self._stored.find(self._mine | {"settled": False}, {"top": 0, "depth": 0})):
                if left["state"] == PREPARED:
                    self._chunks.delete_one({"_id": left["_id"], "state": PREPARED})
                    continue
                removed += self._finish(left["_id"])
                if left["replaces"] is not None:
                    self._chunks.update_one({"_id": left["replaces"]}, {"$set": {"state": REPLACED}})
                self._chunks.update_one({"_id": left["_id"]}, {"$set": {"settled": True, "replaces": None}})
        except PyMongoError as error:
            raise StorageError(f"MongoDB: chunks: {error}") from error
        return removed

    def pack(self, before: int, partial_before: int) -> Packed:
        """Make one chunk, if there is enough for it; call `settle` before the first.

        Args:
            before: records before this time are taken, ns.
            partial_before: a chunk that is not full is made only if its first record is before this time, ns.

        Raises:
            StorageError: MongoDB did not answer, or another packer was faster; may be repeated after `settle`.
        """
        try:
            selection = self._packable.select(before)
            done = Packed(refused=selection.refused)
            if not selection.documents:
                return done
            if not selection.is_full and selection.documents[0]["time"] >= partial_before:
                return done
            if self._kind in ("trade", "bar") and (known := self._known(selection)) is not None:
                return self._replace(*known, done)
            columns = columns_of(self._kind, self._contract, selection.documents)
            return self._archived(columns, None, done)
        except PyMongoError as error:
            raise StorageError(f"MongoDB: {self._kind}s of {self._contract}: {error}") from error

    def write(self, columns: Columns) -> str:
        """Write rows as a live chunk; their documents, if there are any, are not touched. Returns its `_id`.

        Raises:
            StorageError: MongoDB did not confirm, or the chunk stands there already.
        """
        try:
            return self._make_live(columns, None, settled=True)
        except PyMongoError as error:
            raise StorageError(f"MongoDB: chunks: {error}") from error

    def _archived(self, columns: Columns, instead_of: Chunk | None, done: Packed) -> Packed:
        name = self._make_live(columns, instead_of, settled=False)
        done.removed += self._finish(name)
        if instead_of is None:
            self._chunks.update_one({"_id": name}, {"$set": {"settled": True}})
        times = columns["time"].values
        done.first, done.last = int(times[0]), int(times[-1])
        done.chunks, done.rows = 1, columns.rows
        return done

    def _make_live(self, columns: Columns, instead_of: Chunk | None, *, settled: bool) -> str:
        document = self._document(columns)
        document |= {"settled": settled, "replaces": None}
        if instead_of is not None:
            # Whoever looks where the old one reaches has to find this one too.
            start, end = min(document["start"], instead_of.start), max(document["end"], instead_of.end)
            document |= {"replaces": instead_of.id, "start": start, "end": end, "span": end - start}
        try:
            self._chunks.insert_one(document)
        except DuplicateKeyError as error:
            raise StorageError(f"the chunk {document['_id']} stands there already: settle first") from error
        self._verify(document["_id"], columns.rows, document["digest"])
        # From here on readers take it, and no longer the one that it replaces.
        prepared = {"_id": document["_id"], "state": PREPARED}
        if not self._chunks.update_one(prepared, {"$set": {"state": LIVE}}).matched_count:
            raise StorageError(f"the chunk {document['_id']} was thrown away by another packer")
        return str(document["_id"])

    def _document(self, columns: Columns) -> Document:
        payloads = codec.encode(columns)
        if len(payloads.top) + len(payloads.depth or b"") > _LARGEST:
            raise StorageError(f"{columns.rows} {self._kind}s of {self._contract} do not fit into a chunk")
        times, total = columns["time"].values, digest(columns)
        first, last = columns.place_range() or ((None, None), (None, None))
        valid = columns["n"].valid
        low, high = id_range(columns)
        return {
            "_id": f"{self._contract}#{self._kind}#{int(times[0]):019d}-{total[:16]}",
            **self._mine,
            "state": PREPARED,
            "start": int(times[0]),
            "end": int(times[-1]),
            "span": int(times[-1] - times[0]),
            "first_ms": first[0],
            "first_n": first[1],
            "last_ms": last[0],
            "last_n": last[1],
            "rows": columns.rows,
            "backfilled": 0 if valid is None else int((~valid).sum()),
            "digest": total,
            "low": low,
            "high": high,
            "has_depth": payloads.depth is not None,
            "top": Binary(payloads.top),
            "depth": None if payloads.depth is None else Binary(payloads.depth),
        }

    def _verify(self, name: str, rows: int, expected: str) -> None:
        """What a majority of servers holds has to say what the documents said."""
        found = self._load(name)
        if found is None:
            raise StorageError(f"the chunk {name} was thrown away by another packer")
        if found.rows != rows or digest(found) != expected:
            raise StorageError(f"the chunk {name} reads back as something else; its documents stay")

    def _load(self, name: str) -> Columns | None:
        found = self._stored.find_one({"_id": name}, {"top": 1, "depth": 1})
        if found is None:
            return None
        columns = codec.decode(found["top"])
        if found["depth"] is not None:
            columns.columns.update(codec.decode(found["depth"]).columns)
        return columns

    def _finish(self, name: str) -> int:
        """Remove the documents of a live chunk."""
        columns = self._load(name)
        if columns is None:
            raise StorageError(f"the chunk {name} was replaced by another packer")
        return remove_packed(self._documents, columns)

    def _known(self, selection: Selection) -> tuple[Chunk, Columns, list[int], Columns] | None:
        """A live chunk that has some of the records already: itself, its rows, which of them, and the documents'."""
        fresh = columns_of(self._kind, self._contract, selection.documents)
        low, high = id_range(fresh)
        query = self._mine | {"state": LIVE, "low": {"$lte": high}, "high": {"$gte": low}}
        key = "trade_id" if self._kind == "trade" else "time"
        wanted = {value: row for row, value in enumerate(fresh[key].values.tolist())}
        for found in self._stored.find(query, {"top": 0, "depth": 0}):
            old = self._load(found["_id"])
            if old is None:
                continue
            rows = [row for row, value in enumerate(old[key].values.tolist()) if value in wanted]
            if rows:
                again = [wanted[value] for value in old[key].values[rows].tolist()]
                return Chunk.from_document(found), old, rows, fresh.take(again)
        return None

    def _replace(self, chunk: Chunk, old: Columns, rows: list[int], fresh: Columns, done: Packed) -> Packed:
        """Archived records came again: a live trade takes the place of a backfilled one, a bar of its older self."""
        if self._kind == "trade":
            better = [
                new is not None and before is None
                for new, before in zip(fresh.ids(), old.take(rows).ids(), strict=True)
            ]
        else:
            pairs = zip(fresh.records(), old.take(rows).records(), strict=True)
            better = [new != before for new, before in pairs]
        chosen = [index for index, one in enumerate(better) if one]
        if not chosen:
            done.removed += remove_known(self._db, fresh, old.take(rows))
            return done
        gone = {rows[index] for index in chosen}
        kept = old.take([row for row in range(old.rows) if row not in gone])
        merged = joined([fresh.take(chosen), kept])
        return self._archived(in_order(merged), chunk, done)
