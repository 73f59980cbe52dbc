"""What a collector found in Redis when it took a contract over, for the sink to MongoDB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import InvalidValue
from tickrouter.model.coverage import Claim

CLAIM_FIELD = "claim:"
"""Of `through:{contract}`, one a kind: what the ledger was last told, once all before it stands in the stream."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """The streams of one contract, before anything of a new session stands in them.

    Attributes:
        ends: by kind, the last entry id that they have, or will have once what waits for Redis is written.
        claims: by kind, what the ledger was last told, as far as the streams bear it out.
    """

    ends: Mapping[str, EntryId]
    claims: Mapping[str, Claim]


class Takeovers:
    """Told by the sink to Redis, before a session begins; read by the sink to MongoDB."""

    def __init__(self) -> None:
        self._found: dict[str, Takeover] = {}

    def tell(self, contract: str, takeover: Takeover) -> None:
        """The contract was taken over."""
        self._found[contract] = takeover

    def of(self, contract: str) -> Takeover | None:
        """The last one; None before Redis was reached."""
        return self._found.get(contract)


def claim_fields(claims: Mapping[str, Claim]) -> dict[str, str]:
    """Claims by kind as fields of `through:{contract}`."""
    return {CLAIM_FIELD + kind: json.dumps(claim.to_dict()) for kind, claim in claims.items()}


def claims_in(fields: Mapping[str, str]) -> dict[str, Claim]:
    """Inverse of `claim_fields`; what cannot be read is left out, which leaves its time to the unknown."""
    found: dict[str, Claim] = {}
    for name, text in fields.items():
        if name.startswith(CLAIM_FIELD):
            try:
                found[name.removeprefix(CLAIM_FIELD)] = Claim.from_dict(json.loads(text))
            except (ValueError, InvalidValue, AttributeError):
                continue
    return found
