"""An order's story: steps, evidence under the step that rests on it, alarms that nobody overlooks."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

from msgspec.structs import replace
from rich.text import Text

from services.stack.commands.order_story import Step, evidence, steps_of, story, told
from tickrouter.core.recovery import Findings
from tickrouter.model.account import Account
from tickrouter.model.contract import Contract
from tickrouter.model.event import Event, Reason
from tickrouter.model.fill import Fill
from tickrouter.model.order import Order, Replacement, Status

TIME = 1_785_585_600_000_000_000
OID, OTHER = "a" * 32, "b" * 32
ACCOUNT = Account("btcturk", "main")
ORDER = Order(ACCOUNT, OID, "c-1", Contract("btcturk", "btc", "try"), "b", "limit", TIME)
FILL = Fill("77", Decimal("1000.5"), Decimal("0.5"), Decimal("0.45"), "try", "maker", TIME, 3)


def event(time: int, **fields: object) -> Event:
    return Event(**({"account": ACCOUNT, "type": "order", "time": time, "client_oid": OID} | fields))


def test_the_journals_texts_are_read() -> None:
    assert steps_of([f"{TIME} New accepted", f"{TIME + 1} Canceled canceled in open orders", f"{TIME} InDoubt"]) == [
        Step(TIME, "New", "accepted"),
        Step(TIME + 1, "Canceled", "canceled in open orders"),
        Step(TIME, "InDoubt", ""),
    ]


def test_evidence_stands_under_its_step_and_an_alarm_is_red() -> None:
    steps = [Step(TIME, "InDoubt", "timeout"), Step(TIME + 5, "NeverPlaced", "absent"), Step(TIME + 9, "New", "open")]
    events = [
        event(TIME + 5, status="NeverPlaced", reason=Reason("absent", "all [three] answered")),
        event(TIME + 9, status="New", alarm="late_find"),
    ]
    lines = list(story(steps, events))
    plain = [Text.from_markup(line).plain.strip() for line in lines]
    assert [line.partition("  ")[0].split()[-1] for line in (plain[0], plain[1], plain[3])] == [
        "InDoubt",
        "NeverPlaced",
        "New",
    ]
    assert plain[2] == "absent: all [three] answered"
    assert plain[4] == "ALARM late_find"
    assert "[bold red]" in lines[4]


def test_events_without_a_step_are_told_by_themselves() -> None:
    lines = list(story([], [event(TIME, type="reconciled", status="New", reason=Reason("reconciled", "1 and 2"))]))
    assert "reconciled New" in lines[0]
    assert lines[1].strip() == "reconciled: 1 and 2"


def test_all_of_it_is_told_by_time() -> None:
    steps = [Step(TIME, "New", "accepted"), Step(TIME + 9, "Canceled", "canceled in order")]
    told_of = [event(TIME + 12, type="command_done"), event(TIME + 5, status="New", fact="accepted")]
    plain = [Text.from_markup(line).plain.strip().split(" ", 2)[2] for line in story(steps, told_of)]
    assert plain == ["New  accepted", "order New accepted", "Canceled  canceled in order", "command_done"]


def test_a_fill_stands_under_its_step() -> None:
    (_, line) = story([Step(TIME, "Filled", "execution")], [event(TIME, type="fill", fill=FILL)])
    assert line.strip() == "fill 77: 0.5 at 1000.5, fee 0.45 try"
    assert told(event(TIME, type="fill", fill=FILL, epoch=1, seq=2))["fill"]["seq"] == 3


def test_what_an_order_is_known_by() -> None:
    assert list(evidence(ORDER)) == []
    known = replace(
        ORDER,
        attempt=2,
        stamp=TIME,
        digest="d1",
        exchange_oid="900",
        parent=OTHER,
        replacement=Replacement(OTHER, "c-2"),
        cancel_at=TIME,
        venue_filled=Decimal("0.5"),
    )
    text = "\n".join(evidence(known))
    for part in ("request 2", "digest d1", "900", OTHER, "2026-08-01 12:00:00.000", "the venue says 0.5 are filled"):
        assert part in text
    assert f"to be replaced by {OTHER}" in text
    over = "\n".join(evidence(replace(known, status=Status.REPLACED)))
    assert f"  replaced by {OTHER}" in over
    assert "cancelled by itself" not in over
    assert f"was to be replaced by {OTHER}" in "\n".join(evidence(replace(known, status=Status.FILLED)))


def test_where_an_order_in_doubt_was_looked_for() -> None:
    second = 1_000_000_000
    looked = Findings(
        passes=3,
        first=TIME,
        venue_time=TIME + 4 * second,
        answered={"open_orders": 2, "all_orders": 7},
        missing=("trades",),
        quiet_until=TIME + 15 * second,
        verdict="no full answer from trades",
    )
    text = [Text.from_markup(line).plain.strip() for line in evidence(ORDER, looked)]
    assert text == [
        "looked for 3 times since 2026-08-01 12:00:00.000 of the venue's clock, "
        "last at 2026-08-01 12:00:04.000 of the venue's clock",
        "answered in full: open_orders (2 rows), all_orders (7 rows); no full answer: trades",
        "its absence counts from 2026-08-01 12:00:15.000 of the venue's clock, the end of the quiet window",
        "no full answer from trades",
    ]
    blind = "\n".join(evidence(ORDER, dataclasses.replace(looked, venue_time=0, answered={}, quiet_until=None)))
    assert "did not answer" in blind
    assert "answered in full: none" in blind
    assert "never proves anything" in blind
