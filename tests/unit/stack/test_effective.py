"""The configuration that a running stack works by."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from services.stack.effective import Addresses, Folders, ensure_keys, running_config, write_effective
from tickrouter.config import Config, load_config
from tickrouter.model.account import Account

ROOT = Path(__file__).parents[3]
ADDRESSES = Addresses("redis://127.0.0.1:1/0", "redis://127.0.0.1:2/0", "mongodb://127.0.0.1:3", 4)


@pytest.fixture
def base(tmp_path: Path) -> Config:
    text = (ROOT / "configs" / "tickrouter.yaml").read_text(encoding="utf-8")
    card = ROOT / "configs" / "venues" / "btcturk.yaml"
    file = tmp_path / "tickrouter.yaml"
    file.write_text(text.replace("venues/btcturk.yaml", str(card)).replace("mode: paper", "mode: live"))
    return load_config(file)


@pytest.fixture(autouse=True)
def no_servers_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "ORDERS_REDIS_URL", "MONGO_URL", "TICKROUTER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_servers_and_venues_are_those_that_were_started(base: Config, tmp_path: Path) -> None:
    written = write_effective(base, Folders(tmp_path / "data"), ADDRESSES)
    assert (written.redis_url, written.orders_redis_url, written.mongo_url) == (
        "redis://127.0.0.1:1/0",
        "redis://127.0.0.1:2/0",
        "mongodb://127.0.0.1:3",
    )
    hosts = written.card("btcturk").hosts
    assert (hosts.public, hosts.private, hosts.socket) == (
        "http://127.0.0.1:4",
        "http://127.0.0.1:4",
        "ws://127.0.0.1:4",
    )
    assert written.record == base.record
    assert written.data_folder == tmp_path / "data"


def test_every_account_is_on_paper_whatever_the_file_says(base: Config, tmp_path: Path) -> None:
    written = write_effective(base, Folders(tmp_path / "data"), ADDRESSES)
    assert {account.mode for account in written.accounts.values()} == {"paper"}
    assert written.is_local("btcturk")
    assert written.accounts["btcturk/main"].risk == base.accounts["btcturk/main"].risk


def test_keys_are_made_once_and_for_the_owner_only(base: Config, tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    first = write_effective(base, folders, ADDRESSES).keys(Account.parse("btcturk/main"))
    again = write_effective(base, folders, ADDRESSES).keys(Account.parse("btcturk/main"))
    assert first == again
    assert base64.b64decode(first.rest[1], validate=True)
    assert first.socket is not None
    assert first.socket != first.rest
    assert stat.S_IMODE(folders.keys.stat().st_mode) == 0o600


def test_a_new_account_gets_keys_beside_those_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    ensure_keys(file, ["btcturk/main"])
    before = file.read_text()
    ensure_keys(file, ["btcturk/main", "btcturk/second"])
    assert file.read_text().startswith(before)
    assert "btcturk/second" in file.read_text()


def test_the_running_stack_is_found_while_it_runs(base: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKROUTER_CONFIG", str(base.file))
    folders = Folders(base.data_folder)
    assert running_config() is None
    write_effective(base, folders, ADDRESSES)
    assert running_config() is None
    lock = folders.lock
    lock.take()
    try:
        assert running_config() == folders.config
    finally:
        lock.release()
    assert running_config() is None
