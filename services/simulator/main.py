"""The simulated venue as a process: builds all parts, serves, ends on SIGINT or SIGTERM.

When it takes connections it writes one line of JSON to its output:
`{"ready": true, "host": …, "port": …, "control_port": …, "pid": …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket as sockets
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from tickrouter import logs

from .app import App, server_of
from .candles import Candles
from .clock import VenueClock
from .control import Control
from .driver import Driver
from .engine.exchange import Exchange
from .faults import Faults
from .frame_record import FrameRecord
from .ledger import Ledger
from .limits import Limits
from .markets.base import Market
from .markets.registry import market_of
from .pairs import PAIRS
from .publisher import Publisher
from .rest import Rest
from .rest_private import PrivateRest
from .rest_public import PublicRest
from .settings import Settings
from .socket import Socket
from .tape import Tape

NO_MARKET = "none"
_log = logs.get("simulator")


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        Exit status: 0, or 1 if the market source failed.
    """
    return uvloop.run(_Venue(settings).serve())


class _Venue:
    """All parts of one venue, joined."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        clock = VenueClock()
        self._ledger = Ledger(settings.data / "ledger.jsonl")
        accounts, session = self._ledger.begin(settings.accounts, clock.now_ms())
        exchange = Exchange(PAIRS, accounts, session)
        self._tape = Tape(PAIRS, settings.data / "trades.jsonl" if settings.record_frames else None)
        candles, limits, faults = Candles(PAIRS), Limits(settings.limits), Faults()
        record = FrameRecord(settings.data / "frames.jsonl") if settings.record_frames else None
        self._publisher = Publisher(exchange, self._tape, candles, clock, faults, record)
        listeners = (self._ledger.record, self._tape.record, candles.record, self._publisher.record)
        self._driver = Driver(exchange, clock, listeners, self._publisher.room)
        self._ledger.replay(exchange, clock.now_ms())
        self._driver.publish()
        private = PrivateRest(self._driver, self._ledger, self._later)
        public = PublicRest(exchange, self._tape, candles, clock)
        tolerance = settings.stamp_tolerance_ms
        rest = Rest(public, private, accounts, limits, faults, clock, settings.latency_ms, tolerance)
        socket = Socket(self._publisher, accounts, limits, clock, settings.socket_buffer)
        self._market_runs = asyncio.Event()
        if not settings.hold_market:
            self._market_runs.set()
        control = Control(
            driver=self._driver,
            accounts=accounts,
            ledger=self._ledger,
            limits=limits,
            faults=faults,
            publisher=self._publisher,
            rest=rest,
            tape=self._tape,
            clock=clock,
            market_runs=self._market_runs,
        )
        self._server = server_of(App(rest.serve, socket), settings.ping_interval)
        self._control = server_of(App(control.serve), settings.ping_interval)
        self._failed = False

    async def serve(self) -> int:
        """Serve until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        listener = _listen(self._settings.host, self._settings.port)
        control = _listen(self._settings.host, self._settings.control_port)
        background = [
            asyncio.create_task(self._run_market()),
            asyncio.create_task(self._publisher.pace(self._settings.book_interval_ms / 1000)),
        ]
        self._announce(listener, control)
        await asyncio.gather(self._server.serve([listener]), self._control.serve([control]))
        for task in background:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._ledger.close()
        self._tape.close()
        return int(self._failed)

    def _end(self) -> None:
        self._server.should_exit = True
        self._control.should_exit = True

    def _later(self, act: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self._settings.cancel_latency_ms / 1000, act)

    async def _run_market(self) -> None:
        """Run the market source; if it fails, the venue says so and ends: a book that stands still would mislead."""
        market = _market(self._settings)
        if market is None:
            return
        await self._market_runs.wait()
        try:
            await market.run(self._driver)
        except Exception:
            _log.exception("market failed", market=self._settings.market)
            self._failed = True
            self._end()
        else:
            _log.info("market ended", market=self._settings.market)

    def _announce(self, listener: sockets.socket, control: sockets.socket) -> None:
        port, control_port = listener.getsockname()[1], control.getsockname()[1]
        ready = {"ready": True, "host": self._settings.host, "port": port, "control_port": control_port}
        sys.stdout.write(json.dumps({**ready, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        _log.info("simulator ready", port=port, control_port=control_port, market=self._settings.market)


def _market(settings: Settings) -> Market | None:
    return None if settings.market == NO_MARKET else market_of(settings.market, settings)


def _listen(host: str, port: int) -> sockets.socket:
    listener = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
    listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


if __name__ == "__main__":
    logs.configure("simulator")
    sys.exit(run(Settings.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))
