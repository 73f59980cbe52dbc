"""The points of a run: every message of a router gets a name and a number, and at a chosen one the router is struck."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["before", "middle", "after"]
PHASES: tuple[Phase, ...] = ("before", "middle", "after")
_NEXT = " of the next"
HANDSHAKES = frozenset(
    {
        "redis:HELLO",
        "redis:SELECT",
        "redis:CLIENT SETINFO",
        "redis:CLIENT SETNAME",
        "redis:CLIENT MAINT_NOTIFICATIONS",
        "mongo:hello",
        "socket:control",
    }
)
"""Messages of drivers about themselves: they carry no effect, and their number differs from run to run."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in a router's life.

    Attributes:
        name: of the message, e.g. `redis:step`.
        number: which of that name, from 1.
        phase: before it is forwarded, when half of it is, or when its answer has come and is not passed on.
        incarnation: which start of the router, from 1.
    """

    name: str
    number: int
    phase: Phase
    incarnation: int = 1

    def __str__(self) -> str:
        return f"{self.phase} {self.name}#{self.number}" + ("" if self.incarnation == 1 else _NEXT)

    @classmethod
    def parse(cls, text: str) -> Point:
        """Inverse of `str`."""
        bare = text.removesuffix(_NEXT)
        phase, _, rest = bare.partition(" ")
        name, _, number = rest.rpartition("#")
        if phase not in PHASES:
            raise ValueError(f"{text!r} is no point")
        return cls(name, int(number), phase, 1 if bare == text else 2)


Act = Callable[[Callable[[], None]], None]
"""Done at a point while its message is held; called with what lets the message go on."""


class Gate:
    """Sees every message of one router, and strikes at the points it was given.

    Attributes:
        incarnation: number of the router's start.
        seen: messages of this incarnation by name.
        traces: all of them in order, (name, number), for each incarnation.
        struck: set when the router was killed.
        stopped: set when it was stopped.
        strikes: points that were reached.
    """

    def __init__(self, points: tuple[Point, ...] = ()) -> None:
        """The router is killed at `points`, unless `instead` says otherwise."""
        self.pid = 0
        self.incarnation = 1
        self.seen: Counter[str] = Counter()
        self.traces: list[list[tuple[str, int]]] = [[]]
        self.strikes: list[Point] = []
        self.struck = asyncio.Event()
        self.stopped = asyncio.Event()
        self.closed = False
        self.resets: dict[str, int] = {}
        """Messages by name whose answers are cut in half and reset, and how often still."""
        self._points = points
        self._acts: dict[Point, Act] = {}
        self._held: list[Callable[[], None]] = []
        self._closers: list[Callable[[], None]] = []

    def begin(self, pid: int) -> None:
        """A router was started, for the first time or again."""
        if self.pid:
            self.incarnation += 1
            self.traces.append([])
        self.pid = pid
        self.seen.clear()
        self.closed = False
        self.struck.clear()

    def number(self, name: str) -> int:
        """Count a message; its number among those of its name."""
        self.seen[name] += 1
        if name not in HANDSHAKES:
            self.traces[-1].append((name, self.seen[name]))
        return self.seen[name]

    def hits(self, name: str, number: int, phase: Phase) -> bool:
        """True if the router is to be struck at this moment."""
        return bool(self._points) and Point(name, number, phase, self.incarnation) in self._points

    def strike(self, name: str, number: int, phase: Phase, go_on: Callable[[], None]) -> None:
        """Strike. After a kill nothing goes on; else `go_on` is called when the message may."""
        point = Point(name, number, phase, self.incarnation)
        self.strikes.append(point)
        act = self._acts.get(point)
        if act is not None:
            act(go_on)
        else:
            self.kill()

    def instead(self, point: Point, act: Act) -> None:
        """Do something else at a point than kill."""
        self._acts[point] = act

    def stop(self, go_on: Callable[[], None]) -> None:
        """Stop the router with SIGSTOP, until `release`."""
        os.kill(self.pid, signal.SIGSTOP)
        self._held.append(go_on)
        self.stopped.set()

    def kill(self) -> None:
        """Kill the router now, at no point."""
        os.kill(self.pid, signal.SIGKILL)
        self.close()
        self.struck.set()

    def release(self) -> None:
        """Let a stopped router go on, and its message."""
        os.kill(self.pid, signal.SIGCONT)
        held, self._held = self._held, []
        for go_on in held:
            go_on()

    def close(self) -> None:
        """Cut every connection of the router."""
        self.closed = True
        closers, self._closers = self._closers, []
        for close in closers:
            close()

    def on_close(self, close: Callable[[], None]) -> None:
        """Have a connection cut when the router is."""
        self._closers.append(close)

    def wants_reset(self, name: str) -> bool:
        """True if the answer to this message is to be cut; used up once."""
        left = self.resets.get(name, 0)
        if left:
            self.resets[name] = left - 1
        return bool(left)
