"""`tickrouter collect | route | archive | simulate`: one process of the system, alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tickrouter import logs
from tickrouter._launch import service
from tickrouter.config import Config, Keys, load_keys
from tickrouter.model.account import Account

from ..effective import ensure_keys
from .common import ConfigOption, LogFileOption, MarketOption, SpeedOption, configured, market_source


def collect(config: ConfigOption = None, log_file: LogFileOption = None) -> None:
    """Record market data: venue to Redis and MongoDB, for the contracts under `record`."""
    _run("collector", configured(config), log_file)


def route(config: ConfigOption = None, log_file: LogFileOption = None) -> None:
    """Route orders: the accounts' queues to their venues, events and fills back."""
    _run("router", configured(config), log_file)


def archive(config: ConfigOption = None, log_file: LogFileOption = None) -> None:
    """Copy orders, events and fills from Redis to MongoDB, for good."""
    _run("archiver", configured(config), log_file)


def simulate(
    config: ConfigOption = None,
    log_file: LogFileOption = None,
    port: Annotated[int, typer.Option("--port", help="Of REST and socket; 0 for a free one.")] = 8000,
    control_port: Annotated[int, typer.Option("--control-port", help="Of the control calls; 0 for a free one.")] = 8001,
    market: MarketOption = "generated",
    speed: SpeedOption = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated order flow.")] = 1,
    live_host: Annotated[
        str | None, typer.Option("--live-host", help="Socket of the live venue.", show_default="the card's")
    ] = None,
    limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Refuse requests beyond the limits.")] = True,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Key file of the simulated accounts; made if missing.", show_default=False),
    ] = None,
) -> None:
    """Be a venue: BTCTurk's REST and socket on this machine, with accounts that hold play money.

    Point `venues: btcturk: hosts` and `key_file` of a configuration at it to trade on paper.
    """
    settings = configured(config)
    source = market_source(market)
    data = settings.data_folder / "simulator"
    file = (keys or data / "keys.yaml").resolve()
    ensure_keys(file, settings.accounts)
    logs.configure("simulator", level=settings.log_level, file=log_file)
    fields: dict[str, object] = {
        "data": str(data),
        "port": port,
        "control_port": control_port,
        "market": source,
        "speed": speed,
        "seed": seed,
        "limits": limits,
        "live_host": live_host or _live_host(settings),
        "accounts": [{"keys": _plain(load_keys(file, Account.parse(name)))} for name in settings.accounts],
    }
    made = service("simulator.settings").Settings.from_json(json.dumps(fields))
    raise typer.Exit(service("simulator.main").run(made))


def _live_host(config: Config) -> str:
    return next((config.card(venue).hosts.socket for venue in config.venues), "")


def _plain(keys: Keys) -> dict[str, str]:
    secrets = asdict(keys)
    return {name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None}


def _run(name: str, config: Config, log_file: Path | None) -> None:
    logs.configure(name, level=config.log_level, file=log_file)
    raise typer.Exit(service(f"{name}.main").run(config))
