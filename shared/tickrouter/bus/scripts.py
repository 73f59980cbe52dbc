"""Lua scripts: read from their files, called by digest, never reloaded behind the caller's back."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from tickrouter.bus.connection import Redis
from tickrouter.errors import RedisForgot


def source(name: str) -> str:
    """The text of `lua/<name>.lua`."""
    return (files("tickrouter.bus") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


class Script:
    """One script. `mark` makes its digest its owner's own, so that nobody else's load can hide a restart."""

    def __init__(self, *names: str, mark: str = "") -> None:
        parts = [f"-- {mark}"] if mark else []
        self._text = "\n".join([*parts, *(source(name) for name in names)])
        self.digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def load(self, redis: Redis) -> None:
        """Make the server know it."""
        redis.script_load(self._text)

    def evaluate(self, redis: Redis, keys: list[str], args: list[Any]) -> None:
        """Run it by its text, on a server that need not know it; `redis` may be a pipeline."""
        redis.eval(self._text, len(keys), *keys, *args)

    def call(self, redis: Redis, keys: list[str], args: list[Any]) -> Any:
        """Run it.

        Raises:
            RedisForgot: the server does not know it any more: it was restarted, or another one took its place.
        """
        try:
            return redis.evalsha(self.digest, len(keys), *keys, *args)
        except NoScriptError as error:
            raise RedisForgot("the server does not know our scripts: it was restarted or replaced") from error
