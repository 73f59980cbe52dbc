"""How the client puts commands onto the queue: checked first, and sent again where Redis did not confirm."""

from __future__ import annotations

import secrets
from typing import Any

from msgspec.structs import replace

from tickrouter.bus import queue
from tickrouter.bus.codec import pack_map
from tickrouter.client_base import ClientBase
from tickrouter.errors import StorageError
from tickrouter.model.account import Account
from tickrouter.model.command import Command
from tickrouter.model.ids import amend_id, default_mark, repeatable_id

_TRIES = 3
_WAIT = 0.2
"""Seconds between two tries."""


class SendingClient(ClientBase):
    """Commands out, for both halves that have any."""

    def _send(self, action: str, owner: Account, fields: dict[str, Any]) -> str:
        """Check a command, put it onto the queue, and return its id.

        A repeat of the same id is one command, so an unconfirmed write is simply sent again.
        """
        wire = {"action": action, "account": str(owner)}
        wire |= {name: value for name, value in fields.items() if value is not None}
        command = Command.from_wire({"id": action, **wire})
        command = replace(command, id=_id_of(command))
        for tries_left in reversed(range(_TRIES)):
            try:
                queue.send(self._orders, command)
            except StorageError as error:
                if tries_left == 0 or self._closed.wait(_WAIT):
                    about = f" (client_oid {command.client_oid})" if command.client_oid else ""
                    raise StorageError(f"{error}{about}") from error
            else:
                break
        return command.id

    def _new_oid(self, owner: Account) -> str:
        return (self._id_mark or default_mark(owner)) + secrets.token_hex(12)


def _id_of(command: Command) -> str:
    """What makes an order has one id for one content, so that a caller may repeat it; all else may be asked anew."""
    content = pack_map(command.to_wire())
    if command.action == "amend":
        return amend_id(command.client_oid or "", content)
    return repeatable_id(command.action, content if command.action == "place" else secrets.token_bytes(16))
