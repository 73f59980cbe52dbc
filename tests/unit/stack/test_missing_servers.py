"""What is said where an embedded server does not run."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from services.stack import servers
from services.stack.servers import ServerError, mongod_binary, valkey_binary


def test_the_library_that_mongod_lacks_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"

    def refused(*command: Any, **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 127, "", complaint)

    monkeypatch.setattr(servers.subprocess, "run", refused)
    with pytest.raises(ServerError, match=r"libcurl\.so\.4: cannot open") as error:
        mongod_binary()
    assert "export MONGO_URL=" in str(error.value)


@pytest.mark.parametrize(("binary", "variable"), [(valkey_binary, "REDIS_URL"), (mongod_binary, "MONGO_URL")])
def test_a_wheel_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, binary: Any, variable: str) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda _name: None)
    with pytest.raises(ServerError, match=variable):
        binary()
