"""What the commands share: options, finding the configuration, printing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tickrouter.config import FILE_VARIABLE, Config, find_config, load_config

from ..effective import running_config

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file. Default: $TICKROUTER_CONFIG, ./tickrouter.yaml, ./configs/tickrouter.yaml.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON value a line, for programs.")]
LogFileOption = Annotated[
    Path | None, typer.Option("--log-file", help="JSON lines go there; without it, readable lines to stderr.")
]
ContractArgument = Annotated[str, typer.Argument(help="e.g. btcturk/btc.try")]
AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", help="e.g. btcturk/main; needed where several are configured.")
]
MarketOption = Annotated[
    str,
    typer.Option("--market", help="What the simulated venue plays: generated, live, or recorded files (a,b)."),
]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0.01, help="How much faster than real time it plays; not for live.")
]

_WIDEST = 1000
out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def configured(given: Path | None) -> Config:
    """The configuration for a process of its own (collect, route, archive).

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    return load_config(find_config(given))


def reachable(given: Path | None) -> Config:
    """The configuration for a look or an order: that of the stack which runs here, if none is named and one runs.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    running = running_config() if given is None else None
    if running is None:
        return configured(given)
    if os.environ.get(FILE_VARIABLE) != str(running):
        errors.print(f"using the running stack, {running}", style="dim", soft_wrap=True)
    return load_config(running)


def market_source(text: str) -> str:
    """`generated`, `live`, or the paths of recorded files, made absolute.

    Raises:
        typer.BadParameter: neither, or a file is missing.
    """
    if text in ("generated", "live"):
        return text
    files = [Path(part) for part in text.split(",")]
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"{str(file)!r} is neither generated, live nor a file", param_hint="--market")
    return ",".join(str(file.resolve()) for file in files)


def print_table(table: Table) -> None:
    """A table as wide as it has to be: no number and no name is cut, however narrow the terminal is."""
    width = out.measure(table, options=out.options.update(width=_WIDEST)).maximum
    Console(highlight=False, width=max(out.width, width)).print(table)


def print_json(value: Any) -> None:
    """One line of JSON; money and times become text."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")


def only_account(config: Config, given: str | None) -> str:
    """The account named, or the only one configured.

    Raises:
        typer.BadParameter: it is not configured, so that nobody would answer; or none or several are configured, and
            none is named.
    """
    known = ", ".join(config.accounts) or "none is configured"
    if given is not None and given not in config.accounts:
        raise typer.BadParameter(f"no account {given!r} in {config.file}; there are: {known}", param_hint="--account")
    if given is not None:
        return given
    if len(config.accounts) == 1:
        return next(iter(config.accounts))
    raise typer.BadParameter(f"say which account: {known}", param_hint="--account")
