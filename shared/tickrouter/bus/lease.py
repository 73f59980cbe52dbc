"""Leases: who routes an account, who records a contract."""

from __future__ import annotations

import secrets
from typing import Any

from redis.exceptions import NoScriptError

from tickrouter.bus.connection import Redis, storage_errors
from tickrouter.bus.scripts import Script

_RENEW = Script("renew")


class Lease:
    """A random token in a key that expires unless it is renewed."""

    def __init__(self, redis: Redis, key: str, milliseconds: int) -> None:
        self._redis: Any = redis
        self._key = key
        self.milliseconds = milliseconds
        self.token = secrets.token_hex(16)

    def acquire(self) -> bool:
        """Take it if nobody holds it; True if it is now held with a token that was never used before.

        Raises:
            StorageError: Redis did not answer.
        """
        token = secrets.token_hex(16)
        with storage_errors("lease"):
            taken = self._redis.set(self._key, token, nx=True, px=self.milliseconds)
        if not taken:
            return False
        self.token = token
        return True

    def renew(self) -> bool:
        """Hold it for as long again; False if it is another's, or nobody's."""
        return bool(self._run(self.milliseconds))

    def release(self) -> None:
        """Give it up, if it is still ours."""
        self._run(0)

    def _run(self, milliseconds: int) -> Any:
        args = [self.token, milliseconds]
        with storage_errors("lease"):
            try:
                return self._redis.evalsha(_RENEW.digest, 1, self._key, *args)
            except NoScriptError:
                # A lease says nothing of what Redis remembers: its holder's own scripts do.
                _RENEW.load(self._redis)
                return self._redis.evalsha(_RENEW.digest, 1, self._key, *args)
