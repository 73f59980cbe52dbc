"""`tickrouter halt | resume`: whether new orders may leave."""

from __future__ import annotations

import os
from getpass import getuser
from typing import Annotated

import typer

from tickrouter.client import Client
from tickrouter.config import Config

from .common import ConfigOption, JsonOption, out, print_json, reachable


def login() -> str:
    """The name of whoever runs this, or the number where the machine knows no name."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


AccountsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="ACCOUNT", help="e.g. btcturk/main", show_default="all that are configured"),
]
OperatorOption = Annotated[
    str, typer.Option("--operator", help="Who does it; recorded.", default_factory=login, show_default="your login")
]


def halt(
    operator: OperatorOption,
    accounts: AccountsArgument = None,
    why: Annotated[str, typer.Option("--why", help="Recorded, and shown to whoever looks.")] = "by hand",
    cancel_all: Annotated[bool, typer.Option("--cancel-all", help="Cancel every open order besides.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let no new order leave; cancels still do. Holds from this moment until `resume`, restarts included.

    Works while the router is busy, stopped, or waits for a slow venue: what is not signed yet will not be sent.
    """
    settings = reachable(config)
    for name in named(settings, accounts):
        with Client(settings, account=name) as client:
            command = client.halt(operator, why, cancel_all)
            said = client.halted()
        if as_json:
            print_json({"account": name, "halt": said, "cancel_all": command})
        else:
            asked = f"; asked to cancel all, command {command}" if command else ""
            out.print(f"{name}: halted by {operator}: {why}{asked}", markup=False, soft_wrap=True)


def resume(accounts: AccountsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let orders leave again. Those that were denied meanwhile stay denied."""
    settings = reachable(config)
    for name in named(settings, accounts):
        with Client(settings, account=name) as client:
            before = client.halted()
            client.resume()
        if as_json:
            print_json({"account": name, "halt": "run", "before": before or "run"})
        else:
            was = f"was {before}" if before else "was not halted"
            out.print(f"{name}: orders may leave ({was})", markup=False, soft_wrap=True)


def named(config: Config, given: list[str] | None) -> list[str]:
    """The accounts meant: those named, else all. A name that is not configured would be halted for nobody.

    Raises:
        typer.BadParameter: a name is not configured, or none is.
    """
    known = ", ".join(config.accounts) or "none"
    for name in given or ():
        if name not in config.accounts:
            raise typer.BadParameter(f"no account {name!r} in {config.file}; there are: {known}", param_hint="ACCOUNT")
    if not config.accounts:
        raise typer.BadParameter(f"{config.file} configures no account", param_hint="ACCOUNT")
    return given or list(config.accounts)
