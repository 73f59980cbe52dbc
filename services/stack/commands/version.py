"""`tickrouter version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

from .common import JsonOption, out, print_json


def version(as_json: JsonOption = False) -> None:
    """Say which version this is."""
    if as_json:
        print_json({"tickrouter": installed("tickrouter"), "python": platform.python_version()})
    else:
        out.print(f"tickrouter {installed('tickrouter')}, Python {platform.python_version()}")
