"""`tickrouter history`: stored records."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from tickrouter.client import Client
from tickrouter.clock import SystemClock

from .common import ConfigOption, ContractArgument, JsonOption, out, print_json, reachable
from .coverage import print_holes
from .tail import Kind, described

_HOUR = 3600 * 1_000_000_000


def history(
    contract: ContractArgument,
    start: Annotated[
        str | None,
        typer.Option("--start", help="First time, ISO, UTC unless it names a zone.", show_default="an hour ago"),
    ] = None,
    end: Annotated[str | None, typer.Option("--end", help="First time that is left out.", show_default="now")] = None,
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="Which records.")] = Kind.TICK,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0 for all.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what MongoDB holds of a contract, by time, and on stderr what of that time is lacking."""
    with Client(reachable(config)) as client:
        found: Any = client.history(contract, start or SystemClock().now() - _HOUR, end, kind=kind.value)
        for record in islice(found, limit or None):
            if as_json:
                print_json({"kind": kind.value, **record.to_dict()})
            else:
                out.print(described(record), soft_wrap=True)
        print_holes(kind.value, found.coverage)
