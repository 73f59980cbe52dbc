"""The worked examples of docs/wire.md: each decodes and encodes, by us and by msgpack alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest

from tickrouter.bus.codec import pack_map, pack_record, unpack_map, unpack_record
from tickrouter.bus.keys import AccountKeys, MarketKeys
from tickrouter.bus.subscribe import balance_of
from tickrouter.core.risk import RULES
from tickrouter.model.account import Balance
from tickrouter.model.bar import Bar
from tickrouter.model.book import Book
from tickrouter.model.command import Action, Command
from tickrouter.model.event import Event, EventType
from tickrouter.model.feed import Feed
from tickrouter.model.order import Status
from tickrouter.model.record import Record
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

TEXT = (Path(__file__).parents[3] / "docs/wire.md").read_text()
BLOCKS = re.findall(r"^```(json|hex) ([a-z_ ]+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
READINGS = {name: json.loads(body) for form, name, body in BLOCKS if form == "json"}
BYTES = {name: bytes.fromhex(body) for form, name, body in BLOCKS if form == "hex"}
RECORDS: dict[str, type[Record]] = {"tick": Tick, "trade": Trade, "book": Book, "bar": Bar, "feed": Feed}


def named(kind: str) -> list[str]:
    return [name for name in READINGS if name.split()[0] == kind]


def test_every_reading_has_its_bytes_and_every_form_an_example() -> None:
    assert list(READINGS) == list(BYTES)
    assert {name.split()[0] for name in READINGS} == {*RECORDS, "command", "event", "balance"}
    assert len(BLOCKS) == 2 * len(READINGS)


@pytest.mark.parametrize("name", READINGS)
def test_plain_msgpack_reads_what_the_page_says(name: str) -> None:
    assert msgpack.unpackb(BYTES[name]) == READINGS[name]
    assert msgpack.packb(READINGS[name]) == BYTES[name]


@pytest.mark.parametrize("kind", RECORDS)
def test_records_decode_and_encode(kind: str) -> None:
    record = unpack_record(RECORDS[kind], BYTES[kind])
    assert pack_record(record) == BYTES[kind]
    assert [record.to_dict()[field] for field in RECORDS[kind].__struct_fields__] == record.to_short_list()[1:]


@pytest.mark.parametrize("kind", RECORDS)
def test_the_page_lists_a_records_fields_in_their_order(kind: str) -> None:
    (paragraph,) = re.findall(rf"^\*\*{kind}\*\*: (.*?)\.$", TEXT, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", paragraph))
    assert listed == list(RECORDS[kind].__struct_fields__)


@pytest.mark.parametrize("name", named("command"))
def test_commands_decode_and_encode(name: str) -> None:
    command = Command.from_wire(unpack_map(BYTES[name]))
    again: dict[str, Any] = unpack_map(pack_map(command.to_wire()))
    assert again == READINGS[name] | ({"quote_amount": "250.5"} if name == "command market_buy" else {})


@pytest.mark.parametrize("name", named("event"))
def test_events_decode_and_encode(name: str) -> None:
    event = Event.from_wire(unpack_map(BYTES[name]))
    wire = event.to_wire() | {"epoch": event.epoch, "seq": event.seq}
    if event.fill is not None:
        wire["fill"] = event.fill.to_wire() | {"seq": event.fill.seq}
    assert wire == READINGS[name]
    assert event.unknown == {}


def test_a_balance_decodes() -> None:
    balance = balance_of("btc", BYTES["balance"])
    assert isinstance(balance, Balance)
    assert str(balance.locked) == "0.5"


@pytest.mark.parametrize("kind", [Command, Event])
def test_every_field_of_a_map_stands_in_the_page(kind: type[Command] | type[Event]) -> None:
    missing = [name for name in kind.__struct_fields__ if name != "unknown" and f"`{name}`" not in TEXT]
    assert missing == []


def test_every_key_stands_in_the_page() -> None:
    account, market = AccountKeys("<account>"), MarketKeys("<contract>")
    names = [name for name in dir(AccountKeys) if isinstance(getattr(AccountKeys, name), property)]
    keys = [getattr(account, name) for name in names] + [account.order("<client_oid>"), account.alive("<strategy>")]
    keys += [market.stream(kind) for kind in ("tick", "trade", "book", "feed", "bar:<period>")]
    keys += [market.through, market.lease]
    assert [key for key in keys if f"`{key}`" not in TEXT] == []


@pytest.mark.parametrize("words", [get_args(Action), get_args(EventType)])
def test_every_action_and_type_stands_in_the_page(words: tuple[str, ...]) -> None:
    assert [word for word in words if f"`{word}`" not in TEXT] == []


def test_every_status_stands_in_the_page() -> None:
    assert [str(status) for status in Status if str(status) not in TEXT] == []


def test_the_page_lists_every_risk_rule_and_no_other() -> None:
    table = TEXT.partition("| rule | value | denied as |")[2].partition("\n\n")[0]
    listed = [
        re.sub("<(quote|base)>", "<currency>", name) for name in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    ]
    assert sorted(listed) == sorted(RULES)
