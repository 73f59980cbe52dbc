"""A venue call as a value: built and signed here, sent by transport/."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, signed, ready to leave.

    Attributes:
        method: GET, POST or DELETE.
        url: whole address with its query.
        endpoint: `METHOD /path`, by which rate limits are counted.
        headers: all of them; hidden from `repr`, since they hold the signature.
        body: bytes, empty for GET and DELETE.
    """

    method: str
    url: str
    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = b""

    @property
    def digest(self) -> str:
        """Short digest of what is asked, without the signature: the journal's proof of what was sent."""
        return hashlib.sha256(self.method.encode() + self.url.encode() + self.body).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        body: bytes as received.
        retry_after: seconds from the header, or None.
    """

    status: int
    body: bytes
    retry_after: float | None = None
