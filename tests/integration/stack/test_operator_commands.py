"""halt, resume, risk and order at real servers, without a router: what they write, show, and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from services.stack import cli
from tests.publishing import RouterPen
from tickrouter import InvalidValue, Status, StorageError, TickrouterError
from tickrouter.bus import controls
from tickrouter.bus.codec import unpack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.keys import AccountKeys

ROOT = Path(__file__).parents[3]
OID = "0123456789abcdef" * 2
Run = Callable[..., Result]


@pytest.fixture
def accounts(unique: str) -> list[str]:
    return [f"btcturk/{unique}", f"btcturk/{unique}-2"]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect_redis(redis_url) as connection:
        yield connection


@pytest.fixture
def run(accounts: list[str], unique: str, redis_url: str, mongo_url: str, tmp_path: Path) -> Run:
    """The command in this process, with a configuration of two accounts."""
    risk = {"contracts": ["btcturk/btc.try"], "max_notional": {"try": 1000}}
    settings = {
        "servers": {"redis_url": redis_url, "mongo_url": mongo_url, "mongo_database": unique},
        "venues": {"btcturk": {"card": str(ROOT / "configs/venues/btcturk.yaml")}},
        "accounts": {name: {"risk": risk} for name in accounts},
    }
    file = tmp_path / "tickrouter.yaml"
    file.write_text(yaml.safe_dump(settings))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.app, [*arguments, "--config", str(file)], env={"COLUMNS": "200"})

    return invoke


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def queued(redis: Redis, account: str) -> list[dict[str, Any]]:
    return [unpack_map(fields[b"d"]) for _, fields in redis.xrange(AccountKeys(account).orders)]


def test_halt_and_resume_mean_every_account_unless_some_are_named(run: Run, redis: Redis, accounts: list[str]) -> None:
    halted = lines(run("halt", "--operator", "ada", "--why", "fire", "--json"))
    assert [row["account"] for row in halted] == accounts
    assert {row["halt"] for row in halted} == {"halt:ada:fire"}
    assert [controls.read_halt(redis, name) for name in accounts] == ["halt:ada:fire"] * 2
    assert run("resume", accounts[1]).stdout.startswith(f"{accounts[1]}: orders may leave (was halt:ada:fire)")
    assert [controls.read_halt(redis, name) for name in accounts] == ["halt:ada:fire", "run"]
    assert lines(run("resume", "--json")) == [
        {"account": accounts[0], "halt": "run", "before": "halt:ada:fire"},
        {"account": accounts[1], "halt": "run", "before": "run"},
    ]


def test_halt_may_cancel_everything(run: Run, redis: Redis, accounts: list[str]) -> None:
    (row,) = lines(run("halt", accounts[0], "--cancel-all", "--json"))
    assert queued(redis, accounts[0]) == [
        {"id": row["cancel_all"], "action": "cancel_all", "account": accounts[0]},
    ]
    assert queued(redis, accounts[1]) == []


def test_an_account_that_is_not_configured_is_not_halted_in_vain(run: Run, redis: Redis, accounts: list[str]) -> None:
    result = run("halt", accounts[0], "btcturk/mian")
    assert result.exit_code == 2
    assert "no account 'btcturk/mian'" in result.stderr
    assert redis.get(AccountKeys(accounts[0]).halt) is None


def test_risk_rules_are_set_shown_and_unset(run: Run, redis: Redis, accounts: list[str]) -> None:
    name = accounts[0]
    assert run("risk", "set", name, "max_notional:TRY", "250.5").stdout == f"{name}: max_notional:try = 250.5\n"
    assert run("risk", "set", name, "price_band", "0.1").exit_code == 0
    assert controls.read_risk(redis, name) == {"max_notional:try": "250.5", "price_band": "0.1"}
    shown = {row["rule"]: row for row in lines(run("risk", "show", name, "--json"))}
    assert shown["max_notional:try"] | {"rule": ""} == {
        "rule": "",
        "configured": "1000",
        "set": "250.5",
        "in_force": "250.5",
        "wrong": None,
    }
    assert "price_band" in run("risk", "show", name).stdout
    assert run("risk", "set", name, "max_notional:try", "").stdout.endswith("= no limit\n")
    assert run("risk", "unset", name, "max_notional:try").stdout == f"{name}: max_notional:try as configured\n"
    assert controls.read_risk(redis, name) == {"price_band": "0.1"}


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("speed", "1", "no such rule; there are: contracts, max_notional:<currency>"),
        ("max_notional", "1", "no such rule"),
        ("price_band", "much", "'much' is no number"),
        ("contracts", "nonsense", "contracts"),
    ],
)
def test_a_wrong_rule_is_refused_before_the_router_sees_it(
    run: Run, redis: Redis, accounts: list[str], rule: str, value: str, said: str
) -> None:
    result = run("risk", "set", accounts[0], rule, value)
    assert isinstance(result.exception, InvalidValue)
    assert said in str(result.exception)
    assert controls.read_risk(redis, accounts[0]) == {}


def test_unset_says_what_is_set(run: Run, redis: Redis, accounts: list[str]) -> None:
    controls.set_risk(redis, accounts[0], "price_band", "0.1")
    result = run("risk", "unset", accounts[0], "max_tick_age")
    assert "set is: price_band" in str(result.exception)


def test_an_amend_waits_for_its_outcome(run: Run, redis: Redis, accounts: list[str]) -> None:
    result = run("order", "amend", OID, "--price", "7", "--wait", "0.1", "--account", accounts[0], "--json")
    (printed,) = lines(result)
    (wire,) = queued(redis, accounts[0])
    assert (wire["action"], wire["orig_client_oid"], wire["client_oid"]) == ("amend", OID, printed["client_oid"])
    result = run("order", "settle", OID, "--as", "canceled", "--reason", "x", "--wait", "0.1", "-a", accounts[0])
    assert isinstance(result.exception, StorageError)
    assert "is a router running?" in str(result.exception)


def test_a_place_may_cancel_itself(run: Run, redis: Redis, accounts: list[str]) -> None:
    place = ["order", "place", "btcturk/btc.try", "buy", "--amount", "1", "--price", "2", "--wait", "0"]
    lines(run(*place, "--cancel-after-ms", "1500", "-a", accounts[0], "--json"))
    assert queued(redis, accounts[0])[0]["cancel_after_ms"] == 1500


def test_show_tells_steps_evidence_and_alarms(run: Run, redis: Redis, accounts: list[str]) -> None:
    pen = RouterPen(redis, accounts[0])
    pen.order(OID, Status.NEVER_PLACED)
    pen.event(client_oid=OID, status="InDoubt", reason={"kind": "timeout", "text": "no answer"})
    pen.event(client_oid=OID, status="New", alarm="late_find")
    pen.fill(OID)
    pen.event(client_oid="f" * 32, status="New", alarm="other")
    text = run("order", "show", OID, "-a", accounts[0]).stdout
    for part in (OID, "NeverPlaced", "timeout: no answer", "ALARM late_find", "fill 701: 0.5 at 1000.5"):
        assert part in text
    assert "other" not in text
    (shown,) = lines(run("order", "show", OID, "-a", accounts[0], "--json"))
    assert shown["steps"][0]["status"] == "NeverPlaced"
    assert [event.get("alarm") for event in shown["events"]] == [None, "late_find", None]


def test_show_of_a_command_that_was_refused_and_of_nothing(run: Run, redis: Redis, accounts: list[str]) -> None:
    pen = RouterPen(redis, accounts[0])
    pen.event(type="command_denied", client_oid=OID, reason={"kind": "invalid", "text": "price: missing"})
    text = run("order", "show", OID, "-a", accounts[0]).stdout
    assert "never was an order" in text
    assert "invalid: price: missing" in text
    result = run("order", "show", "f" * 32, "-a", accounts[0])
    assert isinstance(result.exception, TickrouterError)
    assert "it never was" in str(result.exception)


def test_an_order_is_for_a_configured_account_only(run: Run, redis: Redis) -> None:
    result = run("order", "cancel", OID, "-a", "btcturk/mian")
    assert result.exit_code == 2
    assert "no account 'btcturk/mian'" in result.stderr
    assert queued(redis, "btcturk/mian") == []


def test_a_cancel_of_all_is_narrowed_and_says_that_nobody_answered(run: Run, redis: Redis, accounts: list[str]) -> None:
    narrowed = ["--all", "--side", "sell", "--contract", "btcturk/btc.try", "--wait", "0"]
    (row,) = lines(run("order", "cancel", *narrowed, "-a", accounts[0], "--json"))
    assert (row["outcome"], row["reason"]) == (None, None)
    (wire,) = queued(redis, accounts[0])
    assert wire == {
        "id": row["command"],
        "action": "cancel_all",
        "account": accounts[0],
        "contract": "btcturk/btc.try",
        "side": "s",
    }
    said = run("order", "cancel", OID, "--wait", "0", "-a", accounts[0]).stdout
    assert said.startswith("asked, no outcome yet; command ")
