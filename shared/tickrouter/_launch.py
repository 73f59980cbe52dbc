"""Entry point of the command `tickrouter`, and the one place that knows where the services are installed.

In a checkout they are the folder `services`; in the wheel they are `tickrouter_services`, since a top-level
`services` would collide with a user's own.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def service(name: str) -> ModuleType:
    """The module of a service, e.g. `service("collector.main")`."""
    package = "tickrouter_services" if find_spec("tickrouter_services") else "services"
    return importlib.import_module(f"{package}.{name}")


def packaged_configs() -> Path:
    """Folder of the configuration and the cards that come with the product."""
    if spec := find_spec("tickrouter_configs"):
        return Path(next(iter(spec.submodule_search_locations or ())))
    return Path(__file__).resolve().parents[2] / "configs"


def main() -> None:
    """Run the command line."""
    sys.exit(service("stack.cli").main())
