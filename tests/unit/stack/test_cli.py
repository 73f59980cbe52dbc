"""The command line: help, errors in one line, exit statuses, files that init writes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.stack import cli
from services.stack.commands.up import seconds
from tickrouter.config import load_config

ROOT = Path(__file__).parents[3]
DEAD = "redis://127.0.0.1:1/0"


def tickrouter(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, away from this checkout's own configuration."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    clean |= {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}", "COLUMNS": "200", **environment}
    command = [sys.executable, "-m", "tickrouter", *arguments]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


COMMANDS = ["up", "check", "init", "collect", "route", "archive", "simulate", "tail", "fills", "history", "streams"]
COMMANDS += ["halt", "resume"]
ORDER_COMMANDS = ["place", "amend", "cancel", "query", "settle", "list", "show"]
RISK_COMMANDS = ["show", "set", "unset"]


@pytest.mark.parametrize(
    "command",
    [[name] for name in COMMANDS]
    + [["order", name] for name in ORDER_COMMANDS]
    + [["risk", name] for name in RISK_COMMANDS],
)
def test_every_command_explains_itself_and_its_options(command: list[str]) -> None:
    result = CliRunner().invoke(cli.app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_init_writes_files_that_load_and_a_key_file_for_its_owner_only(tmp_path: Path) -> None:
    done = tickrouter(tmp_path, "init")
    assert done.returncode == 0, done.stderr
    config = load_config(tmp_path / "tickrouter.yaml")
    assert config.data_folder == tmp_path / "data"
    assert config.accounts["btcturk/main"].mode == "paper"
    assert "#" in (tmp_path / "tickrouter.yaml").read_text()
    assert stat.S_IMODE((tmp_path / "keys.yaml").stat().st_mode) == 0o600


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("mine")
    done = tickrouter(tmp_path, "init")
    assert done.returncode == 0
    assert (tmp_path / "keys.yaml").read_text() == "mine"
    assert "left as it is" in done.stdout


def test_an_error_is_one_clear_line_and_status_1(tmp_path: Path) -> None:
    tickrouter(tmp_path, "init")
    done = tickrouter(tmp_path, "streams", REDIS_URL=DEAD)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Redis" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_configuration_names_file_key_found_and_allowed(tmp_path: Path) -> None:
    tickrouter(tmp_path, "init")
    file = tmp_path / "tickrouter.yaml"
    file.write_text(file.read_text().replace("mode: paper", "mode: maybe"))
    done = tickrouter(tmp_path, "route")
    assert done.returncode == 1
    for word in ("tickrouter.yaml", "accounts.btcturk/main.mode", "'maybe'", "paper", "live"):
        assert word in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["up", "--for", "soon"],
        ["up", "--market", "no-such-file"],
        ["tail"],
        ["risk", "set", "btcturk/main", "price_band"],
        ["order", "amend", "0" * 32],
        ["order", "cancel", "0" * 32, "--all"],
        ["order", "cancel", "0" * 32, "--exchange-oid", "7"],
        ["order", "cancel", "0" * 32, "--contract", "btcturk/btc.try"],
        ["order", "query"],
        ["order", "settle", "0" * 32, "--as", "placed", "--reason", "seen"],
        ["order", "settle", "0" * 32, "--as", "canceled", "--reason", "seen", "--exchange-oid", "7"],
        ["order", "settle", "0" * 32, "--as", "gone", "--reason", "seen"],
        ["order", "settle", "0" * 32, "--as", "canceled"],
    ],
)
def test_wrong_usage_is_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tickrouter", *arguments])
    assert cli.main() == 2
    said = capsys.readouterr().err
    assert said
    assert "Traceback" not in said


def test_a_reader_that_goes_away_is_met_in_silence(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
    command = f"{sys.executable} -m tickrouter --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.stdout
    assert done.stderr == b""


def test_check_fails_with_advice_where_nothing_runs(tmp_path: Path) -> None:
    tickrouter(tmp_path, "init")
    file = tmp_path / "tickrouter.yaml"
    hosts = "{public: 'http://127.0.0.1:1', private: 'http://127.0.0.1:1', socket: 'ws://127.0.0.1:1'}"
    file.write_text(
        file.read_text().replace("card: venues/btcturk.yaml", f"card: venues/btcturk.yaml\n    hosts: {hosts}")
    )
    dead = {
        "REDIS_URL": DEAD,
        "ORDERS_REDIS_URL": DEAD,
        "MONGO_URL": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200",
    }
    done = tickrouter(tmp_path, "check", "--json", **dead)
    assert done.returncode == 1
    findings = {entry["part"]: entry for entry in map(json.loads, done.stdout.splitlines())}
    assert findings["configuration"]["verdict"] == "ok"
    for part in ("Redis (market)", "Redis (orders)", "MongoDB", "venue btcturk"):
        assert findings[part]["verdict"] == "wrong"
        assert findings[part]["advice"]


@pytest.mark.parametrize(("text", "expected"), [("60s", 60), ("2m", 120), ("1.5h", 5400), ("90", 90), ("250ms", 0.25)])
def test_times_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_version_as_json(tmp_path: Path) -> None:
    done = tickrouter(tmp_path, "version", "--json")
    assert json.loads(done.stdout)["tickrouter"]
