"""The README: short, and true where a machine can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert 40 < len(README.splitlines()) <= 150


def test_files_that_it_links_to_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "docs/operations.md"])
def test_commands_that_are_shown_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = {file.stem for file in (ROOT / "services" / "stack" / "commands").glob("*.py")}
    commands |= {"collect", "route", "archive", "simulate", "resume"}
    shown = re.findall(r"`tickrouter (\w+)", text)
    for block in re.findall(r"```sh\n(.*?)```|((?:^ {4,}.*\n)+)", text, re.DOTALL | re.MULTILINE):
        shown += re.findall(r"^ *tickrouter (\w+)", "".join(block), re.MULTILINE)
    assert shown
    assert set(shown) <= commands
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4,})make ([a-z-]+)", text, re.MULTILINE)) <= targets
