"""The configuration that a running stack works by: the user's own, with the addresses of what was started."""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tickrouter.config import Config, find_config, load_config
from tickrouter.errors import ConfigError

from .state import FolderLock

HEADER = "# Written by `tickrouter up` at each start: changes are lost. Edit the file that it was made from.\n"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a stack keeps things, below its data folder."""

    data: Path

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def config(self) -> Path:
        return self.run / "tickrouter.yaml"

    @property
    def keys(self) -> Path:
        return self.run / "keys.yaml"

    @property
    def state(self) -> Path:
        return self.data / "state" / "stack.json"

    @property
    def lock(self) -> FolderLock:
        return FolderLock(self.data / "state" / "stack.lock")


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the stack started, or was given."""

    redis_url: str
    orders_redis_url: str
    mongo_url: str
    simulator_port: int


def write_effective(config: Config, folders: Folders, addresses: Addresses) -> Config:
    """Write `<data>/run/tickrouter.yaml` and the simulated accounts' keys; the keys of an earlier run stay.

    Every account is on paper, and every venue is the simulator, whatever the user's file says.

    Returns:
        The written configuration, read back.
    """
    web = f"http://127.0.0.1:{addresses.simulator_port}"
    socket = f"ws://127.0.0.1:{addresses.simulator_port}"
    fields: dict[str, Any] = config.model_dump(mode="json")
    fields["data"] = str(folders.data)
    fields["key_file"] = str(folders.keys)
    fields["servers"] |= {
        "redis_url": addresses.redis_url,
        "orders_redis_url": addresses.orders_redis_url,
        "mongo_url": addresses.mongo_url,
    }
    for venue in fields["venues"].values():
        card = Path(venue["card"])
        venue["card"] = str(card if card.is_absolute() else (config.file.parent / card).resolve())
        venue["hosts"] = {"public": web, "private": web, "graph": web, "socket": socket}
    for account in fields["accounts"].values():
        account["mode"] = "paper"
    folders.run.mkdir(parents=True, exist_ok=True)
    ensure_keys(folders.keys, config.accounts)
    _replace(folders.config, HEADER + yaml.safe_dump(fields, sort_keys=False), 0o600)
    return load_config(folders.config)


def running_config() -> Path | None:
    """The configuration of the stack that runs with the data folder configured here, or None."""
    try:
        data = load_config(find_config()).data_folder
    except ConfigError:
        data = Path("data").resolve()
    folders = Folders(data)
    return folders.config if folders.config.exists() and folders.lock.is_held() else None


def ensure_keys(file: Path, accounts: Iterable[str]) -> None:
    """Write new keys of the venue's form for every account that has none in the file; the file has mode 600."""
    known: dict[str, Any] = {}
    if file.exists():
        known = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    for account in accounts:
        known.setdefault(
            account,
            {
                "public_key": str(uuid.uuid4()),
                "private_key": _private_key(),
                "socket_public_key": str(uuid.uuid4()),
                "socket_private_key": _private_key(),
            },
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    _replace(file, yaml.safe_dump(known, sort_keys=False), 0o600)


def _private_key() -> str:
    return base64.b64encode(secrets.token_bytes(24)).decode()


def _replace(file: Path, text: str, mode: int) -> None:
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as target:
        target.write(text)
    fresh.replace(file)
