"""`tickrouter export`, `tickrouter archive-now`: stored records as files, and packed at once."""

from __future__ import annotations

import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tickrouter._launch import service
from tickrouter.clock import SystemClock
from tickrouter.errors import TickrouterError
from tickrouter.history.connection import connect, database, ensure_indexes
from tickrouter.history.coverage import coverage, spoken_until
from tickrouter.model.contract import Contract
from tickrouter.model.moment import nanoseconds

from .common import ConfigOption, ContractArgument, errors, out, reachable
from .coverage import print_holes

_NEEDS = "this needs pyarrow: pip install 'tickrouter[archive]'"


class ExportKind(StrEnum):
    """What can be exported."""

    TICK = "tick"
    TRADE = "trade"
    BOOK = "book"
    BAR = "bar"


class Form(StrEnum):
    """What a file can be."""

    PARQUET = "parquet"
    CSV = "csv"


def export(
    contract: ContractArgument,
    start: Annotated[str, typer.Option("--from", help="First time, ISO, UTC unless it names a zone.")],
    end: Annotated[str | None, typer.Option("--to", help="First time that is left out.", show_default="now")] = None,
    kind: Annotated[ExportKind, typer.Option("--kind", "-k", help="Which records.")] = ExportKind.TICK,
    form: Annotated[Form, typer.Option("--format", "-f", help="Of the files.")] = Form.PARQUET,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files, one a day.")] = Path("export"),
    columns: Annotated[str | None, typer.Option("--columns", help="Names, with commas between.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write stored records to files, one a day; stopped and started again, it goes on where it was.

    What of that time is lacking is said on stderr, and in the metadata of a Parquet file.
    """
    files = _export_module()
    settings = reachable(config)
    name, now = str(Contract.parse(contract)), SystemClock().now()
    first, last = nanoseconds("--from", start), now if end is None else nanoseconds("--to", end)
    if last <= first:
        raise typer.BadParameter(f"{end or 'now'} is not after {start}", param_hint="--to")
    chosen = tuple(columns.split(",")) if columns else None
    total = 0
    rows_so_far = TextColumn("{task.fields[rows]:,} rows")
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rows_so_far, TimeRemainingColumn())
    with connect(settings.mongo_url) as client, Progress(*shown, console=errors) as progress:
        db = database(client, settings.servers.mongo_database)
        spoken = spoken_until(db, name, kind.value)
        stored = now if spoken is None else min(now, spoken)
        parts = files.plan(folder, name, kind.value, first, last, stored, form.value)
        left = [part for part in parts if not part.is_done]
        task = progress.add_task(f"{name} {kind.value}", total=len(parts), completed=len(parts) - len(left), rows=0)
        for part in left:
            for rows in files.write(db, name, kind.value, part, form.value, chosen):
                total += rows
                progress.update(task, rows=total)
            progress.advance(task)
        lacking = coverage(db, name, kind.value, first, last, made=True)
    print_holes(kind.value, lacking)
    before = f", {len(parts) - len(left)} were there" if len(left) < len(parts) else ""
    out.print(f"{total:,} rows in {len(left)} files in {folder}{before}", soft_wrap=True)


def archive_now(
    hot_hours: Annotated[
        float | None, typer.Option("--hot-hours", min=0, help="Younger ones stay.", show_default="the configured")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Pack what is older than the hot window into chunks at once, those that fill none included."""
    settings = reachable(config)
    try:
        packer = service("archiver.packer").Packer
    except ImportError as error:
        raise TickrouterError(_NEEDS) from error
    hot = settings.archive.hot_hours if hot_hours is None else hot_hours
    chosen = settings.archive.model_copy(update={"enabled": True, "hot_hours": hot, "wait_hours": 0.0})
    with connect(settings.mongo_url) as client:
        db = database(client, settings.servers.mongo_database)
        ensure_indexes(db)
        packing = packer(db, chosen, SystemClock(), threading.Event())
        while packing.step():
            pass
        done = packing.progress
    out.print(
        f"{done.rows:,} records in {done.chunks} chunks, {done.removed:,} documents removed, {done.bars:,} bars made"
    )
    if done.refused:
        errors.print(f"{done.refused:,} documents say what their kind cannot hold, and stay", style="yellow")
    if done.error:
        raise TickrouterError(done.error)


def _export_module() -> Any:
    try:
        from tickrouter.history import export as files
    except ImportError as error:
        raise TickrouterError(_NEEDS) from error
    return files
