"""Ends the stack's processes when the supervisor is gone, in whatever way it went.

A process of its own that leads the group in which all others run. It holds the reading end of a pipe; when the
supervisor dies, the pipe closes, and everything in the group is told to stop, then killed. Run by its path, on the
standard library alone, so that it starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


def main() -> None:
    """Wait for the end of the pipe, then end the group, this process last."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
