"""Ids of orders and commands that we make."""

from __future__ import annotations

import re
from hashlib import sha256

from tickrouter.model.account import Account

MARK = re.compile(r"[0-9a-f]{8}\Z")
"""`id_mark`: with it begin the client order ids of a deployment, so that the router knows its own at the venue."""


def default_mark(account: Account) -> str:
    """The mark where none is configured: the first eight hex digits of the SHA-256 of the account's name."""
    return sha256(str(account).encode()).hexdigest()[:8]


def repeatable_id(prefix: str, content: bytes) -> str:
    """A command id made of the command's content: the same command again has the same id."""
    return f"{prefix}-{sha256(content).hexdigest()[:32]}"


def amend_id(client_oid: str, content: bytes) -> str:
    """A command id for an amend, repeatable as well; it names the new order, which is there only if that succeeds."""
    return f"{_amend_of(client_oid)}{sha256(content).hexdigest()[:24]}"


def is_amend_to(command: str, client_oid: str) -> bool:
    """True if a command id made here is of an amend that was to make this order."""
    return command.startswith(_amend_of(client_oid))


def _amend_of(client_oid: str) -> str:
    return f"amend-{client_oid}-"
