"""The tape of an account: events or fills by their numbers, from MongoDB where Redis has trimmed them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tickrouter.bus.subscribe import START, Entry, EntryId, id_text
from tickrouter.errors import HistoryGap
from tickrouter.tape.market import Stream

Stored = Callable[[EntryId, EntryId | None], Iterator[tuple[EntryId, bytes]]]
"""What is stored after a number and before another (None: all), in order."""

_FIRST = (1, 1)


def follows(before: EntryId, after: EntryId) -> bool:
    """True if nothing was published between the two numbers, as far as they tell.

    Numbers begin at 1 in each epoch and have no hole in it. How far an epoch came that Redis forgot is told by the
    first event of the next one.
    """
    return after[1] == (before[1] + 1 if after[0] == before[0] else 1)


def play(stream: Stream, stored: Stored, after: EntryId | None, block: float | None) -> Iterator[Entry]:
    """Entries behind a number, each once and without a hole, whichever store still has them.

    Args:
        stream: the live end.
        stored: the stored end; asked only where the stream lacks something.
        after: number of the last entry that the reader has; None for what comes from now on.
        block: end when nothing came for that many seconds; None never ends.

    Raises:
        HistoryGap: numbers are missing in both stores; the text names them.
        StorageError: a server that was needed did not answer.
    """
    if after is None:
        last = stream.last()
        position = last.id if last else None
    else:
        position = after
        for entry in _before_the_stream(stream, stored, after):
            yield entry
            position = entry.id
    while entries := stream.after(position or START, block):
        for entry in entries:
            if position is not None and (position[0] != entry.id[0] or not follows(position, entry.id)):
                for number, data in _filled(stored, position, entry.id):
                    yield Entry(number, data)
            yield entry
            position = entry.id


def _before_the_stream(stream: Stream, stored: Stored, after: EntryId) -> Iterator[Entry]:
    first = stream.first()
    if first is not None and (first.id <= after or (after == START and first.id == _FIRST)):
        return
    before = after
    for number, data in stored(after, first.id if first else None):
        if before != START:
            _check(before, number)
        yield Entry(number, data)
        before = number


def _filled(stored: Stored, position: EntryId, next_id: EntryId) -> Iterator[tuple[EntryId, bytes]]:
    """What is stored between two numbers that do not follow each other in one epoch.

    Where an epoch begins the store is asked too: Redis may have lost the end of the one before.
    """
    if position == START and next_id == _FIRST:
        return
    before = position
    for number, data in stored(position, next_id):
        if before != START:
            _check(before, number)
        yield number, data
        before = number
    if before != START or next_id[1] != 1:
        _check(before, next_id)


def _check(before: EntryId, after: EntryId) -> None:
    if not follows(before, after):
        raise HistoryGap(
            f"nothing is stored between {id_text(before)} and {id_text(after)}, where numbers are missing; "
            f"go on with after='{after[0]}-{after[1] - 1}' if you can do without them"
        )
