"""What strategies and operators hold in their hands, at a real router: the client and the command line."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.stack import cli
from tests.routing import CONTRACT, Routing, now_ms, routing
from tests.simulation import Simulation
from tests.waiting import until
from tickrouter import Client, StorageError, TickrouterError
from tickrouter.config import load_config

PLACE = "POST /api/v1/order"


def client_of(router: Routing) -> Client:
    return Client(load_config(router.folder / "tickrouter.yaml"), account=router.account)


@pytest.fixture
def client(router: Routing) -> Iterator[Client]:
    with client_of(router) as one:
        yield one


def tickrouter(router: Routing, *arguments: str) -> Result:
    """The command line, with the router's configuration."""
    named = [*arguments, "--config", str(router.folder / "tickrouter.yaml"), "--json"]
    return CliRunner().invoke(cli.app, named)


def rows(router: Routing, *arguments: str) -> list[dict[str, Any]]:
    result = tickrouter(router, *arguments)
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return [json.loads(line) for line in result.stdout.splitlines()]


def order_by_hand(venue: Simulation, price: str, amount: str) -> str:
    """An order that no router placed; its exchange id."""
    fields = {"quantity": amount, "price": price, "stopPrice": "0", "newOrderClientId": "by-hand"}
    fields |= {"orderMethod": "limit", "orderType": "buy", "pairSymbol": "BTCUSDT"}
    url = venue.base + "/api/v1/order"
    request = urllib.request.Request(url, json.dumps(fields).encode(), venue.headers(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["data"]["id"])


def test_an_order_moves_and_ends_by_itself(client: Client, router: Routing, venue: Simulation) -> None:
    old = client.place(CONTRACT, "buy", "2", 90, strategy="grid")
    router.wait(old, "New")
    new = client.amend(old, price=91)
    assert client.outcome(new, timeout=10).type == "command_done"
    child = router.wait(new, "New")
    assert (child.price, child.parent, child.tags) == (Decimal(91), old, {"strategy": "grid"})
    assert client.wait(old, timeout=10).status == "Replaced"
    client.cancel(new)
    assert client.wait(new, timeout=10).status == "Canceled"
    late = client.amend(old, price=92)
    assert client.wait(late, timeout=10).type == "amend_rejected"
    timed = client.place(CONTRACT, "sell", "1", 120, cancel_after_ms=300)
    assert client.wait(timed, timeout=10).status == "Canceled"
    sides = {event.client_oid: event.side for event in router.events() if event.type == "order"}
    assert (sides[old], sides[timed]) == ("b", "s")


def test_a_query_and_the_answers_to_wrong_commands(client: Client, router: Routing) -> None:
    resting = client.place(CONTRACT, "buy", "1", 90)
    router.wait(resting, "New")
    assert client.outcome(client.query(resting), timeout=10).type == "command_done"
    unknown = client.outcome(client.query("f" * 32), timeout=10)
    assert (unknown.type, unknown.reason and unknown.reason.kind) == ("command_denied", "unknown_order")
    assert client.outcome(client.cancel("f" * 32), timeout=10).type == "cancel_rejected"
    verdict = client.outcome(client.settle(resting, "canceled", "ada", "test"), timeout=10)
    assert (verdict.type, verdict.reason and verdict.reason.kind) == ("command_denied", "not_in_doubt")


def test_orders_live_as_long_as_their_strategy(client: Client, router: Routing) -> None:
    with client.alive("grid", ttl=0.6):
        oid = client.place(CONTRACT, "buy", "1", 90, strategy="grid", cancel_on_disconnect=True)
        other = client.place(CONTRACT, "buy", "1", 91, strategy="other")
        first = router.wait(oid, "New")
        router.wait(other, "New")
        until(lambda: now_ms() > first.updated // 1_000_000 + 2_000)
        assert router.wait(oid, "New").cancel_requested is None
    assert client.wait(oid, timeout=10).status == "Canceled"
    assert router.wait(other, "New").cancel_requested is None


def test_a_halted_account_takes_nothing_and_is_emptied(client: Client, router: Routing) -> None:
    oids = [client.place(CONTRACT, "buy", "1", price) for price in (90, 91)]
    for oid in oids:
        router.wait(oid, "New")
    (row,) = rows(router, "halt", "--operator", "ada", "--why", "drill", "--cancel-all")
    assert client.outcome(row["cancel_all"], timeout=10).type == "command_done"
    assert {client.wait(oid, timeout=10).status for oid in oids} == {"Canceled"}
    denied = client.wait(client.place(CONTRACT, "buy", "1", 92), timeout=10)
    assert (denied.status, denied.reason and denied.reason.kind) == ("Denied", "halt")
    rows(router, "resume")
    router.wait(client.place(CONTRACT, "buy", "1", 93), "New")
    until(lambda: [event.fact for event in router.events() if event.type == "halt"] == ["halt:ada:drill", "run"])


def test_a_risk_rule_counts_while_it_is_set(client: Client, router: Routing) -> None:
    def told() -> list[str | None]:
        return [event.fact for event in router.events() if event.type == "risk"]

    rows(router, "risk", "set", router.account, "max_notional:USDT", "50")
    until(lambda: told() == ["max_notional:usdt = 50"])
    denied = client.wait(client.place(CONTRACT, "buy", "1", 90), timeout=10)
    assert denied.reason is not None
    assert denied.reason.kind == "risk_notional"
    rows(router, "risk", "unset", router.account, "max_notional:usdt")
    until(lambda: len(told()) == 2)
    router.wait(client.place(CONTRACT, "buy", "1", 90), "New")


def test_the_command_line_amends_and_says_why_it_cannot(client: Client, router: Routing) -> None:
    old = client.place(CONTRACT, "buy", "1", 90)
    router.wait(old, "New")
    (child,) = rows(router, "order", "amend", old, "--amount", "3")
    assert (child["status"], child["amount"], child["parent"]) == ("New", "3", old)
    (shown,) = rows(router, "order", "show", old)
    assert shown["status"] == "Replaced"
    assert [step["status"] for step in shown["steps"]][-1] == "Replaced"
    result = tickrouter(router, "order", "amend", old, "--price", "80")
    assert isinstance(result.exception, TickrouterError)
    assert str(result.exception) == "amend rejected: too_late: the order was Replaced already"


def test_the_command_line_queries_and_cancels_and_says_what_came_of_it(client: Client, router: Routing) -> None:
    oid = client.place(CONTRACT, "buy", "1", 90)
    order = router.wait(oid, "New")
    (shown,) = rows(router, "order", "query", "--exchange-oid", str(order.exchange_oid))
    assert (shown["client_oid"], shown["status"]) == (oid, "New")
    (done,) = rows(router, "order", "cancel", oid, "--wait", "10")
    assert (done["outcome"], done["reason"]) == ("command_done", None)
    assert router.wait(oid, "Canceled").cancel_requested == done["command"]
    again = tickrouter(router, "order", "cancel", oid, "--wait", "10")
    assert str(again.exception) == "cancel rejected: too_late: the order was Canceled already"
    unknown = tickrouter(router, "order", "query", "f" * 32)
    assert str(unknown.exception) == "command denied: unknown_order: no such order in the journal"


def test_an_operator_settles_a_lookalike_and_the_story_tells_it(
    venue: Simulation, tmp_path: Path, unique: str, redis_url: str, mongo_url: str
) -> None:
    lag = {"visibility_lag": 0.5, "stamp_tolerance": 0.5}
    servers = {"redis_url": redis_url, "mongo_url": mongo_url}
    with routing(venue, tmp_path / "r", unique, **servers, capabilities=lag) as router:
        router.start()
        venue.fault("server_error", PLACE, status=502, execute=False)
        oid = router.place("b", "90", "1")
        router.wait(oid, "InDoubt")
        exchange_oid = order_by_hand(venue, "90", "1")
        until(lambda: any(event.alarm == "lookalike" for event in router.events()))
        shown = CliRunner().invoke(
            cli.app, ["order", "show", oid, "--config", str(router.folder / "tickrouter.yaml")], env={"COLUMNS": "200"}
        )
        assert "ALARM lookalike" in shown.stdout
        assert f"could be the venue's order {exchange_oid}" in shown.stdout
        words = ["--operator", "ada", "--reason", "the page shows it"]
        rows(router, "order", "settle", oid, "--as", "placed", "--exchange-oid", exchange_oid, *words)
        order = router.wait(oid, "New")
        assert order.exchange_oid == exchange_oid
        (story,) = rows(router, "order", "show", oid)
        told = next(event for event in story["events"] if event["type"] == "settled")
        assert told["reason"] == {"kind": "operator", "code": "", "text": "ada: the page shows it"}
        with client_of(router) as client:
            client.cancel(oid)
            assert client.wait(oid, timeout=10).status == "Canceled"
        again = tickrouter(router, "order", "settle", oid, "--as", "never-placed", "--reason", "once more")
        assert "not_in_doubt" in str(again.exception)
        assert not isinstance(again.exception, StorageError)
        assert [row["status"] for row in venue.ledger("by-hand")["orders"]] == ["Canceled"]
