"""The command queue of an account, from the producer's side."""

from __future__ import annotations

from redis.exceptions import RedisError

from tickrouter.bus.codec import pack_map
from tickrouter.bus.connection import Redis
from tickrouter.bus.keys import AccountKeys
from tickrouter.errors import StorageError
from tickrouter.model.command import Command


def send(redis: Redis, command: Command) -> str:
    """Put a command onto its account's queue.

    Returns:
        The entry's id. The command's own `id` makes a repeat of this call harmless.

    Raises:
        StorageError: Redis did not confirm; the command may or may not be queued. Sending the *same* command
            again is safe.
    """
    try:
        entry = redis.xadd(AccountKeys(str(command.account)).orders, {"d": pack_map(command.to_wire())})
    except RedisError as error:
        raise StorageError(f"Redis did not confirm the command {command.id}: {error}") from error
    return entry.decode() if isinstance(entry, bytes) else str(entry)
