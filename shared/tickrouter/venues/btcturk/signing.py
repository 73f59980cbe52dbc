"""BTCTurk's signatures (BTCTurk reference, sections 1.2 and 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

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
        self._mac = hmac.new(secret, public_key.encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return f"Signer({self.public_key[:8]}…)"

    def sign(self, text: str) -> str:
        """Base64 of HMAC-SHA256 over public key and text, under the decoded private key."""
        mac = self._mac.copy()
        mac.update(text.encode())
        return base64.b64encode(mac.digest()).decode()

    def headers(self, stamp_ms: int) -> dict[str, str]:
        """The three headers of a private call. Neither method nor path nor body is signed."""
        stamp = str(stamp_ms)
        return {"X-PCK": self.public_key, "X-Stamp": stamp, "X-Signature": self.sign(stamp)}

    def login(self, now_ms: int, nonce: int = LOGIN_NONCE) -> dict[str, object]:
        """Fields of the socket's login message: the nonce is signed, the timestamp is not."""
        return {
            "type": 114,
            "publicKey": self.public_key,
            "timestamp": now_ms,
            "nonce": nonce,
            "signature": self.sign(str(nonce)),
        }
