"""Real servers for the tests: started on free loopback ports, stopped by their process ids."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from services.stack.servers import Server, mongo_server, redis_server
from tickrouter.history.connection import initiate

# The same examples in every run, and no judgement by the clock of a busy machine.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

REFERENCE = "TICKROUTER_REFERENCE"
"""Variable that names the folder of recorded data."""


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Valkey for the whole run; tests that kill a server start their own."""
    server = redis_server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_process: Server) -> str:
    """Address of the shared server. Tests keep apart by contract and account names (`unique`)."""
    return os.environ.get("REDIS_URL") or redis_process.url


@pytest.fixture(scope="session")
def mongo_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One mongod, a single-node replica set, for the whole run."""
    server = mongo_server(tmp_path_factory.mktemp("mongo"))
    server.start()
    initiate(server.url)
    yield server
    server.stop()


@pytest.fixture
def mongo_url(mongo_process: Server) -> str:
    """Address of the shared server. Tests use a database of their own (`unique`)."""
    return os.environ.get("MONGO_URL") or mongo_process.url


@pytest.fixture
def unique() -> str:
    """A short name that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of the recorded data and collected payloads; tests that need it are left out where none is named."""
    return Path(os.environ[REFERENCE])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and count as deselected, what reads recorded data where there is none."""
    if os.environ.get(REFERENCE):
        return
    left_out = [item for item in items if item.get_closest_marker("reference")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("reference")]
