"""The wheel: what is in it, and that it works alone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_it_holds_library_services_and_configuration_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"tickrouter", "tickrouter_services", "tickrouter_configs"}
    for name in (
        "tickrouter/client.py",
        "tickrouter/py.typed",
        "tickrouter_services/stack/cli.py",
        "tickrouter_services/stack/keeper.py",
        "tickrouter_services/collector/main.py",
        "tickrouter_services/router/main.py",
        "tickrouter_services/archiver/main.py",
        "tickrouter_services/simulator/main.py",
        "tickrouter_configs/tickrouter.yaml",
        "tickrouter_configs/venues/btcturk.yaml",
    ):
        assert name in names
    for source in (ROOT / "shared" / "tickrouter" / "bus" / "lua").glob("*.lua"):
        assert f"tickrouter/bus/lua/{source.name}" in names


@pytest.mark.long
@pytest.mark.timeout(300)
def test_in_an_empty_environment_it_gives_the_client_and_the_command(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    assert "Client" in run(python, "-c", "import tickrouter; print(tickrouter.Client)")
    command = tmp_path / "venv" / "bin" / "tickrouter"
    assert "tickrouter 0." in run(command, "version")
    run(command, "init", "mine")
    assert (tmp_path / "mine" / "tickrouter.yaml").exists()
    where = (
        "import tickrouter._launch as launch; print(launch.service('stack.cli').__name__, launch.packaged_configs())"
    )
    assert "tickrouter_services.stack.cli" in run(python, "-c", where)
