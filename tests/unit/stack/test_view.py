"""The live view and the plain line, drawn from facts that a test made up."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from services.stack.facts import AccountFacts, ContractFacts, Snapshot, read_state
from services.stack.state import StackState
from services.stack.summary import KindSummary, Summary
from services.stack.supervisor import Program, Supervisor
from services.stack.view.live import last_message, permits, screen, span
from services.stack.view.plain import line
from services.stack.view.result import result
from tickrouter.bus.inspect import AccountSize
from tickrouter.clock import SystemClock

BTC = ContractFacts("btcturk/btc.usdt", 61000.5, 61000.1, 61000.9, 42.0, "live", "", {"tick": 1234, "trade": 56})
ETH = ContractFacts("btcturk/eth.usdt", None, None, None, 0.0, "stale", "silent for 16 s", {})
ACCOUNT = AccountFacts("btcturk/main", AccountSize(1, 2, 0, 30, 7, 0, "run", routed=True), fills=9)
STATES = {"router": {"accounts": {"btcturk/main": {"permits": {"place_minute": [12, 285]}}}}}
SNAPSHOT = Snapshot((BTC, ETH), (ACCOUNT,), {"ticks": 1200, "fills": 9}, STATES, ("history: MongoDB does not answer",))


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(StackState(tmp_path / "data" / "state" / "stack.json"), lambda sentence: None)


def drawn(what: object) -> str:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(what)
    return console.export_text()


def test_the_line_says_rates_prices_orders_and_troubles(supervisor: Supervisor) -> None:
    text = line(12.0, SNAPSHOT, supervisor)
    for part in (
        "12s",
        "42 ticks/s",
        "redis 1234",
        "mongo 1200",
        "btc.usdt 61000.5",
        "eth.usdt - (stale)",
        "open 2",
        "fills 9",
    ):
        assert part in text
    assert "MongoDB does not answer" in text
    assert "\n" not in text


def test_the_screen_shows_contracts_sizes_accounts_permits_processes_and_notices(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    log = tmp_path / "sleeper.log"
    log.write_text(json.dumps({"event": "routing", "level": "info"}) + "\n")
    child = supervisor.start(Program("sleeper", (sys.executable, "-I", "-c", "import signal; signal.pause()"), log))
    try:
        text = drawn(screen(75.0, SNAPSHOT, supervisor, ["router started again"], SystemClock()))
    finally:
        supervisor.close()
    for part in ("1:15", "btcturk/btc.usdt", "61,000.5", "stale silent for 16 s", "1,234", "ticks", "btcturk/main"):
        assert part in text
    for part in ("place_minute", "285", "sleeper", "routing", "router started again", "MongoDB does not answer"):
        assert part in text
    assert child.restarts == 0


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"plain text\n", "plain text"),
        (b'{"event": "a", "level": "error"}\n{"event": "b"}\n', "b"),
        (b'{"msg": "of mongod"}\n', "of mongod"),
        (b"\xff\xfe broken\n", "broken"),
        (b"", ""),
    ],
)
def test_the_last_message_is_read_from_any_log(
    supervisor: Supervisor, tmp_path: Path, content: bytes, shown: str
) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(content)
    child = supervisor.start(Program("x", ("true",), log))
    message = str(last_message(child))
    supervisor.close()
    assert shown in message


@pytest.mark.parametrize("state", [{}, {"router": {}}, {"router": {"accounts": {"a": {}}}}])
def test_permits_are_empty_before_the_router_said_anything(state: dict[str, dict[str, object]]) -> None:
    assert permits(Snapshot(states=state)) == {}


def test_a_broken_state_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "router.json").write_text("{")
    assert read_state(tmp_path, "router") == {}
    assert read_state(tmp_path, "collector") == {}


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (75, "1:15"), (3725, "1:02:05")])
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_summary_says_whether_both_stores_hold_the_same() -> None:
    kind = KindSummary()
    kind.add({(1, 1), (1, 2)}, {(1, 1), (1, 2)})
    summary = Summary(seconds=60.0, records={"tick": kind}, documents={"ticks": 2}, fills=5, orders={"Filled": 3})
    assert summary.same
    assert summary.to_json()["ticks"] == 2
    text = drawn(result(summary))
    for part in ("1:00", "the same in MongoDB", "fills 5", "Filled 3", "nothing"):
        assert part in text
    kind.add({(2, 1)}, {(2, 2)})
    summary.restarts["router"] = 1
    assert not summary.same
    text = drawn(result(summary))
    assert "1 missing, 1 more in MongoDB" in text
    assert "router 1" in text
