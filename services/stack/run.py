"""A run of the stack from start to end: view, demonstration orders, summary."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from tickrouter import logs
from tickrouter.bus.connection import connect as connect_redis
from tickrouter.clock import Clock, SystemClock
from tickrouter.errors import StorageError

from .demo import Demo
from .facts import Reader, Watch
from .stack import Stack
from .summary import Summary, count_records, fills_published
from .view.live import screen
from .view.plain import line
from .view.result import result

POLL = 0.1
DRAW = 0.25
LINE = 1.0
"""Seconds between two looks at the processes, two drawings, two lines."""
WHOLE_RUN, NEWEST = 100_000, 2_000
"""Entries a stream compared at the end: when the time given is over, and when somebody waits after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Attributes:
        seconds: how long, None until told to stop.
        plain: lines instead of tables.
        summary: file for the summary as JSON.
        demo: place demonstration orders.
    """

    seconds: float | None = None
    plain: bool = False
    summary: Path | None = None
    demo: bool = True


class Run:
    """One run; `go` blocks until it is over."""

    def __init__(self, stack: Stack, options: Options, out: Console, clock: Clock | None = None) -> None:
        self._stack = stack
        self._options = options
        self._out = out
        self._clock = clock or SystemClock()
        self._ending = threading.Event()

    def go(self) -> int:
        """Start, show, end.

        Returns:
            Exit status 0.

        Raises:
            TickrouterError: something does not start; whatever was started is ended before.
            KeyboardInterrupt: told to stop while starting.
        """
        folders = self._stack.folders
        logs.configure("stack", file=folders.logs / "stack.log")
        began = self._clock.now()
        with self._ended_in_any_case():
            self._out.print(f"starting; data and logs are in {folders.data}", soft_wrap=True)
            self._stack.start()
            self._out.print(
                f"everything runs; in another terminal: tickrouter check --config {folders.config}", soft_wrap=True
            )
            start, fills = self._clock.monotonic(), self._fills()
            with _on_signal(self._end):
                self._watch(start)
                seconds = round(self._clock.monotonic() - start, 1)
                summary = Summary(seconds=seconds, restarts=self._stack.restarts())
                self._stack.stop_services()
                self._count(summary, began, fills)
                self._stack.stop()
            self._show(summary)
        return 0

    def _watch(self, start: float) -> None:
        watch = Watch(Reader(self._stack.config))
        demo = Demo(self._stack.config) if self._options.demo else None
        try:
            if self._options.plain:
                self._lines(start, watch)
            else:
                self._tables(start, watch)
        finally:
            watch.close()
            if demo is not None:
                demo.close()

    def _lines(self, start: float, watch: Watch) -> None:
        due = start + LINE
        for now in self._polls(start):
            if now >= due:
                due += LINE
                self._out.print(line(now - start, watch.latest, self._stack.supervisor), soft_wrap=True)

    def _tables(self, start: float, watch: Watch) -> None:
        due = start
        with Live(console=self._out, auto_refresh=False, transient=True) as live:
            for now in self._polls(start):
                if now >= due:
                    due = now + DRAW
                    notices = list(self._stack.notices)
                    drawn = screen(now - start, watch.latest, self._stack.supervisor, notices, self._clock)
                    live.update(drawn, refresh=True)

    def _polls(self, start: float) -> Iterator[float]:
        """Look after the processes until the run is over; yields the time after each look."""
        seconds = self._options.seconds
        while not self._ending.wait(POLL):
            now = self._clock.monotonic()
            if seconds is not None and now - start >= seconds:
                return
            self._stack.supervisor.poll()
            yield now

    def _count(self, summary: Summary, began: int, fills: int) -> None:
        limit = NEWEST if self._ending.is_set() else WHOLE_RUN
        try:
            count_records(summary, self._stack.config, began // 1_000_000, limit)
            summary.fills = max(0, self._fills() - fills)
        except StorageError as error:
            summary.errors.append(str(error))

    def _show(self, summary: Summary) -> None:
        self._out.print(result(summary), soft_wrap=True)
        if self._options.summary is not None:
            self._options.summary.write_text(json.dumps(summary.to_json(), indent=1) + "\n", encoding="utf-8")

    def _fills(self) -> int:
        with connect_redis(self._stack.config.orders_redis_url, timeout=2.0) as redis:
            return fills_published(redis, self._stack.config)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending.set()

    @contextmanager
    def _ended_in_any_case(self) -> Iterator[None]:
        try:
            with _on_signal(_interrupt):
                yield
        finally:
            with _on_signal(self._end):
                self._stack.close()


@contextmanager
def _on_signal(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
