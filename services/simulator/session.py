"""One connected socket: what it has joined, whose it is, and the frames that wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .accounts import Account

Topic = tuple[str, str]
"""Channel and event, e.g. ("trade", "BTCTRY")."""


class Session:
    """Frames are queued at once and sent by `write`; a client that lets too much pile up is cut off.

    Args:
        send: sends one frame; may wait for the client.
        abort: cuts the connection without a word.
        limit: bytes that may wait.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], abort: Callable[[], None], limit: int) -> None:
        self.topics: set[Topic] = set()
        self.account: Account | None = None
        self.waiting = 0
        self._send = send
        self._abort = abort
        self._limit = limit
        self._frames: deque[str] = deque()
        self._wake = asyncio.Event()

    def put(self, frame: str) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self.waiting += len(frame)
        self._wake.set()
        if self.waiting > self._limit:
            self.cut()

    def cut(self) -> None:
        """End the connection without a close frame; what waits is lost."""
        self._frames.clear()
        self.waiting = 0
        self._abort()

    async def write(self) -> None:
        """Send what is queued, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames:
                frame = self._frames.popleft()
                await self._send(frame)
                self.waiting = max(0, self.waiting - len(frame))
