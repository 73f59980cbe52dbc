"""Every promise of docs/guarantees.md names a command that is there to be run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.proofs.__main__ import PARTS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/guarantees.md").read_text()
PROMISES = TEXT.split("## The promises\n")[1].split("\n## ")[0]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands() -> list[str]:
    """The last cell of each row of the table, its head left out."""
    rows = [line.strip("|").split("|") for line in PROMISES.splitlines() if line.startswith("|")]
    assert all(len(cells) == len(rows[0]) for cells in rows)
    return [cells[-1].strip() for cells in rows[2:]]


def test_every_promise_has_a_command() -> None:
    found = commands()
    assert found[0].startswith("`")
    assert all("`" in command or command.startswith("the same") for command in found)


def test_the_commands_name_what_is_there() -> None:
    files = re.findall(r"tests/[a-z_/.]+", " ".join(commands()))
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
    parts = [part for only in re.findall(r"--only ([a-z,]+)", TEXT) for part in only.split(",")]
    assert parts
    assert set(parts) <= set(PARTS)
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= TARGETS
