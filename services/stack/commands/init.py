"""`tickrouter init`: the files that a user edits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tickrouter._launch import packaged_configs

from .common import out

KEY_FILE = """\
# API keys by account. This file has mode 600; tickrouter refuses it if others can read it.
# BTCTurk knows three kinds: a key with the scopes Total Funds, Trade and Account for REST, and one of the
# separate kind WebSocket for the private messages of the socket. The private keys are base64 texts.
btcturk/main:
  public_key: ""
  private_key: ""
  socket_public_key: ""
  socket_private_key: ""
"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if missing.")] = Path(),
) -> None:
    """Write a commented tickrouter.yaml, the venue cards and a key file of mode 600. Overwrites nothing."""
    packaged = packaged_configs()
    settings = (packaged / "tickrouter.yaml").read_text(encoding="utf-8")
    _write(folder / "tickrouter.yaml", settings.replace("data: ../data\n", "data: data\n"))
    for card in sorted((packaged / "venues").glob("*.yaml")):
        _write(folder / "venues" / card.name, card.read_text(encoding="utf-8"))
    _write(folder / "keys.yaml", KEY_FILE, mode=0o600)
    out.print("Next: write your keys into keys.yaml, then run `tickrouter check`.")


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        out.print(f"{file} is there already, left as it is")
        return
    with os.fdopen(handle, "w", encoding="utf-8") as target:
        target.write(text)
    out.print(f"{file} written")
