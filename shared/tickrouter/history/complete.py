"""Answers that have to be whole: what the ledger calls missing or unknown is an error."""

from __future__ import annotations

from pymongo.database import Database

from tickrouter.core.coverage import NEVER, holes
from tickrouter.errors import HistoryGap
from tickrouter.history.connection import Document
from tickrouter.history.coverage import coverage
from tickrouter.model.moment import utc


def require_whole(
    db: Database[Document], contract: str, kind: str, start: int, end: int | None, *, made: bool = False
) -> None:
    """See to it that nothing of start <= time < end (ns; None: as far as collectors have spoken) is lacking.

    `made`: as `coverage` takes it.

    Raises:
        HistoryGap: something is missing or unknown, or no collector has spoken of that time; the text says
            what and why.
        StorageError: MongoDB did not answer.
    """
    spoken = coverage(db, contract, kind, start, end, made=made)
    lacking = holes(spoken)
    if not spoken and (end is None or start < end):
        raise HistoryGap(f"{contract} {kind}: {NEVER} from {utc(start)} on")
    if not lacking:
        return
    first = lacking[0]
    more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    span = f"{first.state} from {utc(first.start)} to {utc(first.end)}"
    raise HistoryGap(f"{contract} {kind}: {span}: {first.cause}{more}")
