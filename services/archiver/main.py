"""The archiver: orders, events and fills from Redis to MongoDB, and old records from documents into chunks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tickrouter import logs, metrics
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.outbox import Outbox
from tickrouter.clock import Clock, SystemClock
from tickrouter.config import Config
from tickrouter.errors import ConfigError, StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.connection import database, ensure_indexes
from tickrouter.model.account import Account

from .copier import FIRST_WAIT, LONGEST_WAIT, Copier
from .state import write_state

if TYPE_CHECKING:
    from .packer import Packer

STATE_EVERY = 1.0
STOP_WITHIN = 2.0
"""Seconds in which a batch under way may end; a repeat of it does no harm."""


class Archiver:
    """One thread an account, one that packs, and the file that tells how far they are."""

    def __init__(self, config: Config, accounts: Iterable[str], clock: Clock) -> None:
        self.stop = threading.Event()
        self._status = 0
        self._clock = clock
        self._log = logs.get("archiver")
        self._file = config.data_folder / "state" / "archiver.json"
        self._redis = connect_redis(config.orders_redis_url)
        self._mongo = connect_mongo(config.mongo_url)
        self._db = database(self._mongo, config.servers.mongo_database)
        self._copiers = {name: self._copier(config, Account.parse(name)) for name in accounts}
        self._packer = self._new_packer(config)

    def run(self) -> int:
        """Work until told to stop; returns 0, or 1 if a part of it ended by itself, so that it is started again."""
        works = [*self._copiers.values(), *([self._packer] if self._packer else [])]
        threads = [threading.Thread(target=self._serve, args=(one,), daemon=True) for one in works]
        self._log.info("started", accounts=list(self._copiers))
        for thread in threads:
            thread.start()
        while not self.stop.wait(STATE_EVERY):
            self._write_state()
        deadline = time.monotonic() + STOP_WITHIN
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._write_state()
        self._log.info("stopped")
        return self._status

    def _copier(self, config: Config, account: Account) -> Copier:
        outbox = Outbox(self._redis, account)
        return Copier(outbox, self._db, account, config.streams.events, self._clock, self.stop)

    def _new_packer(self, config: Config) -> Packer | None:
        try:
            from .packer import Packer
        except ImportError:
            self._log.warning("records stay documents, and no bars are made: pip install 'tickrouter[archive]'")
            return None
        return Packer(self._db, config.archive, self._clock, self.stop)

    def _serve(self, work: Copier | Packer) -> None:
        wait = FIRST_WAIT
        while not self.stop.is_set():
            try:
                ensure_indexes(self._db)
                work.run()
            except StorageError as error:
                self._log.warning("waiting for MongoDB", error=str(error))
                self.stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            except Exception:
                self._log.exception("a part of the archiver ended by itself", part=type(work).__name__)
                self._status = 1
                self.stop.set()

    def state(self) -> dict[str, Any]:
        """How far each account's copying is, and the packing."""
        progress = {name: asdict(copier.progress) for name, copier in self._copiers.items()}
        packing = asdict(self._packer.progress) if self._packer else None
        return {"time": self._clock.now(), "accounts": progress, "packing": packing}

    def _write_state(self) -> None:
        try:
            write_state(self._file, self.state())
        except OSError as error:
            self._log.error("state not written", file=str(self._file), error=str(error))


def run(config: Config, accounts: Iterable[str] | None = None) -> int:
    """Run the archiver until SIGINT or SIGTERM.

    Args:
        config: its `accounts` are served.
        accounts: only these of them.

    Returns:
        Exit status, 0 after an ordered stop.

    Raises:
        ConfigError: there is neither an account nor a contract to record.
    """
    names = list(accounts or config.accounts)
    if not names and not config.record.contracts:
        raise ConfigError(f"{config.file}: accounts: none; the archiver has nothing to copy")
    archiver = Archiver(config, names, SystemClock())
    metrics.expose("archiver", config.metrics_ports.get("archiver", 0), archiver.state)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: archiver.stop.set())
    return archiver.run()
