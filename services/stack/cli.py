"""The command `tickrouter`."""

from __future__ import annotations

import os
import sys

import typer

from tickrouter.errors import TickrouterError

from .commands import (
    audit,
    check,
    coverage,
    export,
    fills,
    halt,
    history,
    init,
    order,
    replay,
    risk,
    services,
    status,
    streams,
    tail,
    up,
    version,
)
from .commands.common import errors

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it: 128 + SIGINT."""

app = typer.Typer(
    name="tickrouter",
    help="Records market data into Redis and MongoDB and routes orders: a trading program talks to these alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(check.check)
app.command()(init.init)
app.command()(services.collect)
app.command()(services.route)
app.command()(services.archive)
app.command()(services.simulate)
app.command()(tail.tail)
app.add_typer(order.app, name="order")
app.command()(halt.halt)
app.command()(halt.resume)
app.add_typer(risk.app, name="risk")
app.command()(fills.fills)
app.command()(history.history)
app.command()(export.export)
app.command("archive-now")(export.archive_now)
app.command()(replay.replay)
app.command()(streams.streams)
app.command()(status.status)
app.command()(coverage.coverage)
app.command()(audit.audit)
app.command()(version.version)


def main() -> int:
    """Run a command.

    Returns:
        Exit status: 0 done, 1 an error that was printed in one line, 2 wrong usage, 130 Ctrl-C.
    """
    try:
        app()
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else 0)
    except TickrouterError as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _quiet()
    return 0


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet()
    return code


def _quiet() -> int:
    """The reader went away (`| head`): say nothing, not even when Python flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
