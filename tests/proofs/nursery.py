"""Forks routers cheaply: a process that has imported everything and has neither thread nor connection forks each.

`python -m tests.proofs.nursery` reads one JSON line a birth, `{"config": …, "keys": …, "log": …, "twin": …}`, and
answers `{"pid": n}`. It reaps its children; when its input ends, it kills those that live.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Serve until the input ends."""
    import services.archiver.main
    import services.collector.main
    import services.router.main
    from tests.proofs import twins
    from tests.proofs.recorder import twins as recorder_twins
    from tickrouter.venues.card import load_card

    card = load_card(ROOT / "configs/venues/btcturk.yaml")
    services_by_name = {
        "router": services.router.main.run,
        "archiver": services.archiver.main.run,
        "collector": services.collector.main.run,
    }
    broken = {**twins.TWINS, **recorder_twins.TWINS}
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    buffer = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.05)
        _reap(children)
        if not ready:
            continue
        data = os.read(0, 1 << 20)
        if not data:
            break
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            wish = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _live(wish, card, services_by_name[wish["service"]], broken.get(wish["twin"]))
            children.add(pid)
            os.write(1, json.dumps({"pid": pid}).encode() + b"\n")
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _reap(children: set[int]) -> None:
    while children:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        children.discard(pid)


def _live(wish: dict[str, Any], card: Any, run: Any, twin: Any) -> None:
    """The child: what the command line does, with a card that is read already."""
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        log = os.open(wish["log"] + ".out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        if wish["file_size"]:
            # A file that would grow longer is refused its bytes, as a full disk does.
            resource.setrlimit(resource.RLIMIT_FSIZE, (wish["file_size"], wish["file_size"]))
        os.environ.update(wish["keys"])
        from tickrouter import logs
        from tickrouter.config import Config

        logs.configure(wish["service"], level=wish["level"], file=Path(wish["log"]))
        config = Config.model_validate(wish["config"])
        for name, venue in config.venues.items():
            changes = {"capabilities": card.capabilities.model_copy(update=wish["capabilities"])}
            if not wish["limits"]:
                changes["limits"] = ()
            config._cards[name] = card.model_copy(update=changes).with_hosts(dict(venue.hosts))
        if twin is not None:
            twin()
        status = run(config)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Nursery:
    """The asking side."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Start the forking process."""
        environment = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "ORDERS_REDIS_URL", "MONGO_URL")}
        environment["PYTHONPATH"] = f"{ROOT / 'shared'}{os.pathsep}{ROOT}"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.proofs.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )

    async def birth(
        self,
        config: dict[str, Any],
        keys: dict[str, str],
        log: Path,
        *,
        capabilities: dict[str, Any] | None = None,
        limits: bool = False,
        twin: str = "",
        service: str = "router",
        level: str = "info",
        file_size: int = 0,
    ) -> int:
        """Fork a service; returns its process id. With `file_size`, no file of it gets longer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the nursery is not open")
        wish = {
            "config": config,
            "keys": keys,
            "log": str(log),
            "capabilities": capabilities or {},
            "limits": limits,
            "twin": twin,
            "service": service,
            "level": level,
            "file_size": file_size,
        }
        async with self._lock:
            process.stdin.write(json.dumps(wish).encode() + b"\n")
            answer = await process.stdout.readline()
        return int(json.loads(answer)["pid"])

    async def close(self) -> None:
        """End it, and all its children."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()


if __name__ == "__main__":
    main()
