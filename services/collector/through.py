"""How far MongoDB has stored each stream, for readers of Redis."""

from __future__ import annotations

from tickrouter.core.entry_ids import EntryId, text_of


class ThroughBoard:
    """Written by the sink to MongoDB, read by the sink to Redis, which copies it into `through:{contract}`."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[str, str]] = {}

    def tell(self, contract: str, kind: str, entry_id: EntryId) -> None:
        """Everything of the kind up to this id is stored in MongoDB."""
        known = self._fields.get(contract, {})
        self._fields[contract] = known | {f"mongo:{kind}": text_of(entry_id)}

    def fields(self, contract: str) -> dict[str, str]:
        """Fields of the contract's `through` hash."""
        return self._fields.get(contract, {})
