"""Which market a text names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Protocol

from tickrouter.errors import ConfigError

from ..pairs import PAIRS
from .base import Market
from .beside import Beside
from .generated import GeneratedMarket
from .live import PUBLIC_SOCKET, LiveMarket
from .recorded import RecordedMarket
from .recording import NotARecording, Recording


class MarketSettings(Protocol):
    """What a market wants to know; the simulator's settings have it."""

    @property
    def seed(self) -> int: ...
    @property
    def speed(self) -> float: ...
    @property
    def waits(self) -> bool: ...
    @property
    def live_host(self) -> str: ...


def market_of(spec: str, settings: MarketSettings) -> Market:
    """The market that `spec` names: `generated`, `live`, or paths of recorded files separated by commas.

    Pairs that no recorded file has are generated beside, at the pace of real time if the files run as fast as they can.

    Raises:
        ConfigError: no such word or file, a file of another form, a pair that the venue does not have, or two files of
            one pair.
    """
    rate = settings.speed or 1.0
    if spec == "generated":
        return GeneratedMarket(PAIRS, seed=settings.seed, rate=rate, waits=settings.waits)
    if spec == "live":
        return LiveMarket(PAIRS, host=settings.live_host or PUBLIC_SOCKET)
    recordings = _recordings(spec)
    recorded = RecordedMarket(recordings, speed=settings.speed)
    missing = [pair for pair in PAIRS if pair not in recorded.pairs]
    if not missing:
        return recorded
    return Beside([recorded, GeneratedMarket(missing, seed=settings.seed, rate=rate, waits=settings.waits)])


def _recordings(spec: str) -> list[Recording]:
    names = [name.strip() for name in spec.split(",") if name.strip()]
    try:
        recordings = [Recording.open(Path(name).expanduser()) for name in names]
    except NotARecording as error:
        raise ConfigError(f"market: {error}; allowed: generated, live, or paths of recorded files") from error
    if not recordings:
        raise ConfigError(f"market: found {spec!r}; allowed: generated, live, or paths of recorded files")
    for symbol, count in Counter(recording.symbol for recording in recordings).items():
        if symbol not in PAIRS:
            raise ConfigError(f"market: the venue has no pair {symbol}; it has {', '.join(PAIRS)}")
        if count > 1:
            raise ConfigError(f"market: {count} files of {symbol}; allowed: one for each pair")
    return recordings
