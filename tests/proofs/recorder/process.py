"""Looks at processes and servers that may be away, and the end of a process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


async def until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait for something that a thread looks at; False if it did not come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while not await asyncio.to_thread(_calm(condition)):
                await asyncio.sleep(0.05)
            return True
    return False


def _calm(condition: Callable[[], Any], otherwise: Any = False) -> Callable[[], Any]:
    """A look at a server that may be away."""

    def look() -> Any:
        try:
            return condition()
        except Exception:
            return otherwise

    return look


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def port_of(url: str) -> int:
    return int(
        url.rpartition("@")[2].removeprefix("redis://").removeprefix("mongodb://").partition("/")[0].rpartition(":")[2]
    )
