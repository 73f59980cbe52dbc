"""Structured logs: JSON lines into a file, readable lines on a terminal; secrets never reach either."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from tickrouter.model.secrecy import redacted


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what is a secret by its type or by its name, at any depth, and passwords inside addresses."""
    hidden: EventDict = redacted(event)
    return hidden


class _MayBeFull:
    """A file on a disk that may be full: a line that it does not take is lost, and nothing else with it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def configure(service: str, *, level: str = "info", file: Path | None = None) -> None:
    """Set up logging for this process.

    Args:
        service: name written into each line.
        level: debug, info, warning or error.
        file: JSON lines go here; without it, readable lines go to stderr.
    """
    stream: TextIO | _MayBeFull = sys.stderr
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = _MayBeFull(file.open("a", buffering=1, encoding="utf-8"))
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry the part's name."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
