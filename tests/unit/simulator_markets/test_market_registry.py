"""Which market a text names, and what is said of a text that names none."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.simulator.markets.beside import Beside
from services.simulator.markets.generated import GeneratedMarket
from services.simulator.markets.live import PUBLIC_SOCKET, LiveMarket
from services.simulator.markets.recorded import RecordedMarket
from services.simulator.markets.registry import market_of
from services.simulator.pairs import PAIRS
from tests.recordings import trade, write
from tickrouter.errors import ConfigError


@dataclass(frozen=True)
class Given:
    seed: int = 1
    speed: float = 1.0
    waits: bool = True
    live_host: str = ""


def recorded(folder: Path, symbol: str, name: str = "") -> Path:
    return write(folder / f"{name or symbol}.gz", [(1, trade(1, "1", "1", 1, symbol=symbol))])


def test_generated_drives_every_pair() -> None:
    market = market_of("generated", Given())
    assert isinstance(market, GeneratedMarket)
    assert market.pairs == tuple(PAIRS)


@pytest.mark.parametrize(("host", "used"), [("", PUBLIC_SOCKET), ("ws://127.0.0.1:9", "ws://127.0.0.1:9")])
def test_live_speaks_to_the_host_that_is_named(host: str, used: str) -> None:
    market = market_of("live", Given(live_host=host))
    assert isinstance(market, LiveMarket)
    assert (market.host, market.pairs) == (used, tuple(PAIRS))


def test_what_the_files_lack_is_generated_beside(tmp_path: Path) -> None:
    market = market_of(f"{recorded(tmp_path, 'BTCUSDT')}, {recorded(tmp_path, 'ETHUSDT')}", Given(speed=0.0))
    assert isinstance(market, Beside)
    assert market.pairs == ("BTCUSDT", "ETHUSDT", "BTCTRY")


def test_files_of_every_pair_play_alone(tmp_path: Path) -> None:
    market = market_of(",".join(str(recorded(tmp_path, pair)) for pair in PAIRS), Given())
    assert isinstance(market, RecordedMarket)
    assert market.pairs == tuple(PAIRS)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.gz: no such file; allowed: generated, live, or paths"):
        market_of(str(tmp_path / "none.gz"), Given())


def test_a_file_of_another_form(tmp_path: Path) -> None:
    path = tmp_path / "table.gz"
    path.write_bytes(gzip.compress(b"time,price\n1,2\n"))
    with pytest.raises(ConfigError, match=r"table\.gz: none of its first lines is"):
        market_of(str(path), Given())


@pytest.mark.parametrize("spec", ["", " , "])
def test_nothing(spec: str) -> None:
    with pytest.raises(ConfigError, match="allowed: generated, live, or paths"):
        market_of(spec, Given())


def test_a_pair_that_the_venue_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pair XYZUSDT; it has BTCTRY, BTCUSDT, ETHUSDT"):
        market_of(str(recorded(tmp_path, "XYZUSDT")), Given())


def test_two_files_of_one_pair(tmp_path: Path) -> None:
    paths = f"{recorded(tmp_path, 'BTCUSDT', 'one')},{recorded(tmp_path, 'BTCUSDT', 'two')}"
    with pytest.raises(ConfigError, match="2 files of BTCUSDT"):
        market_of(paths, Given())
