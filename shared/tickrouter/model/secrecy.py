"""What must not be shown: by its name, or as a password inside an address."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"

_WORDS = ("private", "secret", "signature", "password", "token", "api_key", "apikey")
_PASSWORD = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]+@")


def is_secret(name: str) -> bool:
    """True if a field of that name holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in _WORDS)


def without_passwords(text: str) -> str:
    """The text, with user and password of every address in it hidden."""
    return _PASSWORD.sub(f"{HIDDEN}@", text)


def redacted(value: Any) -> Any:
    """The value without its secrets, at any depth: fields by their names, passwords in addresses, secret types."""
    if hasattr(value, "get_secret_value"):
        return HIDDEN
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, dict):
        return {key: HIDDEN if is_secret(str(key)) else redacted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return value
