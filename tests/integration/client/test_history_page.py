"""The programs and queries of docs/history.md, run as they stand there."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from tests.publishing import TIME
from tests.simulation import ROOT
from tickrouter.core.entry_ids import EntryIds
from tickrouter.history.sink import MarketWriter, Row
from tickrouter.model.tick import Tick
from tickrouter.model.trade import Trade

C = "btcturk/btc.usdt"
SECOND = 1_000_000_000
PAGE = (ROOT / "docs/history.md").read_text(encoding="utf-8")


def programs(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def filled(db: Any) -> Any:
    """Two minutes of ticks and trades from noon on, and an order with two fills."""
    ids, rows = EntryIds(1), []
    for number in range(120):
        at = TIME + number * SECOND
        rows.append(Row("tick", ids.next(at), Tick(at, 100.0 + number, None, ((99.0, 1.0),), (), C, "trade")))
    for number in range(120):
        at = TIME + number * SECOND
        rows.append(Row("trade", ids.next(at), Trade(at, 100.0, 0.5, "b", str(number), C, "live", at)))
    MarketWriter(db).write(rows)
    head = {"account": "btcturk/main", "epoch": 1, "client_oid": "6644238c0f1e2d3c4b5a69788796a5b4"}
    money = {name: Decimal128(value) for name, value in (("price", "10"), ("amount", "0.5"), ("fee", "0.1"))}
    db.events.insert_many([head | {"_id": f"e{seq}", "seq": seq} for seq in (1, 2, 3)])
    db.fills.insert_many([head | money | {"_id": f"f{seq}", "seq": seq, "fee_currency": "usdt"} for seq in (1, 2)])
    return db


def test_the_frame_in_three_lines(
    filled: Any, mongo_url: str, redis_url: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tickrouter.yaml"
    config.write_text(f"data: {tmp_path}\nservers: {{mongo_database: {unique}}}\n")
    for name, value in (("MONGO_URL", mongo_url), ("REDIS_URL", redis_url), ("TICKROUTER_CONFIG", str(config))):
        monkeypatch.setenv(name, value)
    room: dict[str, Any] = {}
    exec(compile(programs("python")[0], "docs/history.md", "exec"), room)
    assert room["frame"]["price"].tolist() == [100.0 + number for number in range(120)]


def test_the_program_with_pymongo(filled: Any, mongo_url: str, unique: str) -> None:
    (program,) = (one for one in programs("python") if "MongoClient" in one)
    own = program.replace('"mongodb://127.0.0.1:27017"', repr(mongo_url)).replace(".tickrouter", f"[{unique!r}]")
    room: dict[str, Any] = {}
    exec(compile(own, "docs/history.md", "exec"), room)
    assert room["last"]["price"] == 219.0
    assert room["spent"] == Decimal("10.0")


def test_the_queries_of_mongosh(filled: Any) -> None:
    """With their names quoted and their long numbers bare they are Python; the server is the same."""
    (script,) = programs("javascript")
    text = re.sub(r"^(//.*|use .*)$", "", script, flags=re.MULTILINE)
    text = re.sub(r'Long\("(\d+)"\)', r"\1", text)
    text = re.sub(r"([{,]\s*)(\$?\w+):", r'\1"\2":', text)
    queries = re.split(r"\n(?=db\.)", text.strip())
    answers = [list(eval(query.replace("\n", " "), {"db": filled})) for query in queries]
    newest, hour, volume, steps, cost = answers
    assert [one["price"] for one in newest] == [219.0, 218.0, 217.0, 216.0, 215.0]
    assert len(hour) == 120
    assert [(one["volume"], one["trades"]) for one in volume] == [(30.0, 60), (30.0, 60)]
    assert [one["seq"] for one in steps] == [1, 2, 3]
    assert [(one["_id"], one["fee"].to_decimal(), one["fills"]) for one in cost] == [("usdt", Decimal("0.2"), 2)]
