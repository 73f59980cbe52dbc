"""BTCTurk's signatures (BTCTurk reference, sections 1.2 and 4.2)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping

from tickrouter.errors import ConfigError

LOGIN_NONCE = 3000
"""Nonce of the socket's login in the documentation; it looks like an allowed age in ms."""


class Signer:
    """Signs for one key pair. The private key is decoded once and never shown."""

    def __init__(self, public_key: str, private_key: str) -> None:
        """Take the keys as the venue shows them.

        Raises:
            ConfigError: the private key is not base64.
        """
        try:
            secret = base64.b64decode(private_key, validate=True)
        except binascii.Error:
            raise ConfigError("the private key is not base64: copy it whole, as BTCTurk shows it") from None
        self.public_key = public_key
        self._secret = secret
        self._public = public_key.encode()

    def __repr__(self) -> str:
        return f"Signer({self.public_key[:8]}…)"

    def sign(self, text: str) -> str:
        """Base64 of HMAC-SHA256 over public key and text, under the decoded private key."""
        mac = hmac.digest(self._secret, self._public + text.encode(), "sha256")
        return binascii.b2a_base64(mac, newline=False).decode()

    def headers(self, stamp_ms: int, **others: str) -> Mapping[str, str]:
        """The three headers of a private call, and `others`. Neither method nor path nor body is signed."""
        return SignedHeaders(self, str(stamp_ms), others)

    def login(self, now_ms: int, nonce: int = LOGIN_NONCE) -> dict[str, object]:
        """Fields of the socket's login message: the nonce is signed, the timestamp is not."""
        return {
            "type": 114,
            "publicKey": self.public_key,
            "timestamp": now_ms,
            "nonce": nonce,
            "signature": self.sign(str(nonce)),
        }


class SignedHeaders(Mapping[str, str]):
    """Headers that are signed when they are first read: an order's are, while its journal entry is on the way."""

    def __init__(self, signer: Signer, stamp: str, others: Mapping[str, str]) -> None:
        self._signer = signer
        self._stamp = stamp
        self._others = others
        self._headers: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"SignedHeaders({self._stamp})"

    def __getitem__(self, name: str) -> str:
        return self._signed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._signed())

    def __len__(self) -> int:
        return len(self._signed())

    def _signed(self) -> dict[str, str]:
        if self._headers is None:
            signature = self._signer.sign(self._stamp)
            stamped = {"X-PCK": self._signer.public_key, "X-Stamp": self._stamp, "X-Signature": signature}
            self._headers = {**stamped, **self._others}
        return self._headers
