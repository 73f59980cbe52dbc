"""`tickrouter streams`: what is in Redis."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from tickrouter.bus.connection import connect
from tickrouter.bus.inspect import account_size, market_sizes

from .common import ConfigOption, JsonOption, out, print_json, reachable

KINDS = ("tick", "trade", "book", "feed")


def streams(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the length and the newest id of every stream, and what is in the accounts' keys."""
    settings = reachable(config)
    with connect(settings.redis_url) as redis:
        sizes = market_sizes(redis, settings.record.contracts, KINDS)
    with connect(settings.orders_redis_url) as redis:
        accounts = {name: account_size(redis, name) for name in settings.accounts}
    if as_json:
        for (contract, kind), size in sizes.items():
            print_json(
                {"contract": contract, "kind": kind, "length": size.length, "added": size.added, "last": size.last}
            )
        for name, account in accounts.items():
            print_json({"account": name, **asdict(account)})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("stream", "entries", "newest id"):
        table.add_column(heading, justify="left" if heading == "stream" else "right")
    for (contract, kind), size in sizes.items():
        table.add_row(f"{kind}:{{{contract}}}", f"{size.length:,}", "-".join(map(str, size.last or ())))
    out.print(table)
    for name, account in accounts.items():
        out.print(
            f"account {name}: " + ", ".join(f"{key} {value}" for key, value in asdict(account).items()), soft_wrap=True
        )
