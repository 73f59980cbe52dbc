"""`tickrouter risk show | set | unset`: an account's limits while its router runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tickrouter.bus.connection import connect
from tickrouter.bus.controls import read_risk, set_risk, unset_risk
from tickrouter.config import Config, Risk
from tickrouter.core.risk import RULES, Limits, changed
from tickrouter.errors import InvalidValue
from tickrouter.model.money import plain

from .common import ConfigOption, JsonOption, out, print_json, reachable
from .halt import named

app = typer.Typer(
    help="Show and change what an account may do at most, while its router runs. docs/orders.md explains the rules.",
    no_args_is_help=True,
)
AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="e.g. btcturk/main")]
RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help=", ".join(RULES))]


@dataclass(frozen=True, slots=True)
class Row:
    """One rule: what the configuration says, what was set over it, and what counts; None is no limit.

    `wrong` is why the router does not take what was set.
    """

    rule: str
    configured: str | None
    set: str | None
    in_force: str | None
    wrong: str | None = None


@app.command()
def show(account: AccountArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every rule: as configured, as set while running, and what counts."""
    settings, name = _meant(config, account)
    with connect(settings.orders_redis_url) as redis:
        found = rows(settings.accounts[name].risk, read_risk(redis, name))
    if as_json:
        for row in found:
            print_json(asdict(row))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("rule", "configured", "set", "in force"):
        table.add_column(heading)
    for row in found:
        overlay = "-" if row.set is None else repr(row.set) if not row.set else row.set
        wrong = Text(f"{overlay}: not taken: {row.wrong}", style="red") if row.wrong else Text(overlay)
        table.add_row(row.rule, row.configured or "-", wrong, Text(row.in_force or "-", style="bold"))
    out.print(table)


@app.command(name="set")
def set_(
    account: AccountArgument,
    rule: RuleArgument,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="A number, or a comma list of contracts; '' lifts the limit.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a rule over the configuration's. It holds, restarts included, until it is set anew or unset.

    The router takes it up within a second and publishes an event of type risk.
    """
    settings, name = _meant(config, account)
    canonical = rule.lower()
    changed(settings.accounts[name].risk.limits, canonical, value)
    with connect(settings.orders_redis_url) as redis:
        set_risk(redis, name, canonical, value)
    if as_json:
        print_json({"account": name, "rule": canonical, "set": value})
    else:
        out.print(f"{name}: {canonical} = {value or 'no limit'}", markup=False, soft_wrap=True)


@app.command()
def unset(
    account: AccountArgument, rule: RuleArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let the configuration's word count again."""
    settings, name = _meant(config, account)
    canonical = rule.lower()
    with connect(settings.orders_redis_url) as redis:
        before = read_risk(redis, name)
        if canonical not in before:
            known = ", ".join(sorted(before)) or "nothing"
            raise InvalidValue(canonical, f"is not set over the configuration of {name}; set is: {known}")
        unset_risk(redis, name, canonical)
    if as_json:
        print_json({"account": name, "rule": canonical, "before": before[canonical]})
    else:
        out.print(f"{name}: {canonical} as configured", markup=False, soft_wrap=True)


def rows(risk: Risk, overlay: Mapping[str, str]) -> list[Row]:
    """Every rule that limits something or could, those by currency only where one is named."""
    configured = _texts(risk.limits)
    limits, wrong = risk.limits, {}
    for rule, text in sorted(overlay.items()):
        try:
            limits = changed(limits, rule, text)
        except InvalidValue as error:
            wrong[rule] = error.reason
    in_force = _texts(limits)
    names = dict.fromkeys([*configured, *in_force, *sorted(overlay)])
    return [Row(name, configured.get(name), overlay.get(name), in_force.get(name), wrong.get(name)) for name in names]


def _texts(limits: Limits) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for name, value in asdict(limits).items():
        match value:
            case Mapping():
                texts |= {f"{name}:{currency}": plain(number) for currency, number in sorted(value.items())}
            case Decimal() | None:
                texts[name] = None if value is None else plain(value)
            case _:
                texts[name] = ",".join(sorted(value)) or "none"
    return texts


def _meant(config_file: ConfigOption, account: str) -> tuple[Config, str]:
    settings = reachable(config_file)
    (name,) = named(settings, [account])
    return settings, name
