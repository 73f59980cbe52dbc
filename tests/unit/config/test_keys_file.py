"""API keys: where they come from, and that they are shown nowhere."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import structlog

from tickrouter import logs
from tickrouter.config import Config, Keys, Servers, key_variable, load_config, load_keys
from tickrouter.errors import ConfigError
from tickrouter.model.account import Account
from tickrouter.venues.card import load_card

MAIN = Account("btcturk", "main")
SECRET = "very-private-9f8e7d"
FIELDS = ("public_key", "private_key", "socket_public_key", "socket_private_key")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in FIELDS:
        monkeypatch.delenv(key_variable(MAIN, field), raising=False)


def key_file(folder: Path, mode: int = 0o600, text: str | None = None) -> Path:
    file = folder / "keys.yaml"
    file.write_text(text or f"btcturk/main: {{public_key: pub, private_key: {SECRET}}}\n")
    file.chmod(mode)
    return file


def test_keys_come_from_the_file(tmp_path: Path) -> None:
    keys = load_keys(key_file(tmp_path), MAIN)
    assert (keys.public_key.get_secret_value(), keys.private_key.get_secret_value()) == ("pub", SECRET)
    assert keys.socket_public_key is None


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_variable(MAIN, "public_key") == "TICKROUTER_BTCTURK_MAIN_PUBLIC_KEY"
    for field in FIELDS:
        monkeypatch.setenv(key_variable(MAIN, field), f"env-{field}")
    keys = load_keys(key_file(tmp_path), MAIN)
    assert keys.private_key.get_secret_value() == "env-private_key"
    assert keys.socket_private_key is not None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:o}, others can read it; run: chmod 600"):
        load_keys(file, MAIN)


@pytest.mark.parametrize("text", ["other/account: {}", "[]", "btcturk/main: []", "btcturk/main: {public_key: pub}"])
def test_a_missing_key_says_where_to_put_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"for account btcturk/main: write it to .*keys\.yaml or set TICKROUTER_"):
        load_keys(key_file(tmp_path, text=text), MAIN)


def test_a_broken_file_does_not_show_its_content(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as YAML") as caught:
        load_keys(key_file(tmp_path, text=f"btcturk/main: [{SECRET}"), MAIN)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_keys_do_not_show_themselves(tmp_path: Path) -> None:
    keys: Keys = load_keys(key_file(tmp_path), MAIN)
    assert SECRET not in f"{keys} {keys!r} {keys.private_key} {[keys]}"


def test_a_configuration_does_not_show_passwords() -> None:
    servers = Servers(
        redis_url=f"redis://:{SECRET}@host/0",
        orders_redis_url=f"redis://:{SECRET}@orders/0",
        mongo_url=f"mongodb://user:{SECRET}@host",
    )
    assert SECRET not in repr(Config(servers=servers, alarm_url=f"https://host/{SECRET}"))


def test_a_key_in_the_wrong_file_is_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "tickrouter.yaml"
    file.write_text(f"private_key: {SECRET}\nservers: {{redis_password: {SECRET}}}\n")
    with pytest.raises(ConfigError, match="private_key: no such key here") as caught:
        load_config(file)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load_card(file)
    assert SECRET not in str(caught.value)


def test_logs_hide_secrets(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    logs.configure("test", file=file)
    try:
        keys = load_keys(key_file(tmp_path), MAIN)
        logs.get("part").info(
            "said",
            key=keys.private_key,
            private_key=SECRET,
            signature=SECRET,
            headers={"X-Signature": SECRET, "nested": [{"password": SECRET}]},
            url=f"redis://:{SECRET}@host:6379/0",
            error=f"cannot reach mongodb://user:{SECRET}@host/db",
            keys=keys,
            plain="stays",
        )
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    line = json.loads(file.read_text())
    assert SECRET not in file.read_text()
    assert (line["plain"], line["event"], line["service"]) == ("stays", "said", "test")
    assert line["url"] == "redis://***@host:6379/0"


def test_readable_lines_hide_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure("test")
    try:
        logs.get("part").warning("said", token=SECRET)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    assert "said" in stream.getvalue()
    assert SECRET not in stream.getvalue()
