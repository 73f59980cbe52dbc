"""Programs to compare with, in an environment of their own: nothing of them comes into the project's."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench-venv"
# cryptofeed 2.4.1 is the newest for Python 3.11 (3.0.1 needs 3.13). It names none of its storage clients.
PACKAGES = (
    "cryptofeed==2.4.1",
    "redis==8.1.0",
    "hiredis==3.5.0",
    "pymongo==4.20.0",
    "motor==3.7.1",
    "uvloop==0.22.1",
)
ARCHIVE_FOLDER = ROOT / "build" / "bench-archive-venv"
ARCHIVE_PACKAGES = ("arcticdb==6.28.2", "pandas<3", "numpy", "pyarrow")


def python(folder: Path = FOLDER, packages: Sequence[str] = PACKAGES) -> Path:
    """The interpreter of an environment of peers, which is made where it is missing or of other versions.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    stamp = folder / "installed.txt"
    wanted = "\n".join((sys.version, *packages))
    interpreter = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {packages[0]} into {folder.relative_to(ROOT)} (once) ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "-qq", *packages]
        subprocess.run(command, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return interpreter
