"""Sessions: each start of a contract's recording has a number of its own, kept in a file before it is used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tickrouter import logs
from tickrouter.clock import Clock
from tickrouter.core.entry_ids import EntryId, EntryIds, next_session, session_of
from tickrouter.errors import StorageError
from tickrouter.history.sink import MarketWriter

from .item import FEED

TRIES = 4
"""Questions to MongoDB, each with the writer's timeout, before a session is opened without it."""

_log = logs.get("session")


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one contract.

    Attributes:
        number: never used before.
        ended_ms: the end of what both servers have of the sessions before, 0 if nothing.
        ids: the entry ids to come, by kind.
        is_whole: MongoDB was asked too.
        alive: last sign of life of the collector before, ns; 0 if none is known.
    """

    number: int
    ended_ms: int
    ids: Mapping[str, EntryIds]
    is_whole: bool = False
    alive: int = 0


class SessionOpener:
    """Opens sessions above every one that is found in Redis, in MongoDB and in the state folder."""

    def __init__(self, folder: Path, writer: MarketWriter, kinds: Sequence[str], clock: Clock) -> None:
        """Args: folder: `<data>/state/sessions`; kinds: recorded kinds, without `feed`."""
        self._folder = folder
        self._writer = writer
        self._kinds = tuple(kinds)
        self._clock = clock

    def open(
        self, contract: str, in_streams: Mapping[str, EntryId], meanwhile: Callable[[], object] = lambda: None
    ) -> Session:
        """A new session.

        Args:
            contract: canonical name.
            in_streams: the last id of each stream; empty where Redis does not answer.
            meanwhile: done while MongoDB is waited for.
        """
        streams_end = max((ms for ms, _ in in_streams.values()), default=0)
        found = [session_of(entry_id) for entry_id in in_streams.values()]
        last_ms = {kind: in_streams.get(kind, (0, 0))[0] for kind in (*self._kinds, FEED)}
        kept_session, floor = self._read(contract)
        found.append(kept_session)
        try:
            stored_session, stored_ms = self._asked(contract, meanwhile)
            found.append(stored_session)
        except StorageError as error:
            _log.warning("session opened without MongoDB's word", contract=contract, error=str(error))
            return self._begin(contract, found, last_ms, floor, streams_end)
        session = self._begin(contract, found, last_ms, max(floor, stored_ms), streams_end or stored_ms)
        try:
            self._writer.open_session(contract, session.number, self._clock.now())
        except StorageError as error:
            _log.warning("session not written to MongoDB", contract=contract, error=str(error))
        return replace(session, is_whole=True)

    def _asked(self, contract: str, meanwhile: Callable[[], object]) -> tuple[int, int]:
        """The highest session and ms that MongoDB knows; it is given a little time.

        Raises:
            StorageError: it did not answer.
        """
        for _ in range(TRIES - 1):
            try:
                return self._writer.highest(contract, self._kinds)
            except StorageError:
                meanwhile()
        return self._writer.highest(contract, self._kinds)

    def _begin(
        self, contract: str, found: Sequence[int], last_ms: Mapping[str, int], floor: int, ended_ms: int
    ) -> Session:
        number = next_session(found)
        self._keep(contract, number, max(floor, *last_ms.values()))
        ids = {kind: EntryIds(number, max(ms, floor)) for kind, ms in last_ms.items()}
        return Session(number, ended_ms, ids)

    def _file(self, contract: str) -> Path:
        return self._folder / f"{contract.replace('/', '_')}.json"

    def _read(self, contract: str) -> tuple[int, int]:
        try:
            kept = json.loads(self._file(contract).read_text(encoding="utf-8"))
            return int(kept["session"]), int(kept["ms"])
        except FileNotFoundError:
            return 0, 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error(
                "session file cannot be read", contract=contract, file=str(self._file(contract)), error=str(error)
            )
            return 0, 0

    def _keep(self, contract: str, number: int, ms: int) -> None:
        """Write the number down, whole and on disk, before it is used; a full disk leaves it to the servers alone."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._file(contract).with_suffix(".new")
            with fresh.open("w", encoding="utf-8") as out:
                json.dump({"session": number, "ms": ms}, out)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._file(contract))
        except OSError as error:
            _log.error("session not kept on disk", contract=contract, session=number, error=str(error))
