"""The commands beside a running stack: look, place, cancel, read back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.stack.running import ROOT, Up, environment

BTC = "btcturk/btc.usdt"
FAR_BELOW = "20000"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    run = Up(tmp_path_factory.mktemp("up") / "data", "--no-demo")
    try:
        run.until_it_flows()
        yield run
    finally:
        run.end()


def rows(up: Up, *arguments: str) -> list[dict[str, Any]]:
    done = up.tickrouter(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_check_finds_everything_in_order(up: Up) -> None:
    findings = {row["part"]: row["verdict"] for row in rows(up, "check")}
    assert set(findings.values()) == {"ok"}
    for scope in ("Total Funds", "Trade", "Account"):
        assert f"btcturk/main: scope {scope}" in findings
    assert "btcturk/main: WebSocket key" in findings


def test_check_tells_a_wrong_key_from_a_right_one(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKROUTER_BTCTURK_MAIN_PUBLIC_KEY", "00000000-0000-0000-0000-000000000000")
    monkeypatch.setenv("TICKROUTER_BTCTURK_MAIN_PRIVATE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    done = up.tickrouter("check", "--json")
    wrong = {row["part"]: row for line in done.stdout.splitlines() if (row := json.loads(line))["verdict"] == "wrong"}
    assert done.returncode == 1
    assert {f"btcturk/main: scope {scope}" for scope in ("Total Funds", "Trade", "Account")} <= set(wrong)
    assert "make a key with the scope Trade" in wrong["btcturk/main: scope Trade"]["advice"]


@pytest.mark.parametrize("kind", ["tick", "trade", "book"])
def test_tail_and_history_speak_of_the_same_contract(up: Up, kind: str) -> None:
    live = rows(up, "tail", BTC, "--kind", kind, "--count", "2")
    assert [row["kind"] for row in live] == [kind, kind]
    assert {row["contract"] for row in live} == {BTC}
    stored = rows(up, "history", "btc.usdt:xtc.btcturk", "--kind", kind, "--limit", "3")
    assert len(stored) == 3
    assert {row["contract"] for row in stored} == {BTC}
    assert [row["time"] for row in stored] == sorted(row["time"] for row in stored)


def test_a_market_order_is_filled_and_its_fills_are_listed(up: Up) -> None:
    [order] = rows(up, "order", "place", BTC, "buy", "--quote-amount", "100", "--wait", "10")
    assert (order["status"], order["type"], order["quote_amount"]) == ("Filled", "market", "100")
    fills = [row for row in rows(up, "fills") if row["client_oid"] == order["client_oid"]]
    assert fills
    assert {row["contract"] for row in fills} == {BTC}
    shown = up.tickrouter("order", "show", order["client_oid"])
    assert "Filled" in shown.stdout
    assert "fill " in shown.stdout


def test_a_resting_order_is_listed_and_cancelled(up: Up) -> None:
    [order] = rows(up, "order", "place", BTC, "buy", "--amount", "0.001", "--price", FAR_BELOW, "--wait", "10")
    oid = order["client_oid"]
    assert order["status"] == "New"
    assert oid in [row["client_oid"] for row in rows(up, "order", "list")]
    rows(up, "order", "cancel", oid)
    for _ in range(20):
        if rows(up, "order", "show", oid)[0]["status"] == "Canceled":
            break
    [order] = rows(up, "order", "show", oid)
    assert order["status"] == "Canceled"
    assert order["steps"]


def test_a_market_buy_by_amount_is_denied_for_its_unit(up: Up) -> None:
    [order] = rows(up, "order", "place", BTC, "buy", "--amount", "0.001", "--wait", "10")
    assert order["status"] == "Denied"
    assert order["reason"]["kind"] == "unit"


def test_streams_show_every_stream_and_account(up: Up) -> None:
    shown = rows(up, "streams")
    kinds = {row["kind"] for row in shown if row.get("contract") == BTC and row["length"]}
    assert kinds == {"tick", "trade", "book", "feed"}
    [account] = [row for row in shown if row.get("account")]
    assert (account["account"], account["halt"], account["routed"]) == ("btcturk/main", "run", True)


@pytest.mark.parametrize(("number", "printed"), [(0, "Filled"), (1, "bid1")])
def test_the_programs_of_the_readme_run(up: Up, number: int, printed: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = textwrap.dedent(re.findall(r"^ *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)[number])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=up.data.parent, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["order", "show", "0" * 32], 1),
        (["tail", "btcturk"], 1),
        (["order", "place", BTC, "buy", "--amount", "-1", "--price", "1"], 1),
        (["fills", "--after", "x"], 1),
        (["order", "cancel"], 2),
        (["order", "place", BTC, "hold"], 2),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(up: Up, arguments: list[str], status: int) -> None:
    done = up.tickrouter(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert status == 2 or len(done.stderr.strip().splitlines()) == 1


def test_status_accounts_for_every_record_of_the_running_collector(up: Up) -> None:
    found = rows(up, "status")
    assert {(row["sink"], row["kind"]) for row in found} >= {
        (s, k) for s in ("redis", "mongo") for k in ("tick", "trade")
    }
    for row in found:
        parts = ("stored", "queued", "spilled", "refused", "given_up")
        assert row["received"] == sum(row[name] for name in parts) > 0


def test_the_running_collectors_day_is_covered_and_audited(up: Up) -> None:
    assert "live" in {row["state"] for row in rows(up, "coverage", BTC)}
    assert all(row["problems"] == [] for row in rows(up, "audit", BTC))
