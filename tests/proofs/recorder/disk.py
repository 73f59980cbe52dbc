"""The disk under a mongod, full at will: its files are refused further bytes, without a mount of their own.

What a mongod 6.0 does then: a write to its journal that is refused ends it at once (WT_PANIC, fassert 50853, SIGABRT),
and nobody is answered. While the journal has room, in files made in advance, it acknowledges as ever, and its next
checkpoint ends it the same way. It does not start as long as there is no room.
"""

from __future__ import annotations

import resource
import subprocess
from contextlib import suppress
from random import Random
from typing import Literal

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from services.stack.servers import Server, ServerError
from tickrouter.history.connection import DURABLE, initiate

Refused = Literal["every byte", "data files"]
"""What a full disk refuses. `data files`: the journal has room in the files that it made before, mongod acknowledges
until its next checkpoint."""
JOURNAL = 1 << 20
"""Bytes of a journal file, where data files alone are refused theirs."""
LIMITS: dict[Refused, int] = {"every byte": 1, "data files": 2 * JOURNAL}
"""Bytes that a file may have; a journal file never has two of its own size."""
BALLAST, WEIGHT = 40, 100_000
"""Documents, and bytes of each, that the next checkpoint has to find a place for."""
PATIENCE = 10.0
"""Seconds in which a mongod writes down why, and ends."""
_DEAF = 'trap "" XFSZ; ulimit -c 0; '
"""The system would end a process whose file passes its limit; a full disk answers its write with an error."""
_FULL = "ulimit -S -f 0; "


class Disk:
    """Under one mongod, from before its first start."""

    def __init__(self, server: Server, *, is_small: bool = False) -> None:
        """Changes how the server is started.

        Args:
            server: not started yet.
            is_small: with small journal files, so that data files alone can be refused theirs.
        """
        self._server = server
        self._bare = list(server.command)
        if is_small:
            self._bare += ["--wiredTigerEngineConfigString", f"log=(file_max={JOURNAL})"]
        self._start_with(_DEAF)

    def fill(self, refused: Refused) -> None:
        """From now on there is no room."""
        self._limit(LIMITS[refused])

    def weigh(self) -> None:
        """Give mongod what its next checkpoint needs room for; it is in the journal by then."""
        initiate(self._server.url)
        with self._client() as client:
            for number in range(BALLAST):
                client["ballast"]["ballast"].insert_one({"bytes": Random(number).randbytes(WEIGHT)})

    def end(self) -> None:
        """Have mongod notice, if it did not yet: by a durable write, and by a checkpoint, as there is one each minute.

        Raises:
            AssertionError: it goes on all the same.
        """
        process = self._server.process
        if process is None:
            return
        with suppress(PyMongoError), self._client() as client:
            client["ballast"].get_collection("last", write_concern=DURABLE).insert_one({})
            client.admin.command("fsync")
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("a mongod goes on with a full disk") from None

    def start_in_vain(self) -> None:
        """Start it while there is no room, as whoever watches over it does.

        Raises:
            AssertionError: it starts.
        """
        self._start_with(_DEAF + _FULL)
        try:
            self._server.start()
        except ServerError:
            return
        finally:
            self._start_with(_DEAF)
        raise AssertionError("a mongod starts on a full disk")

    def make_room(self) -> None:
        """There is room again, and mongod is started."""
        self._server.start()

    def _client(self) -> MongoClient[dict[str, bytes]]:
        return MongoClient(self._server.url, serverSelectionTimeoutMS=500, socketTimeoutMS=2000, retryWrites=False)

    def _limit(self, size: int) -> None:
        process = self._server.process
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _start_with(self, prologue: str) -> None:
        self._server.command = ["/bin/sh", "-c", prologue + 'exec "$@"', "mongod", *self._bare]
