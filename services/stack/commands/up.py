"""`tickrouter up`: the whole system on this machine, with a simulated venue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tickrouter._launch import packaged_configs
from tickrouter.config import Config, find_config, load_config
from tickrouter.errors import ConfigError

from ..effective import Folders
from ..run import Options, Run
from ..stack import Market, Stack
from .common import ConfigOption, MarketOption, SpeedOption, market_source, out

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(text: str) -> float:
    """`60s`, `2m`, `1.5h`, or a number of seconds.

    Raises:
        typer.BadParameter: another form.
    """
    match = _SPAN.match(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time; write 60s, 2m or 1h")
    return float(match[1]) * _UNITS[match[2]]


def up(
    config: ConfigOption = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="End after this time, e.g. 60s or 5m.", show_default="until Ctrl-C")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="One line a second; the default under a pipe.")] = False,
    summary: Annotated[Path | None, typer.Option("--summary", help="Write the summary there, as JSON.")] = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Place no demonstration orders.")] = False,
    market: MarketOption = "generated",
    speed: SpeedOption = 1.0,
    data: Annotated[Path | None, typer.Option("--data", help="Folder for data and logs.", show_default=False)] = None,
) -> None:
    """Run it all here: Redis, MongoDB, a simulated BTCTurk, collector, router, archiver. Ctrl-C ends it.

    Orders never leave this machine. REDIS_URL, ORDERS_REDIS_URL and MONGO_URL replace the servers that it starts.
    """
    base, folder = _base(config)
    options = Options(seconds(lasting) if lasting else None, plain or not out.is_terminal, summary, not no_demo)
    stack = Stack(base, Folders((data or folder).resolve()), Market(market_source(market), speed), _say)
    raise typer.Exit(Run(stack, options, out).go())


def _base(given: Path | None) -> tuple[Config, Path]:
    """The user's configuration, else the one that comes with the product; and the data folder."""
    try:
        file = find_config(given)
    except ConfigError:
        return load_config(packaged_configs() / "tickrouter.yaml"), Path("data")
    found = load_config(file)
    return found, found.data_folder


def _say(sentence: str) -> None:
    out.print(f"! {sentence}", style="yellow", markup=False, soft_wrap=True)
